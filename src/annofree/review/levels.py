"""Score maps as levels between slider stops, so that a browser counts exactly the voxels that Python counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annofree.segmentation import Unit

#: Levels fit in a byte: 0 for the outside and for what no stop lets through.
STOPS = 254


@dataclass(frozen=True, eq=False)
class Levels:
    """A score map cut at the stops of a slider.

    `values > k` holds exactly where `scores > stops[k]` and the voxel counts, so a mask and its volume at any stop
    need no scores at all.

    Attributes:
        values: Uint8 (X, Y, Z): the number of stops that the voxel's score exceeds; 0 where voxels do not count.
        stops: Float32, ascending; the method's own threshold is one of them.
        own: Index of that stop.
        counts: Voxels per level, 0 first.
    """

    values: NDArray[np.uint8]
    stops: NDArray[np.float32]
    own: int
    counts: NDArray[np.int64]

    def voxels_above(self, stop: int) -> int:
        """Voxels whose score is above a stop."""
        return int(self.counts[stop + 1 :].sum())

    def steadiness(self) -> float | None:
        """How little the volume hangs on the threshold, 0 to 1; None where nothing is above it.

        The volume a tenth of the reach above the threshold, divided by the volume a tenth below it. The reach is the
        distance from the threshold to the brain's median score, or to 0 for probabilities.
        """
        own, low = float(self.stops[self.own]), float(self.stops[0])
        step = 0.1 * (own - low)
        above = self.voxels_above(int(np.abs(self.stops - (own + step)).argmin()))
        below = self.voxels_above(int(np.abs(self.stops - (own - step)).argmin()))
        return above / below if below else None


def make_levels(scores: NDArray[np.float32], unit: Unit, threshold: float, counts_where: NDArray[np.bool_]) -> Levels:
    """Cut a score map at slider stops.

    Scores are (X, Y, Z); only voxels of `counts_where`, the brain or the region around, may belong to a mask.
    """
    inside = scores[counts_where]
    stops, own = _stops(inside, threshold, unit)
    values = np.zeros(scores.shape, dtype=np.uint8)
    # 'left' counts the stops that are smaller than the score: the same comparison as score > stop, in float32.
    values[counts_where] = np.searchsorted(stops, inside, side="left")
    counts = np.bincount(values[counts_where], minlength=stops.size + 1)
    return Levels(values, stops, own, counts)


def _stops(inside: NDArray[np.float32], threshold: float, unit: str) -> tuple[NDArray[np.float32], int]:
    low, high = float(threshold) - 1.0, float(threshold) + 1.0
    if unit == "probability":
        low, high = min(0.0, threshold), max(1.0, threshold)
    elif inside.size:
        low = min(float(np.median(inside)), float(threshold))
        reach = max(float(threshold) - low, 1e-3 * max(1.0, abs(threshold)))
        low = float(threshold) - reach
        high = max(float(np.quantile(inside, 0.9995)), float(threshold) + reach)
    stops = np.linspace(low, high, STOPS).astype(np.float32)
    own = int(np.abs(stops - np.float32(threshold)).argmin())
    stops[own] = np.float32(threshold)
    return stops, own
