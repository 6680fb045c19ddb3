"""The weak stage that was never taken: tumour pseudo-masks by Otsu inside the brain, and a 2-D U-Net that learns them.

A student that only copied its masks would be as wrong as they are. It sees four sequences where the masks came from
one, and many patients at once, so errors that follow no pattern are averaged out and those that do are learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from annofree.errors import InputError
from annofree.inference.network import by_parts
from annofree.inference.torch_network import TorchNetwork
from annofree.methods.weak_to_strong.flat_unet import FlatUNetSettings, fit_flat_unet
from annofree.methods.weak_to_strong.otsu import tumour_mask
from annofree.methods.weak_to_strong.volumes import Volume, volume_of
from annofree.prepare.brain import filled_brain
from annofree.prepare.resample import back
from annofree.scan import Cohort, Scan, learning
from annofree.segmentation import Segmentation, told_of
from annofree.settings import Settings
from annofree.training.losses import bce_dice_objective
from annofree.training.settings import TrainSettings
from annofree.training.stream import Batch

#: Share of slices that are drawn among those with something labelled.
_LABELLED = 0.7
#: Slices that go through the network at once.
_TOGETHER = 16


class StudentSettings(Settings):
    """Settings of the tumour pseudo-masks and of their student.

    Attributes:
        spacing_mm: Edge of the student's pixels.
        steps: Training steps; 0 makes the pseudo-masks only.
        batch: Slices a step.
        learning_rate: Peak rate of AdamW.
        seed: Decides the training.
    """

    spacing_mm: float = Field(2.0, gt=0)
    steps: int = Field(0, ge=0)
    batch: int = Field(8, ge=1)
    learning_rate: float = Field(3e-3, gt=0)
    seed: int = Field(0, ge=0)


@dataclass(frozen=True)
class SliceSampler:
    """Axial slices of volumes with their labels, flipped left to right in half of the draws.

    Slices are padded with zeros about their middle to so many pixels a side.
    """

    volumes: Sequence[Volume]
    side: tuple[int, int]
    seed: int

    def __call__(self, step: int, lane: int) -> Batch:
        """``x`` (4, H, W) and ``target`` (1, H, W)."""
        rng = np.random.default_rng([self.seed, 6, step, lane])
        volume = self.volumes[int(rng.integers(len(self.volumes)))]
        labelled = volume.target.flatten(0, 1).any(dim=0).nonzero()[:, 0]
        held = volume.brain.flatten(0, 1).any(dim=0).nonzero()[:, 0]
        among = labelled if len(labelled) and rng.random() < _LABELLED else held
        level = int(among[int(rng.integers(len(among)))])
        x = framed(volume.images[..., level].float(), self.side)
        target = framed(volume.target[None, ..., level].float(), self.side)
        return {"x": x.flip(1), "target": target.flip(1)} if rng.random() < 0.5 else {"x": x, "target": target}


def framed(slices: Tensor, side: tuple[int, int]) -> Tensor:
    """(..., H, W) padded with zeros, or cut, about its middle to a side of (H', W')."""
    pad: list[int] = []
    for wanted, size in zip(reversed(side), (slices.shape[-1], slices.shape[-2]), strict=True):
        first = int((wanted - size) / 2)  # towards zero, so that cutting takes off what padding put on
        pad += [first, wanted - size - first]
    return functional.pad(slices, pad)


def side_for(volumes: Sequence[Volume], divisor: int) -> tuple[int, int]:
    """The smallest slice that holds every volume and that the network can halve."""
    longest = [max(volume.brain.shape[axis] for volume in volumes) for axis in range(2)]
    return -(-longest[0] // divisor) * divisor, -(-longest[1] // divisor) * divisor


def fit_student(volumes: Sequence[Volume], folder: Path, settings: StudentSettings) -> nn.Module:
    """Train the published 2-D U-Net (with four inputs) on the slices of volumes whose targets are the labels.

    Raises:
        InputError: Nothing is labelled.
    """
    if not any(bool(volume.target.any()) for volume in volumes):
        raise InputError("No pseudo-mask holds anything to learn", fix="Look at the masks; give other scans")
    own = settings.model_dump(include={"steps", "batch", "learning_rate", "seed"})
    recipe = TrainSettings(warmup=min(50, settings.steps // 10), ema=0.98, ahead=0, **own)
    sampler = SliceSampler(volumes, side_for(volumes, FlatUNetSettings().divisor), settings.seed)
    # the Dice over the whole batch: many slices hold no tumour
    return fit_flat_unet(
        FlatUNetSettings(in_channels=4), sampler, partial(bce_dice_objective, bce_weight=0.5), folder, recipe
    )


def student_mask(network: nn.Module, volume: Volume) -> Tensor:
    """The student's boolean mask (X, Y, Z) of a volume, slice by slice."""
    side = side_for([volume], FlatUNetSettings().divisor)
    slices = volume.images.float().permute(3, 0, 1, 2)
    logits = torch.from_numpy(by_parts(TorchNetwork(network), framed(slices, side).numpy(), together=_TOGETHER)[:, 0])
    return (framed(logits, (slices.shape[2], slices.shape[3])) > 0).permute(1, 2, 0) & volume.brain


def _answer(scan: Scan, mask: NDArray[np.bool_], brain: NDArray[np.bool_], method: str) -> Segmentation:
    from annofree.version import VERSION

    assert scan.native is not None
    return Segmentation(
        scan_id=scan.id,
        labels=mask.astype(np.uint8) * np.uint8(2),
        affine=scan.affine,
        native=scan.native,
        brain=brain,
        provenance={"annofree": VERSION, **told_of(scan), "method": method, "tier": "T0"},
    )


def tumour_masks(patients: Cohort, out: str | Path, settings: StudentSettings | None = None) -> Path:
    """Write tumour pseudo-masks of scans with FLAIR or T2, and those of a 2-D student that learned from them.

    `otsu/` gets the pseudo-masks, `student/` the student's, both as `annofree segment` writes results; `unet/` is the
    student. Returns the folder whose masks came last: the student's where there is one.

    Raises:
        AnnofreeError: A scan cannot be used, or nothing is found in any.
    """
    settings = settings or StudentSettings()
    root = Path(out)
    volumes = []
    with learning():
        for scan in patients:
            brain = filled_brain(scan)
            mask = tumour_mask(scan, brain)
            _answer(scan, mask, brain, "otsu-tumour").save(root / "otsu", page=False)
            if settings.steps:
                volumes.append(volume_of(scan, settings.spacing_mm, brain, mask))
        if not settings.steps:
            return root / "otsu"
        network = fit_student(volumes, root / "unet", settings)
        for scan, volume in zip(patients, volumes, strict=True):
            found = back(student_mask(network, volume).numpy(), volume.grid, scan.grid, order=0)
            brain = filled_brain(scan)
            _answer(scan, found.astype(bool) & brain, brain, "otsu-student").save(root / "student", page=False)
    return root / "student"
