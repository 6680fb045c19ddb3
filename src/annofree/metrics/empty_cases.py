"""What each metric says when there is no lesion in the truth, in the prediction, or in either: one table, no ifs.

A silent method must not win: with a lesion in the truth and nothing predicted, precision is 0 rather than undefined.
A healthy scan says nothing about recall or detection, so these are NaN there and a summary counts them as undefined.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import nan
from typing import Literal, NamedTuple

#: Distance in mm given to a lesion without counterpart: the diagonal of the 240x240x155 mm BraTS grid, rounded up
#: (373.1); the constant of the BraTS 2023 rule.
WORST_MM = 374.0

Emptiness = Literal["neither", "both", "no_truth", "no_prediction"]


class EmptyCase(NamedTuple):
    """Values of one metric for the three empty cases; None means that its formula holds there as it stands."""

    both: float | None
    no_truth: float | None
    no_prediction: float | None


EmptyPolicy = Mapping[str, EmptyCase]

#: Metric -> value when truth and prediction are both empty, only the truth is, only the prediction is.
EMPTY_CASES: EmptyPolicy = {
    "dice": EmptyCase(1.0, 0.0, 0.0),
    "iou": EmptyCase(1.0, 0.0, 0.0),
    "precision": EmptyCase(1.0, 0.0, 0.0),
    "recall": EmptyCase(nan, nan, 0.0),
    "relative_volume_error": EmptyCase(0.0, nan, 1.0),
    "hd_mm": EmptyCase(0.0, WORST_MM, WORST_MM),
    "hd95_mm": EmptyCase(0.0, WORST_MM, WORST_MM),
    "surface_dice": EmptyCase(1.0, 0.0, 0.0),
    "lesionwise_dice": EmptyCase(1.0, 0.0, None),
    "lesionwise_hd95_mm": EmptyCase(0.0, WORST_MM, None),
    "lesion_precision": EmptyCase(1.0, 0.0, 0.0),
    "lesion_recall": EmptyCase(nan, nan, 0.0),
    "lesion_f1": EmptyCase(1.0, 0.0, 0.0),
    "lesion_matched_dice": EmptyCase(nan, nan, nan),
    "detected": EmptyCase(nan, nan, 0.0),
    "detected_dice10": EmptyCase(nan, nan, 0.0),
    "slice_dice_truth": EmptyCase(nan, nan, 0.0),
    "slice_dice_any": EmptyCase(1.0, 0.0, 0.0),
    "average_precision": EmptyCase(nan, nan, None),
    "auroc": EmptyCase(nan, nan, None),
    "oracle_best_dice": EmptyCase(nan, nan, None),
    "oracle_best_threshold": EmptyCase(nan, nan, None),
    "oracle_dice_at_fpr5": EmptyCase(nan, nan, None),
}


def emptiness(truth_voxels: int, prediction_voxels: int) -> Emptiness:
    """Which of the two masks is empty."""
    if truth_voxels:
        return "neither" if prediction_voxels else "no_prediction"
    return "no_truth" if prediction_voxels else "both"


def settle(metric: str, state: Emptiness, compute: Callable[[], float], policy: EmptyPolicy = EMPTY_CASES) -> float:
    """The policy's value for an empty case, else the computed one.

    A metric that the policy does not list is always computed; `compute` is called only where there is no value for this
    state.
    """
    row = policy.get(metric)
    value = None if row is None or state == "neither" else getattr(row, state)
    return compute() if value is None else float(value)
