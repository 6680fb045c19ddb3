"""Scores of a set of volumes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor, nn

from annofree.inference.torch_network import TorchNetwork
from annofree.methods.weak_to_strong.predict import probabilities
from annofree.methods.weak_to_strong.volumes import Volume

#: s of the published Dice score.
_SMOOTH = 1e-6


def smoothed_dice(mask: Tensor, truth: Tensor) -> float:
    """The published Dice score of boolean arrays, ``(2 |P and T| + s) / (|P| + |T| + s)``: 1 where both are empty.

    For an empty mask and a tumour of T voxels it is s / (T + s), about 1e-11 for 100,000 voxels: the value of the
    published all-background check.
    """
    both = float((mask & truth).sum())
    return (2.0 * both + _SMOOTH) / (float(mask.sum()) + float(truth.sum()) + _SMOOTH)


@dataclass(frozen=True)
class VolumeScores:
    """Means over the volumes with a tumour; over all where none has one.

    Attributes:
        dice: 2 |P and T| / (|P| + |T|), smoothed as published (1 where both are empty).
        iou: |P and T| / |P or T|, likewise.
        background: The same Dice for a mask that is empty everywhere: about 1e-11 where there is a tumour.
        volumes: How many.
    """

    dice: float
    iou: float
    background: float
    volumes: int

    @classmethod
    def of(cls, masks: Iterable[tuple[Tensor, Tensor]]) -> VolumeScores:
        """Score pairs of a mask and its target, boolean arrays."""
        found = [(smoothed_dice(mask, target), target) for mask, target in masks]
        kept = [one for one in found if bool(one[1].any())] or found
        iou = fmean(dice / (2.0 - dice) for dice, _ in kept)
        empty = fmean(smoothed_dice(torch.zeros_like(target), target) for _, target in kept)
        return cls(fmean(dice for dice, _ in kept), iou, empty, len(kept))

    def __str__(self) -> str:
        return (
            f"Dice {self.dice:.3f}, IoU {self.iou:.3f} over {self.volumes} volumes "
            f"(all background: {self.background:.2g})"
        )


def score_volumes(network: nn.Module, volumes: Iterable[Volume]) -> VolumeScores:
    """Segment volumes at 0.5 on the network's grid and score them against their targets."""
    asked = TorchNetwork(network)
    found = ((v, probabilities(asked, v.images.float().numpy(), v.brain.numpy()) > 0.5) for v in volumes)
    return VolumeScores.of((torch.from_numpy(mask), volume.target) for volume, mask in found)


@dataclass(frozen=True)
class VolumeValidation:
    """Chooses weights by the mean Dice on volumes that are never trained on."""

    volumes: tuple[Volume, ...]

    def __call__(self, network: nn.Module) -> dict[str, float]:
        """``score`` and ``iou`` of a network in evaluation mode."""
        scores = score_volumes(network, self.volumes)
        return {"score": scores.dice, "iou": scores.iou}
