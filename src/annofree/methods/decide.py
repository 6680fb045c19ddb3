"""From score maps to labels: thresholds, then refiners, then one label per voxel. The same for every method."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from annofree.refine.base import RefineContext, Refiner
from annofree.scan import Sequence
from annofree.segmentation import ScoreMap
from annofree.thresholds.base import Threshold

#: Each region lies inside the one before it; the label that is written where it is the innermost.
NESTED = (("WT", 2), ("TC", 1), ("ET", 3))


def decide(
    scores: Mapping[str, ScoreMap],
    thresholds: Mapping[str, Threshold],
    refiners: Mapping[str, Iterable[Refiner]],
    *,
    brain: NDArray[np.bool_],
    spacing_mm: tuple[float, float, float],
    images: Mapping[Sequence, NDArray[np.float32]] | None = None,
) -> tuple[NDArray[np.uint8], dict[str, float]]:
    """Labels from scores.

    Args:
        scores: Score maps; the ones named "WT", "TC", "ET" decide, the others are ignored.
        thresholds: One per region.
        refiners: Refiners per region, applied in order.
        brain: (X, Y, Z) boolean; nothing outside it is labelled.
        spacing_mm: Voxel edges in mm.
        images: Images for refiners that look at them.

    Returns:
        Uint8 (X, Y, Z) labels (0 background, 1 core, 2 oedema, 3 enhancing) and the threshold values used.
    """
    labels = np.zeros(brain.shape, dtype=np.uint8)
    values: dict[str, float] = {}
    outer = brain
    for region, label in NESTED:
        if region not in scores:
            continue
        score = scores[region].values
        values[region] = thresholds[region].value_for(score, brain)
        mask = (score > values[region]) & brain & outer
        context = RefineContext(
            scores=score, brain=brain, spacing_mm=spacing_mm, images=images, threshold_value=values[region]
        )
        for refiner in refiners.get(region, ()):
            mask = refiner.apply(mask, context)
        mask = mask & outer
        labels[mask] = label
        outer = mask
    return labels, values
