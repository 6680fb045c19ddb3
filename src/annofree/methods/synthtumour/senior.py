"""SynthTumour's second stage: a network that goes on from the first on real images that nobody labelled.

Its samples come in turn from several sources: made brains, made tumours in real tumour-free brains, real patients with
partial pseudo-labels, their tumours in healthy people's scans, and healthy scans as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from torch import nn

from annofree.methods.synthtumour.cases import read_case
from annofree.methods.synthtumour.partial import PartialSampler, partial_objective
from annofree.segmentation import REGIONS
from annofree.settings import Settings
from annofree.training.loop import Trained, Validate, train
from annofree.training.losses import CALIBRATED
from annofree.training.samples import SampleSettings
from annofree.training.settings import TrainSettings
from annofree.training.sources import Turns
from annofree.training.stream import CaseMaker, MadeSampler, Sampler, StreamSettings, TrainingCase


class SeniorSettings(Settings):
    """How a senior is trained.

    Attributes:
        train: The loop; few steps at a low rate, because it starts from a trained network.
        sample: Variation put on cases.
        reuse: How many samples one made case serves.
    """

    train: TrainSettings = TrainSettings(
        steps=400, batch=2, learning_rate=4e-4, warmup=20, ema=0.99, validate_every=100
    )
    sample: SampleSettings = SampleSettings()
    reuse: int = 2


class HeldCases:
    """Cases that exist already, in turn: a case maker whose seed is a place in the list.

    They are held in memory, or folders from which `cases.read_case` reads them.
    """

    def __init__(self, cases: Sequence[TrainingCase | Path]) -> None:
        self.cases = list(cases)

    def __call__(self, seed: int) -> TrainingCase:
        """The case at a seed, from the start again after the last."""
        case = self.cases[seed % len(self.cases)]
        return read_case(case) if isinstance(case, Path) else case


def fit_senior(
    network: nn.Module,
    sources: Mapping[str, CaseMaker],
    folder: Path,
    settings: SeniorSettings | None = None,
    *,
    spacing_mm: float,
    validate: Validate | None = None,
) -> Trained:
    """Train a senior from the junior, or fresh weights; the network to use is ``folder/best``.

    Sources are case makers by name, with partial labels (see `partial.py`), that take turns.
    """
    settings = settings or SeniorSettings()
    batch, seed = settings.train.batch, settings.train.seed
    samplers: list[Sampler] = []
    for number, make in enumerate(sources.values()):
        held = isinstance(make, HeldCases)
        stream = StreamSettings(
            kept=1 if held else 24, reuse=1 if held else settings.reuse, first_seed=(2 + number) * 10_000_000
        )
        samplers.append(MadeSampler(make, stream, settings.sample, batch=batch, seed=seed + number))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.json").write_text(settings.model_dump_json(indent=1), encoding="utf-8")
    return train(
        network,
        PartialSampler(Turns(samplers)),
        partial(partial_objective, mix=CALIBRATED),
        folder,
        settings=settings.train,
        validate=validate,
        extra={"spacing_mm": spacing_mm, "regions": list(REGIONS)},
    )
