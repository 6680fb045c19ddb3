"""Rows that every table needs beside a method's: what no method at all, or another patient's answer, would score."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree.masks import joint_box
from annofree.metrics.case import CaseScores, score_case
from annofree.metrics.empty_cases import emptiness, settle
from annofree.metrics.lesionwise import LESION_RULES, LesionRule, lesionwise
from annofree.metrics.overlap import Overlap
from annofree.segmentation import REGIONS

SANITY_ROWS = ("all background", "all foreground", "random at prevalence", "atlas lobe")


def sanity_labels(
    truth_labels: NDArray[Any],
    brain: NDArray[np.bool_],
    *,
    rng: np.random.Generator,
    lobe: NDArray[np.bool_] | None = None,
) -> dict[str, NDArray[np.uint8]]:
    """Label maps (X, Y, Z) of predictions that need no image.

    Args:
        truth_labels: (X, Y, Z) labels 0..3; only the frequency of each label inside the brain is used.
        brain: Boolean (X, Y, Z).
        rng: Source of the random row.
        lobe: Boolean (X, Y, Z) lobe that a report would name; without it there is no such row.

    Returns:
        By name: nothing; the whole brain (as enhancing tumour, so that WT, TC and ET are all full); labels at random
        with the truth's frequencies; the lobe.
    """
    truth = np.asarray(truth_labels)
    whole = np.where(brain, np.uint8(3), np.uint8(0))
    voxels = int(np.count_nonzero(brain))
    shares = np.array([np.count_nonzero(truth[brain] == label) for label in (1, 2, 3)]) / max(voxels, 1)
    drawn = np.zeros(brain.shape, np.uint8)
    label = np.searchsorted(np.cumsum(shares), rng.random(voxels), side="right")
    drawn[brain] = np.where(label < 3, label + 1, 0)
    rows = dict(zip(SANITY_ROWS, (np.zeros(brain.shape, np.uint8), whole, drawn), strict=False))
    if lobe is not None:
        rows["atlas lobe"] = np.where(lobe, np.uint8(3), np.uint8(0))
    return rows


def score_sanity(
    truth_labels: NDArray[Any],
    brain: NDArray[np.bool_],
    spacing_mm: tuple[float, float, float],
    *,
    rng: np.random.Generator,
    lobe: NDArray[np.bool_] | None = None,
    **options: Any,
) -> dict[str, CaseScores]:
    """Score the rows of `sanity_labels`; `options` go to `score_case` (case, regions, task, kind...)."""
    predictions = sanity_labels(truth_labels, brain, rng=rng, lobe=lobe)
    return {
        name: score_case(labels, truth_labels, spacing_mm, brain=brain, **options)
        for name, labels in predictions.items()
    }


def quick_scores(
    labels: NDArray[np.uint8],
    truth_labels: NDArray[np.uint8],
    regions: Iterable[str],
    spacing_mm: tuple[float, float, float],
    rule: LesionRule = LESION_RULES["GLI"],
) -> dict[tuple[str, str], float]:
    """Volume and lesion-wise Dice alone, by (region, metric): what a sanity row of a large cohort needs.

    Both label maps are (X, Y, Z), labels 0..3.
    """
    box = joint_box(truth_labels, labels, margin_vox=rule.dilation_vox) or (slice(0, 1),) * 3
    values: dict[tuple[str, str], float] = {}
    for region in regions:
        truth, found = (np.isin(array[box], REGIONS[region]) for array in (truth_labels, labels))
        overlap = Overlap.of(truth, found)
        state = emptiness(overlap.truth, overlap.prediction)
        wise = lesionwise(truth, found, spacing_mm, rule, distances=False)
        values[region, "dice"] = settle("dice", state, partial(getattr, overlap, "dice"))
        values[region, "lesionwise_dice"] = settle("lesionwise_dice", state, partial(getattr, wise, "dice"))
    return values


def placed(labels: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """A label map (X, Y, Z) in the middle of another shape, cut or filled with background."""
    out = np.zeros(shape, labels.dtype)
    cut, into = [], []
    for have, want in zip(labels.shape, shape, strict=True):
        size = min(have, want)
        cut.append(slice((have - size) // 2, (have - size) // 2 + size))
        into.append(slice((want - size) // 2, (want - size) // 2 + size))
    out[tuple(into)] = labels[tuple(cut)]
    return out
