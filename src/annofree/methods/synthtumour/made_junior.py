"""SynthTumour's first stage, our form: a whole-brain network trained on made brains with made tumours alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from pydantic import Field

from annofree.errors import SettingsError
from annofree.formats.outfolder import write_json
from annofree.inference.channels import CHANNELS
from annofree.methods.synthtumour.validation import MadeValidation
from annofree.networks.build import build
from annofree.networks.dyn_unet import DynUNetSettings
from annofree.networks.unet import ThinUNetSettings
from annofree.segmentation import REGIONS
from annofree.settings import Settings
from annofree.synthesis import LabelMapBank, SynthesisSettings
from annofree.training.loop import Trained, train
from annofree.training.losses import region_objective
from annofree.training.plan import TrainingPlan
from annofree.training.samples import SampleSettings
from annofree.training.settings import TrainSettings
from annofree.training.sources import MadeCases, PaintedCases, Turns
from annofree.training.stream import CaseMaker, MadeSampler, Sampler, StreamSettings, TrainingCase


class JuniorSettings(Settings):
    """The whole recipe.

    Attributes:
        spacing_mm: Voxel size of the network's grid.
        network: Its shape.
        train: The loop.
        sample: Variation put on cases.
        stream: Reuse of cases.
        synthesis: What is made.
        validation_cases: Made cases that choose the weights.
    """

    spacing_mm: float = 2.0
    network: ThinUNetSettings | DynUNetSettings = ThinUNetSettings()
    train: TrainSettings = TrainSettings()
    sample: SampleSettings = SampleSettings()
    stream: StreamSettings = StreamSettings()
    synthesis: SynthesisSettings = SynthesisSettings()
    validation_cases: int = Field(12, ge=1)

    def planned(self, plan: TrainingPlan) -> JuniorSettings:
        """This recipe with a plan's voxel size, patch, batch and network.

        Raises:
            SettingsError: Brains cannot be made at that voxel size, or the network sees other channels.
        """
        spacing_mm = plan.cube_mm
        if spacing_mm not in (1.0, 2.0):
            raise SettingsError(
                f"Brains cannot be made with voxels of {spacing_mm:g} mm", fix="Plan with --spacing 1 or --spacing 2"
            )
        if plan.network.in_channels != CHANNELS or plan.network.out_channels != len(REGIONS):
            raise SettingsError(
                f"The plan's network maps {plan.network.in_channels} channels to {plan.network.out_channels} regions",
                fix=f"Plan for {CHANNELS} and {len(REGIONS)}",
            )
        changes = {
            "spacing_mm": spacing_mm,
            "network": plan.network,
            "sample": self.sample.model_copy(update={"patch": plan.patch}),
            "train": self.train.model_copy(update={"batch": plan.batch}),
        }
        return self.model_copy(update=changes)


def fit_junior(
    bank: LabelMapBank,
    folder: Path,
    settings: JuniorSettings | None = None,
    *,
    carriers: Sequence[Path] = (),
    healthy: list[TrainingCase] | None = None,
) -> Trained:
    """Train a junior on made brains; the network to use is ``folder/best``.

    Where there are carriers (files of `Carrier.save`), every other sample is a made tumour in one of them. Healthy
    cases on the network's grid only measure falsely called volume when weights are chosen.
    """
    settings = settings or JuniorSettings()
    torch.manual_seed(settings.train.seed)
    network = build(settings.network)
    make = MadeCases(bank, settings.synthesis, settings.spacing_mm)
    validate = MadeValidation(
        make, range(settings.validation_cases), voxel_ml=settings.spacing_mm**3 / 1000.0, healthy=healthy or ()
    )
    sampler: Sampler = _sampler(make, settings, settings.stream)
    if carriers:
        # their seeds lie far from those of the made brains
        apart = settings.stream.model_copy(update={"first_seed": settings.stream.first_seed + 500_000_000})
        painted = PaintedCases(carriers, settings.synthesis, settings.spacing_mm)
        sampler = Turns([sampler, _sampler(painted, settings, apart)])
    write_json(folder / "recipe.json", settings)
    return train(
        network,
        sampler,
        region_objective,
        folder,
        settings=settings.train,
        validate=validate,
        extra={"spacing_mm": settings.spacing_mm, "regions": list(REGIONS)},
    )


def _sampler(make: CaseMaker, settings: JuniorSettings, stream: StreamSettings) -> MadeSampler:
    return MadeSampler(make, stream, settings.sample, batch=settings.train.batch, seed=settings.train.seed)
