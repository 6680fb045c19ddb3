"""Rows that every table needs beside a method's: what no method at all would score."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree.metrics.case import CaseScores, score_case

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
