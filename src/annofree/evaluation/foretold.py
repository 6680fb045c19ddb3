"""How well the expected Dice and the intervals of the volume that a run stated held against the truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from annofree.metrics import CaseScores
from annofree.segmentation import Segmentation

#: Fewer cases than this have no correlation worth a number.
FEWEST = 4


class Foretold(NamedTuple):
    """What was stated of one scan's whole tumour, None where nothing was, beside its real Dice and volume."""

    expected: float | None
    dice: float
    low_ml: float | None
    high_ml: float | None
    true_ml: float

    @classmethod
    def of(cls, answer: Segmentation, case: CaseScores) -> Foretold:
        """From an answer and its scores."""
        low, high = answer.volume_interval or (None, None)
        return cls(answer.expected_dice, case.value("dice"), low, high, case.value("truth_ml"))


def foretold_sentence(cases: Sequence[Foretold]) -> str:
    """How well it held, in words; "" where nothing was stated, or no scan has a tumour."""
    cases = [one for one in cases if one.true_ml > 0]
    pairs = np.array([(one.expected, one.dice) for one in cases if one.expected is not None])
    held = [(one.low_ml or 0.0) <= one.true_ml <= one.high_ml for one in cases if one.high_ml is not None]
    parts = []
    if len(pairs):
        expected, real = pairs.T
        parts.append(f"mean absolute error {np.abs(expected - real).mean():.3f} over {len(pairs)}")
        if len(pairs) >= FEWEST and np.ptp(expected) > 0 and np.ptp(real) > 0:
            from scipy.stats import spearmanr

            parts.append(f"Spearman {spearmanr(expected, real).statistic:.2f}")
    told = [f"Expected against real Dice of the whole tumour: {', '.join(parts)}."] if parts else []
    if held:
        told.append(f"{sum(held)} of {len(held)} true volumes lie inside their 90 % interval.")
    return " ".join(told)
