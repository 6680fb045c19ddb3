"""SynthTumour's first stage as published: one bright blob in healthy FLAIR, chosen by the distribution-shifted twins.

Data, labels and selection are the published ones; the network and its grid are this package's. The Gaussians of the
published scripts are 5 and 1 voxels on images of about 1 mm, here 5 and 1 mm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from annofree.inference.torch_network import predict_tensors
from annofree.methods.synthtumour.partial import UNSURE_ET, UNSURE_TC, PartialSampler, partial_objective
from annofree.networks.build import build
from annofree.networks.unet import ThinUNetSettings
from annofree.settings import Settings
from annofree.synthesis.published import make_published
from annofree.synthesis.published_settings import PublishedSettings
from annofree.training.loop import Trained, Validate, train
from annofree.training.samples import FLAIR, SampleSettings
from annofree.training.settings import TrainSettings
from annofree.training.stream import CaseMaker, MadeSampler, StreamSettings, TrainingCase

#: A tumour whose inner regions nobody told: oedema's number, core and enhancing tumour open.
WHOLE_ONLY = 2 | UNSURE_TC | UNSURE_ET


class PublishedCases:
    """From a seed to a published case in one of some healthy scans; FLAIR alone, the whole tumour alone.

    Args:
        hosts: Healthy scans (images, brain, anything) whose FLAIR is not all zero.
        spacing_mm: Of their grid; at 3 mm and more the soft border of 1 mm is lost, and with it the published label's
            28 % of extra volume.
        validation: Make distribution-shifted twins.
        blocks: Cubes of so many voxels a side become one voxel after the tumour is in: a coarser network still learns
            from the published border.
    """

    def __init__(
        self, hosts: Sequence[TrainingCase], spacing_mm: float, *, validation: bool = False, blocks: int = 1
    ) -> None:
        self.hosts, self.spacing_mm, self.validation, self.blocks = list(hosts), spacing_mm, validation, blocks
        self.settings = PublishedSettings(unit="mm")

    def __call__(self, seed: int) -> TrainingCase:
        """Images (4, X, Y, Z) with FLAIR alone, brain, partial labels."""
        images, brain, _ = self.hosts[seed % len(self.hosts)]
        host, step = np.ascontiguousarray(images[FLAIR].numpy()), (self.spacing_mm,) * 3
        rng = np.random.default_rng([seed, 527])
        made = make_published(host, brain.numpy(), step, rng, self.settings, validation=self.validation)
        flair, inside = torch.from_numpy(made.image), torch.from_numpy(made.labels > 0)
        if self.blocks > 1:
            flair, brain, inside = _coarser(flair, brain, inside, self.blocks)
        out = torch.zeros((images.shape[0], *flair.shape))
        out[FLAIR] = flair
        return out, brain, torch.where(inside, WHOLE_ONLY, UNSURE_TC | UNSURE_ET).to(torch.uint8)


def _coarser(flair: Tensor, brain: Tensor, inside: Tensor, blocks: int) -> tuple[Tensor, Tensor, Tensor]:
    """Mean brightness of each block's brain, and the majority of both masks."""
    soft = torch.stack([flair * brain, brain.float(), inside.float()])[None]
    values, covered, found = functional.avg_pool3d(soft, blocks)[0]
    mask = covered >= 0.5
    return values / covered.clamp_min(0.1) * mask, mask, (found >= 0.5) & mask


class CaseValidation:
    """Dice on so many fixed cases of each task, whose makers get their numbers; the one that `chooses` is the score."""

    def __init__(self, makers: Mapping[str, CaseMaker], cases: int, *, chooses: str) -> None:
        self.makers, self.count, self.chooses = dict(makers), cases, chooses

    def __call__(self, network: nn.Module) -> dict[str, float]:
        """``score``, and for each task ``dice_`` and ``loss_`` (1 - soft Dice + cross-entropy in the brain)."""
        out = {}
        for name, make in self.makers.items():
            pairs = [_dice_and_loss(network, make(seed)) for seed in range(self.count)]
            out[f"dice_{name}"], out[f"loss_{name}"] = (sum(p[k] for p in pairs) / len(pairs) for k in (0, 1))
        return {"score": out[f"dice_{self.chooses}"], **out}


def shifted_validation(
    hosts: Sequence[TrainingCase], spacing_mm: float, cases: int = 8, *, blocks: int = 1
) -> CaseValidation:
    """Dice on the distribution-shifted validation task, which chooses the weights, and on cases like the training's.

    Hosts are healthy scans that training does not see; a shifted case and its twin have the same blob in the same
    brain. All are made once.
    """
    shifted = cache(PublishedCases(hosts, spacing_mm, validation=True, blocks=blocks))
    alike = cache(PublishedCases(hosts, spacing_mm, blocks=blocks))
    return CaseValidation({"shifted": shifted, "alike": alike}, cases, chooses="shifted")


def fit_flair_junior(
    make: CaseMaker,
    validate: Validate,
    folder: Path,
    settings: TrainSettings,
    *,
    spacing_mm: float,
    network: Settings | None = None,
    sample: SampleSettings | None = None,
) -> Trained:
    """Train a junior that tells the whole tumour in FLAIR; the network to use is ``folder/best``."""
    torch.manual_seed(settings.seed)
    sampler = MadeSampler(make, StreamSettings(), sample or SampleSettings(), batch=settings.batch, seed=settings.seed)
    return train(
        build(network or ThinUNetSettings()),
        PartialSampler(sampler),
        partial_objective,
        folder,
        settings=settings,
        validate=validate,
        extra={"spacing_mm": spacing_mm, "regions": ["WT"]},
    )


def _dice_and_loss(network: nn.Module, case: TrainingCase) -> tuple[float, float]:
    images, brain, packed = case
    truth: Tensor = (packed & 3) > 0
    present = torch.tensor([False, False, False, True])
    soft = predict_tensors(network, images, brain, present)[0]
    found = soft > 0.5
    dice = float(2 * (found & truth).sum() / (found.sum() + truth.sum()).clamp_min(1))
    soft_dice = 2.0 * (soft * truth).sum() / (soft.sum() + truth.sum()).clamp_min(1e-6)
    entropy = functional.binary_cross_entropy(soft[brain].clamp(1e-6, 1 - 1e-6), truth[brain].float())
    return dice, float(1.0 - soft_dice + entropy)
