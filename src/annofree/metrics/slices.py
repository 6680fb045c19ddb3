"""Dice slice by slice, the protocol of two-dimensional methods.

Not comparable with a Dice of the volume: small cross-sections at a tumour's ends count as much as its middle, and the
choice of slices changes the mean more than most methods do. Both common choices are here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annofree.masks import both_masks


@dataclass(frozen=True, eq=False)
class SliceDice:
    """Dice of each slice along one axis.

    Attributes:
        dice: (N,) Dice; NaN where both masks are empty.
        has_truth: (N,) whether the truth is in that slice.
    """

    dice: NDArray[np.float64]
    has_truth: NDArray[np.bool_]

    @classmethod
    def of(cls, truth: NDArray[np.bool_], prediction: NDArray[np.bool_], axis: int = 2) -> SliceDice:
        """Slice two boolean (X, Y, Z) masks along `axis`; 2 gives axial slices."""
        truth, prediction = both_masks(truth, prediction)
        within = tuple(other for other in range(3) if other != axis % 3)
        true, predicted = np.count_nonzero(truth, axis=within), np.count_nonzero(prediction, axis=within)
        both = np.count_nonzero(truth & prediction, axis=within)
        total = true + predicted
        return cls(np.where(total > 0, 2 * both / np.maximum(total, 1), np.nan), true > 0)

    @property
    def over_truth(self) -> float:
        """Mean over the slices that hold tumour: false alarms elsewhere are not seen."""
        return float(self.dice[self.has_truth].mean())

    @property
    def over_any(self) -> float:
        """Mean over the slices where truth or prediction holds tumour: a false slice counts 0."""
        return float(np.nanmean(self.dice))
