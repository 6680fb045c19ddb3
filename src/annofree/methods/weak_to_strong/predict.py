"""From a volume to tumour probabilities by sliding windows, and scores of a set of volumes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn

from annofree.methods.weak_to_strong.loss import smoothed_dice
from annofree.methods.weak_to_strong.volumes import Volume

#: Overlap of windows, and whether the flipped volume is looked at too, by quality.
QUALITY: dict[str, tuple[float, bool]] = {"fast": (0.25, False), "default": (0.5, True), "best": (0.75, True)}


def probabilities(network: nn.Module, images: Tensor, brain: Tensor, *, quality: str = "default") -> Tensor:
    """Tumour probabilities of one volume: MONAI's sliding window over the brain, as it is and flipped left to right.

    Windows and views go through the network in pairs, because torch computes small 3-D convolutions of a single sample
    by a slow routine on processors.

    Args:
        network: A UNETR in evaluation mode.
        images: (4, X, Y, Z) normalised.
        brain: (X, Y, Z) boolean.
        quality: "fast", "default" or "best", see :data:`QUALITY`.

    Returns:
        (X, Y, Z) float32, 0 outside the brain.
    """
    from monai.inferers.utils import sliding_window_inference

    window: tuple[int, int, int] = network.settings.window  # type: ignore[union-attr, assignment]
    out = torch.zeros(brain.shape, dtype=torch.float32)
    points = brain.nonzero()
    if len(points) == 0:
        return out
    low, high = points.amin(0).tolist(), (points.amax(0) + 1).tolist()
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    x = images[(slice(None), *box)].float()
    device = next(network.parameters()).device
    overlap, flip = QUALITY[quality]
    with torch.inference_mode():
        logits: Any = sliding_window_inference(
            (torch.stack([x, x.flip(1)]) if flip else x[None]).to(device),
            roi_size=window,
            sw_batch_size=2,
            predictor=lambda windows: network(windows)[0],
            overlap=overlap,
            mode="gaussian",
        )
        views = torch.sigmoid(logits.float()).cpu()[:, 0]
    out[box] = (0.5 * (views[0] + views[1].flip(0)) if flip else views[0]) * brain[box]
    return out


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
    """Scores of a set of volumes.

    Attributes:
        cases: One a volume.
    """

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
    return VolumeScores.of(
        (volume.id, probabilities(network, volume.images, volume.brain) > 0.5, volume.target) for volume in volumes
    )


@dataclass(frozen=True)
class VolumeValidation:
    """Chooses weights by the mean Dice on held-out volumes.

    Attributes:
        volumes: Never trained on.
    """

    volumes: tuple[Volume, ...]

    def __call__(self, network: nn.Module) -> dict[str, float]:
        """``score`` and ``iou`` of a network in evaluation mode."""
        scores = score_volumes(network, self.volumes)
        return {"score": scores.dice, "iou": scores.iou}
