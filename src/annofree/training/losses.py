"""Dice plus cross-entropy: on overlapping regions, at several resolutions, and on one mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


def regions_of(labels: Tensor) -> Tensor:
    """Region masks of BraTS 2023 labels, ``(B, X, Y, Z)`` integers 0..3: background, core, oedema, enhancing.

    Returns:
        ``(B, 3, X, Y, Z)`` float32: whole tumour (1, 2, 3), tumour core (1, 3), enhancing (3).
    """
    return torch.stack([labels > 0, (labels == 1) | (labels == 3), labels == 3], dim=1).float()


@dataclass(frozen=True)
class Mix:
    """Weights of the three parts of :func:`dice_ce`.

    Attributes:
        dice: Of the soft Dice.
        mean: Of the mean cross-entropy.
        worst: Of the cross-entropy of the worst voxels.
    """

    dice: float = 1.0
    mean: float = 0.5
    worst: float = 0.5


EVEN = Mix()
CALIBRATED = Mix(0.3, 3.0, 0.5)
"""Mostly cross-entropy: a network that is unsure gains Dice by calling more than half of what may be tumour."""


def dice_ce(logits: Tensor, target: Tensor, brain: Tensor, *, smooth: float = 20.0, mix: Mix = EVEN) -> Tensor:
    """Soft Dice plus binary cross-entropy, each averaged over regions, then over samples.

    Both are taken inside the brain. Half of the cross-entropy looks only at the worst twentieth of the patch's voxels,
    so that small false islands count (Wu 2016, online bootstrapping).

    Args:
        logits: ``(B, R, X, Y, Z)``.
        target: ``(B, R, X, Y, Z)`` in 0..1, soft at coarse levels.
        brain: ``(B, 1, X, Y, Z)`` in 0..1.
        mix: Weights of the parts.
        smooth: Voxels added above and below in the Dice (Milletari 2016): it stays defined for an empty region, and its
            gradient is large when few voxels are wrongly called.

    Returns:
        A scalar.
    """
    axes = (2, 3, 4)
    logits = logits.float()
    probability = torch.sigmoid(logits) * brain
    overlap = (probability * target).sum(axes)
    size = probability.sum(axes) + (target * brain).sum(axes)
    dice = 1.0 - (2.0 * overlap + smooth) / (size + smooth)
    entropy = functional.binary_cross_entropy_with_logits(logits, target, reduction="none") * brain
    mean = entropy.sum(axes) / brain.sum(axes).clamp_min(1.0)
    worst = entropy.flatten(2).topk(max(1, entropy[0, 0].numel() // 20), dim=2, sorted=False).values.mean(2)
    return (mix.dice * dice + mix.mean * mean + mix.worst * worst).mean()


def deep_dice_ce(
    levels: Sequence[Tensor], target: Tensor, inside: Tensor, *, mix: Mix = EVEN, partly: bool = False
) -> Tensor:
    """:func:`dice_ce` over the levels of a deeply supervised network, finest first, weights 1, 1/2, 1/4 ... normalised.

    Targets ``(B, R, X, Y, Z)`` and what is looked at ``(B, 1 or R, X, Y, Z)`` are at the finest; coarse targets are
    block means: the fraction of tumour in the coarse voxel, or, where it is known `partly`, in what is looked at of it.
    """
    weights = [0.5**i for i in range(len(levels))]
    total = torch.zeros((), device=target.device)
    for weight, logits in zip(weights, levels, strict=True):
        here, looked = target, inside
        size = (logits.shape[2], logits.shape[3], logits.shape[4])
        if size != target.shape[2:]:
            here, looked = (functional.adaptive_avg_pool3d(values, size) for values in (target, inside))
            if partly:
                here = (here / looked.clamp_min(1e-3)).clamp(0.0, 1.0)
        total = total + weight / sum(weights) * dice_ce(logits, here, looked, mix=mix)
    return total


def region_objective(model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
    """:func:`deep_dice_ce` of a deeply supervised network on a batch of ``x``, ``labels`` (0..3) and ``brain``.

    Voxels outside ``brain`` are not looked at.
    """
    return deep_dice_ce(model(batch["x"]), regions_of(batch["labels"]), batch["brain"][:, None].float())


def bce_dice(logits: Tensor, target: Tensor, bce_weight: float) -> Tensor:
    """``w BCE + (1 - w) (1 - Dice)`` of logits and targets ``(B, 1, ...)``, the Dice over all voxels of the batch."""
    logits = logits.float()
    entropy = functional.binary_cross_entropy_with_logits(logits, target)
    probability = torch.sigmoid(logits)
    overlap = (probability * target).sum()
    dice = (2.0 * overlap + 1e-5) / (probability.sum() + target.sum() + 1e-5)
    return bce_weight * entropy + (1.0 - bce_weight) * (1.0 - dice)


def bce_dice_objective(model: nn.Module, batch: Mapping[str, Tensor], *, bce_weight: float) -> Tensor:
    """:func:`bce_dice` of a batch with input ``x`` and ``target``."""
    return bce_dice(model(batch["x"])[0], batch["target"].float(), bce_weight)
