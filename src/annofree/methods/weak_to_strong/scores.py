"""Scores of a set of volumes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor, nn

from annofree.inference.torch_network import TorchNetwork
from annofree.methods.weak_to_strong.loss import smoothed_dice
from annofree.methods.weak_to_strong.predict import probabilities
from annofree.methods.weak_to_strong.volumes import Volume


@dataclass(frozen=True)
class VolumeScore:
    """How one volume was segmented.

    Attributes:
        id: The scan.
        dice: 2 |P and T| / (|P| + |T|), smoothed as published (1 where both are empty).
        iou: |P and T| / |P or T|, likewise.
        background: The same Dice for a mask that is empty everywhere: about 1e-11 where there is a tumour.
        tumour_voxels: Of the target.
    """

    id: str
    dice: float
    iou: float
    background: float
    tumour_voxels: int


@dataclass(frozen=True)
class VolumeScores:
    """Scores of a set of volumes."""

    cases: tuple[VolumeScore, ...]

    @classmethod
    def of(cls, masks: Iterable[tuple[str, Tensor, Tensor]]) -> VolumeScores:
        """Score `(id, mask, target)` triples of boolean arrays."""
        cases = []
        for name, mask, target in masks:
            dice = smoothed_dice(mask, target)
            cases.append(
                VolumeScore(
                    name, dice, dice / (2.0 - dice), smoothed_dice(torch.zeros_like(target), target), int(target.sum())
                )
            )
        return cls(tuple(cases))

    @property
    def dice(self) -> float:
        """Mean Dice over the volumes with a tumour; over all where none has one."""
        return fmean(case.dice for case in self._with_tumour())

    @property
    def iou(self) -> float:
        """Mean IoU over the same volumes."""
        return fmean(case.iou for case in self._with_tumour())

    @property
    def background(self) -> float:
        """Mean Dice of the empty mask over the same volumes."""
        return fmean(case.background for case in self._with_tumour())

    def _with_tumour(self) -> tuple[VolumeScore, ...]:
        return tuple(case for case in self.cases if case.tumour_voxels) or self.cases

    def __str__(self) -> str:
        return (
            f"Dice {self.dice:.3f}, IoU {self.iou:.3f} over {len(self._with_tumour())} volumes "
            f"(all background: {self.background:.2g})"
        )


def score_volumes(network: nn.Module, volumes: Iterable[Volume]) -> VolumeScores:
    """Segment volumes at 0.5 on the network's grid and score them against their targets."""
    return VolumeScores.of((volume.id, _called(TorchNetwork(network), volume), volume.target) for volume in volumes)


def _called(network: TorchNetwork, volume: Volume) -> Tensor:
    images, brain = volume.images.float().numpy(), volume.brain.numpy()
    return torch.from_numpy(probabilities(network, images, brain) > 0.5)


@dataclass(frozen=True)
class VolumeValidation:
    """Chooses weights by the mean Dice on volumes that are never trained on."""

    volumes: tuple[Volume, ...]

    def __call__(self, network: nn.Module) -> dict[str, float]:
        """``score`` and ``iou`` of a network in evaluation mode."""
        scores = score_volumes(network, self.volumes)
        return {"score": scores.dice, "iou": scores.iou}
