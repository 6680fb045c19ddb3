"""Voxel overlap of two masks: Dice, IoU, precision, recall and volume errors from three counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annofree.masks import both_masks


@dataclass(frozen=True)
class Overlap:
    """Voxels that truth and prediction share, and those that only one of them has.

    The ratios divide plainly; what they mean for empty masks is decided in `annofree.metrics.empty_cases`.

    Example:
        >>> import numpy as np
        >>> Overlap.of(np.array([1, 1, 0], bool), np.array([0, 1, 1], bool)).dice
        0.5
    """

    both: int
    only_truth: int
    only_prediction: int

    @classmethod
    def of(cls, truth: NDArray[np.bool_], prediction: NDArray[np.bool_]) -> Overlap:
        """Count two boolean masks of equal shape (any number of dimensions)."""
        truth, prediction = both_masks(truth, prediction)
        both = int(np.count_nonzero(truth & prediction))
        return cls(both, int(np.count_nonzero(truth)) - both, int(np.count_nonzero(prediction)) - both)

    @property
    def truth(self) -> int:
        """Voxels of the truth."""
        return self.both + self.only_truth

    @property
    def prediction(self) -> int:
        """Voxels of the prediction."""
        return self.both + self.only_prediction

    @property
    def dice(self) -> float:
        """2 |T and P| / (|T| + |P|)."""
        return 2 * self.both / (self.truth + self.prediction)

    @property
    def iou(self) -> float:
        """|T and P| / |T or P|."""
        return self.both / (self.both + self.only_truth + self.only_prediction)

    @property
    def precision(self) -> float:
        """Share of the prediction that is true."""
        return self.both / self.prediction

    @property
    def recall(self) -> float:
        """Share of the truth that is predicted."""
        return self.both / self.truth

    @property
    def relative_volume_error(self) -> float:
        """| |P| - |T| | / |T|."""
        return abs(self.prediction - self.truth) / self.truth
