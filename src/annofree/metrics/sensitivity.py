"""How much a result hangs on its threshold: Dice by rank of a fixed threshold, as published tables of baselines do it.

The published "UB" and "SB" are the best and second-best of ten equally spaced thresholds, chosen with the truth. UB is
no upper bound: the best of a fine grid is. All of it is tier T3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.metrics.ranking import RankCounts, oracle_common_curve


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """Dice of every case at common thresholds.

    Attributes:
        thresholds: (K,) ascending; rank 1 is the first.
        dice: (cases, K).
    """

    thresholds: NDArray[np.float32]
    dice: NDArray[np.float64]

    @property
    def mean(self) -> NDArray[np.float64]:
        """(K,) mean Dice over cases."""
        out: NDArray[np.float64] = self.dice.mean(axis=0)
        return out

    def best(self, place: int = 1) -> int:
        """Index of the best (1), second-best (2), ... threshold by mean Dice."""
        return int(np.argsort(-self.mean, kind="stable")[place - 1])

    @property
    def width(self) -> float:
        """Ratio of the highest to the lowest positive threshold whose mean Dice is within a tenth of the best.

        1 where only one threshold is; the larger, the less the choice matters.
        """
        good = self.thresholds[(self.mean >= 0.9 * self.mean.max()) & (self.thresholds > 0)]
        return float(good.max() / good.min()) if good.size else float("nan")


def sensitivity(tables: Sequence[RankCounts], steps: int | None = 10) -> Sensitivity:
    """Dice by threshold.

    Args:
        tables: One a case, of one score map.
        steps: Equally spaced thresholds between the lowest and the highest score of all cases (10 as published); None
            takes a fine grid of 500 that holds the best common threshold.

    Raises:
        InputError: No case has a tumour, or there are fewer than 2 steps.
    """
    if not any(table.tumour_voxels for table in tables):
        raise InputError("A sensitivity curve needs a case with tumour")
    if steps is None:
        thresholds = oracle_common_curve(tables)[0][::-1]
    elif steps < 2:
        raise InputError(f"{steps} thresholds are no curve", fix="Use 2 or more; 10 as published")
    else:
        low = min(float(table.scores.min()) for table in tables)
        high = max(float(table.scores.max()) for table in tables)
        thresholds = np.linspace(low, high, steps, dtype=np.float32)
    return Sensitivity(thresholds, np.stack([table.dice_at(thresholds) for table in tables]))
