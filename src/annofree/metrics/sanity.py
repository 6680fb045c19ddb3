"""What a row without any method needs: two numbers quickly, and another patient's label map on a grid."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from annofree.grid import shared_part
from annofree.masks import joint_box
from annofree.metrics.empty_cases import emptiness, settle
from annofree.metrics.lesionwise import LESION_RULES, LesionRule, lesionwise
from annofree.metrics.overlap import Overlap
from annofree.segmentation import REGIONS


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
    start = [int((have - want) / 2) for have, want in zip(labels.shape, shape, strict=True)]
    there, here = shared_part(start, shape, labels.shape)
    out[here] = labels[there]
    return out
