"""The strong stage's loss, w BCE + (1 - w) Dice, and the published form of the Dice score."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from annofree.training.stream import Batch

#: Added above and below in the Dice of the loss, and s of the published score.
_SMOOTH, _PUBLISHED_SMOOTH = 1e-5, 1e-6


def bce_dice(logits: Tensor, target: Tensor, bce_weight: float) -> Tensor:
    """``w BCE + (1 - w) (1 - Dice)`` of logits and targets ``(B, 1, ...)``, the Dice over all voxels of the batch."""
    logits = logits.float()
    entropy = functional.binary_cross_entropy_with_logits(logits, target)
    probability = torch.sigmoid(logits)
    overlap = (probability * target).sum()
    dice = (2.0 * overlap + _SMOOTH) / (probability.sum() + target.sum() + _SMOOTH)
    return bce_weight * entropy + (1.0 - bce_weight) * (1.0 - dice)


def bce_dice_objective(model: nn.Module, batch: Batch, *, bce_weight: float) -> Tensor:
    """:func:`bce_dice` of a batch with input ``x`` and ``target``."""
    return bce_dice(model(batch["x"])[0], batch["target"].float(), bce_weight)


def smoothed_dice(mask: Tensor, truth: Tensor) -> float:
    """The published Dice score of boolean arrays, ``(2 |P and T| + s) / (|P| + |T| + s)``: 1 where both are empty.

    For an empty mask and a tumour of T voxels it is s / (T + s), about 1e-11 for 100,000 voxels: the value of the
    published all-background check.
    """
    both = float((mask & truth).sum())
    return (2.0 * both + _PUBLISHED_SMOOTH) / (float(mask.sum()) + float(truth.sum()) + _PUBLISHED_SMOOTH)
