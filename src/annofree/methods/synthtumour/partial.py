"""Labels that leave some voxels open: a region there may be or not be, and the loss does not look.

One byte a voxel holds both: the label 0..3 in the two low bits, and one bit a region that is not known there. Crops,
flips and nearest-neighbour resampling carry it like any label map.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from annofree.training.losses import EVEN, Mix, deep_dice_ce, regions_of
from annofree.training.stream import Batch, Sampler, TrainingCase

LABEL_BITS = 0b11
UNSURE_WT, UNSURE_TC, UNSURE_ET = 4, 8, 16
UNSURE = (UNSURE_WT, UNSURE_TC, UNSURE_ET)
"""The bit of each region, in the order WT, TC, ET."""


def pack(sure: NDArray[np.bool_], unsure: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Partial labels ``(X, Y, Z)`` uint8 from what is known of each region, ``(3, X, Y, Z)`` each.

    Where WT, TC and ET are sure, inner regions count inside outer ones only. Unsure wins over sure; where an outer
    region is not known, an inner one that is said to be sure is not known either.
    """
    out, flags = np.zeros(sure.shape[1:], np.uint8), np.zeros(sure.shape[1:], np.uint8)
    inside, left_open = np.ones(sure.shape[1:], bool), np.zeros(sure.shape[1:], bool)
    for known, unknown, label, bit in zip(sure, unsure, (2, 1, 3), UNSURE, strict=True):
        left_open = unknown | (left_open & known)
        inside = inside & known & ~left_open
        out[inside] = label
        flags[left_open] |= np.uint8(bit)
    return out | flags


def core_left_open(case: TrainingCase) -> TrainingCase:
    """A pseudo-labelled case in which core that does not enhance may be core or not.

    Enhancement is measured in the scan itself; core beside it is an opinion of the first network, and a second one that
    learned it would only be surer of it.
    """
    images, brain, labels = case
    opinion = (labels & LABEL_BITS) == 1
    return images, brain, torch.where(opinion, labels | UNSURE_TC, labels)


class PartialSampler:
    """Samples of another sampler whose ``labels`` are partial, taken apart."""

    def __init__(self, sampler: Sampler) -> None:
        self.sampler = sampler

    def __call__(self, step: int, lane: int) -> Batch:
        """``x``, ``labels`` (*patch) 0..3 and ``known`` (3, *patch), false outside the brain."""
        sample = self.sampler(step, lane)
        packed = sample["labels"]
        unsure = torch.stack([(packed & bit) > 0 for bit in UNSURE])
        return {"x": sample["x"], "labels": packed & LABEL_BITS, "known": sample["brain"] & ~unsure}


def partial_objective(model: nn.Module, batch: Mapping[str, Tensor], *, mix: Mix = EVEN) -> Tensor:
    """Dice and cross-entropy over the levels of a network, region by region where the region is known.

    As :func:`annofree.training.losses.deep_dice_ce`; a coarse voxel's target is the share of tumour among those of
    its fine voxels that are known, and it counts as much as they are many. The batch has ``x``, ``labels``
    (B, X, Y, Z) 0..3 and ``known`` (B, 3, X, Y, Z).
    """
    known = batch["known"].float()
    target = regions_of(batch["labels"]) * known
    return deep_dice_ce(model(batch["x"]), target, known, mix=mix, partly=True)
