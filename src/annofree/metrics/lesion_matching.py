"""Lesions found one by one: predicted and true components matched by Dice, as in the 2026 BraTS package.

Unlike the 2023 rule (`lesionwise`) nothing is dilated, merged or ignored: a lesion predicted in two pieces is one hit
and one false alarm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annofree.masks import both_masks
from annofree.metrics.components import Components, shared_voxels

#: A pair counts from this Dice on: any overlap at all, in the 2026 package.
MINIMUM_DICE = 1e-6


@dataclass(frozen=True)
class LesionMatches:
    """Matched pairs and what was left over; the ratios divide plainly (empty cases: `empty_cases`).

    Each pair has its Dice, its intersection over union, and the numbers of its true and its predicted component as in
    `Components`. True lesions without partner are missed, predicted components without partner false.
    """

    dice: tuple[float, ...]
    missed: int
    false: int
    iou: tuple[float, ...] = ()
    pairs: tuple[tuple[int, int], ...] = ()

    @property
    def hits(self) -> int:
        """Matched pairs."""
        return len(self.dice)

    @property
    def precision(self) -> float:
        """Share of the predicted components that are matched."""
        return self.hits / (self.hits + self.false)

    @property
    def recall(self) -> float:
        """Share of the true lesions that are matched."""
        return self.hits / (self.hits + self.missed)

    @property
    def f1(self) -> float:
        """2 hits / (2 hits + false + missed)."""
        return 2 * self.hits / (2 * self.hits + self.false + self.missed)

    @property
    def matched_dice(self) -> float:
        """Mean Dice of matched pairs alone ("segmentation quality"); NaN without a match."""
        return float(np.mean(self.dice)) if self.dice else float("nan")


def match_lesions(
    truth: NDArray[np.bool_],
    prediction: NDArray[np.bool_],
    *,
    minimum_iou: float | None = None,
    lesions: Components | None = None,
    predicted: Components | None = None,
) -> LesionMatches:
    """Match 26-connected components of two boolean (X, Y, Z) masks one to one.

    The sum of Dice is as large as can be, and any overlap at all may match; given a `minimum_iou`, pairs are judged by
    intersection over union and must reach that. `lesions` and `predicted` are the components, when the caller has them
    already.
    """
    truth, prediction = both_masks(truth, prediction)
    lesions = lesions if lesions is not None else Components.of(truth)
    found = predicted if predicted is not None else Components.of(prediction)
    first, second, both = shared_voxels(lesions.numbers, found.numbers)
    sizes = lesions.voxels[first] + found.voxels[second]
    dice, iou = 2 * both / sizes, both / (sizes - both)
    good = np.flatnonzero(dice >= MINIMUM_DICE if minimum_iou is None else iou >= minimum_iou)
    chosen = good[_optimal(first[good], second[good], (dice if minimum_iou is None else iou)[good])]
    return LesionMatches(
        tuple(dice[chosen].tolist()),
        lesions.count - len(chosen),
        found.count - len(chosen),
        tuple(iou[chosen].tolist()),
        tuple(zip(first[chosen].tolist(), second[chosen].tolist(), strict=True)),
    )


def _optimal(first: NDArray[np.intp], second: NDArray[np.intp], score: NDArray[np.float64]) -> NDArray[np.intp]:
    from scipy.optimize import linear_sum_assignment

    rows, row = np.unique(first, return_inverse=True)
    columns, column = np.unique(second, return_inverse=True)
    table = np.zeros((rows.size, columns.size))
    place = np.full(table.shape, -1, np.intp)
    table[row, column], place[row, column] = score, np.arange(score.size)
    best: NDArray[np.intp] = place[linear_sum_assignment(table, maximize=True)]
    return np.asarray(best[best >= 0], np.intp)
