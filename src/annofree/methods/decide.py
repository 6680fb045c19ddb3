"""From score maps to labels: thresholds, then refiners, then one label per voxel. The same for every method."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annofree.progress import stage
from annofree.refine import refine
from annofree.refine.base import RefineContext, Refiner
from annofree.scan import Modality
from annofree.segmentation import ScoreMap
from annofree.thresholds.base import Threshold

#: Each region lies inside the one before it; the label that is written where it is the innermost.
NESTED = (("WT", 2), ("TC", 1), ("ET", 3))


@dataclass(frozen=True, eq=False)
class Decision:
    """Labels and how they came about.

    Attributes:
        labels: Uint8 (X, Y, Z): 0 background, 1 core, 2 oedema, 3 enhancing.
        thresholds: The thresholds with the values that they had for this scan.
        notes: Sentences that refiners left behind.
    """

    labels: NDArray[np.uint8]
    thresholds: dict[str, Threshold]
    notes: tuple[str, ...] = ()


def decide(
    scores: Mapping[str, ScoreMap],
    thresholds: Mapping[str, Threshold],
    refiners: Mapping[str, Iterable[Refiner]],
    *,
    brain: NDArray[np.bool_],
    spacing_mm: tuple[float, float, float],
    images: Mapping[Modality, NDArray[np.float32]] | None = None,
) -> Decision:
    """Labels from scores.

    Args:
        scores: Score maps; the ones named "WT", "TC", "ET" decide, the others are ignored.
        thresholds: One per region.
        refiners: Refiners per region, applied in order.
        brain: (X, Y, Z) boolean; nothing outside it is labelled.
        spacing_mm: Voxel edges in mm.
        images: Images for refiners that look at them.

    Returns:
        The labels, the thresholds with the values used, and what the refiners had to say.
    """
    stage("thresholds and clean-up")
    labels = np.zeros(brain.shape, dtype=np.uint8)
    used: dict[str, Threshold] = {}
    notes: list[str] = []
    found = [(region, label) for region, label in NESTED if region in scores]
    for region, _ in found:
        used[region] = thresholds[region].resolve(scores[region].values, brain)
    outer = brain
    for place, (region, label) in enumerate(found):
        called = [_called(scores[name].values, used[name]) for name, _ in found[place : place + 2]]
        context = RefineContext(
            scores=scores[region].values,
            brain=brain,
            spacing_mm=spacing_mm,
            images=images,
            threshold_value=used[region].value,
            inner=called[1] if len(called) > 1 else None,
        )
        mask = refine(called[0] & outer, refiners.get(region, ()), context) & outer
        notes += context.notes
        labels[mask] = label
        outer = mask
    return Decision(labels, used, tuple(notes))


def _called(scores: NDArray[np.float32], threshold: Threshold) -> NDArray[np.bool_]:
    assert threshold.value is not None
    called: NDArray[np.bool_] = scores > threshold.value
    return called
