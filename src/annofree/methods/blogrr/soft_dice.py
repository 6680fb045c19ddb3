"""BLOGRR's upper loss: soft Dice between a softly thresholded error map and what the report makes likely."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Total = Callable[[Tensor], Tensor]
"""From a sum over this process's samples to the sum over all processes, differentiable in its own part."""

SLOPE = 50.0
_SMOOTH = 1e-6


def soft_mask(scores: Tensor, threshold: Tensor, slope: float = SLOPE) -> Tensor:
    """`1 / (1 + exp(-slope (scores - threshold)))`, finite for any input, with a gradient in both.

    ``(B, ...)`` scores and a threshold ``(B,)`` each; at a slope of 50 it goes from 0.1 to 0.9 within 0.088.
    """
    return torch.sigmoid(slope * (scores - threshold.view(-1, *([1] * (scores.ndim - 1)))))


def alone(part: Tensor) -> Tensor:
    """The total over one process."""
    return part


def soft_dice_loss(
    mask: Tensor, target: Tensor, *, pooled: bool = True, world: int = 1, total: Total = alone
) -> Tensor:
    """1 - soft Dice, `(2 sum(mask target) + 1e-6) / (sum(mask) + sum(target) + 1e-6)`, of ``(B, ...)`` in 0..1.

    Over several processes (`world`, whose sums `total` gives) the sum of the returned values is the loss of all
    samples, and the sum of their gradients its gradient. Pooled, as published, sums run over all samples together, so
    that slices without a target only add false positives; otherwise it is the mean of each sample's own loss.
    """
    both, found, wanted = (part.flatten(1).sum(1) for part in (mask * target, mask, target))
    if pooled:
        both, found, wanted = (total(part.sum()) for part in (both, found, wanted))
    loss = 1.0 - (2.0 * both + _SMOOTH) / (found + wanted + _SMOOTH)
    if pooled:
        return loss - (1.0 - 1.0 / world) * loss.detach()
    return loss.mean() / world
