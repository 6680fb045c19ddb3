"""How well a threshold fits a report, without any mask.

A report says three things that a mask of whole lobes does not: what is called outside the named regions is false
(one-sided), how large the tumour is (a range), and that what stands out inside, more than outside, is the tumour.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from annofree.intensity import robust_level
from annofree.reports import PriorSettings, VolumeRange
from annofree.thresholds.report_targets import ReportTarget

Values = NDArray[np.float64]
Form = Literal["auto", "expected-dice", "soft-target"]

#: A lesion of unknown size; what a healthy brain's false positives are compared with.
UNKNOWN_ML = PriorSettings().unknown_ml
#: Weights of the penalties beside the soft Dice, in Dice: what lies outside, and an e-fold away from the volume range.
OUTSIDE, RANGE = 0.5, 0.1
_HIGHEST_RATE = 0.5


@dataclass(frozen=True, eq=False)
class Counts:
    """How many brain voxels score above each value, where the tumour may be and where it is not.

    Attributes:
        inside: (T,) voxels above each of T ascending values, inside.
        outside: (T,) voxels above, outside.
        room_inside: Voxels inside.
        room_outside: Voxels outside.
    """

    inside: Values
    outside: Values
    room_inside: int
    room_outside: int

    @classmethod
    def of(
        cls, scores: NDArray[np.float32], inside: NDArray[np.bool_], outside: NDArray[np.bool_], values: Values
    ) -> Counts:
        """Count."""
        sides = [np.sort(scores[part]) for part in (inside, outside)]
        above = [(side.size - np.searchsorted(side, values, side="right")).astype(float) for side in sides]
        return cls(above[0], above[1], sides[0].size, sides[1].size)

    @property
    def positives(self) -> Values:
        """(T,) all voxels above."""
        return self.inside + self.outside

    @property
    def rate(self) -> Values:
        """(T,) share of tumour-free brain above each value, by what lies outside."""
        return np.minimum(self.outside / max(self.room_outside, 1), 0.999)

    def tumour_voxels(self) -> float:
        """Least number of tumour voxels that explains why more is above inside than outside.

        With a sensitivity s and a false-positive rate r at some value, the excess (n - r room) / (1 - r) is the tumour
        times (s - r) / (1 - r), which never exceeds the tumour: the largest excess is the best lower bound. Rates above
        one half are left out, where little chance differences are divided by next to nothing.
        """
        excess = np.maximum(self.inside - self.rate * self.room_inside, 0.0) / (1.0 - self.rate)
        return float(np.max(excess[self.rate <= _HIGHEST_RATE], initial=0.0))

    def size(self, volume: VolumeRange | None, voxel_ml: float) -> float:
        """Tumour voxels by the excess, within the reported range and the room there is."""
        voxels = self.tumour_voxels()
        if volume is not None:
            voxels = float(np.clip(voxels, volume.low_ml / voxel_ml, volume.high_ml / voxel_ml))
        return min(max(voxels, 1.0), float(max(self.room_inside, 1)))


def losses(
    scores: NDArray[np.float32],
    brain: NDArray[np.bool_],
    target: ReportTarget | None,
    values: Values,
    voxel_ml: float,
    form: Form = "auto",
) -> Values:
    """The loss (T,) of each of T ascending values as a threshold on one scan's scores, 0 is best.

    Without a target, in a person without a tumour, all that is called is false. The form is "soft-target" with its
    penalties, "expected-dice", or "auto": the first where the report gives a size, the second where it does not (the
    excess alone says too little about the size of a soft target).
    """
    if target is None:
        positives = Counts.of(scores, brain, np.zeros_like(brain), values).positives
        return np.asarray(positives / (positives + UNKNOWN_ML / voxel_ml))
    counts = Counts.of(scores, target.inside & brain, target.outside & brain, values)
    if target.use == "published":
        return np.asarray(1.0 - 2.0 * counts.inside / (counts.positives + max(counts.room_inside, 1)))
    if target.use == "none":  # all that is known is that there is a tumour; of a usual size, for want of better
        size = UNKNOWN_ML / voxel_ml
        return np.asarray(1.0 - 2.0 * np.minimum(counts.positives, size) / (counts.positives + size))
    if form == "soft-target" or (form == "auto" and target.volume is not None):
        soft = soft_target(scores, brain, target, voxel_ml)
        return _with_penalties(counts, scores, brain, soft, target.volume, voxel_ml)
    return 1.0 - expected_dice(counts, target.volume, voxel_ml)


def expected_dice(counts: Counts, volume: VolumeRange | None, voxel_ml: float) -> Values:
    """Dice (T,) that each value would reach, estimated from a report alone.

    Tumour-free brain inside the named regions is taken to score like brain outside them. With V tumour voxels, of the
    voxels called inside `rate x (room - V)` are then false and the rest are true; all that is called outside is false.
    V is the excess (`Counts.tumour_voxels`), kept within the reported range. The answer is (T,), in 0..1.
    """
    size = counts.size(volume, voxel_ml)
    false_inside = counts.rate * (counts.room_inside - size)
    true = np.clip(counts.inside - false_inside, 0.0, np.minimum(size, counts.inside))
    return np.asarray(2.0 * true / (counts.positives + size))


def soft_target(
    scores: NDArray[np.float32],
    brain: NDArray[np.bool_],
    target: ReportTarget,
    voxel_ml: float,
) -> NDArray[np.float32]:
    """Where the tumour probably is: what stands out, inside what the report names, as much as the report says.

    The log-odds are twice the robust z of the scores, shifted by one number so that the probabilities add up to the
    volume: the excess inside, kept within the reported range. Scores, higher is more abnormal, and brain are (X, Y, Z).

    Returns:
        (X, Y, Z) in 0..1, 0 outside `target.inside`. For `use="published"` the named regions as they are.
    """
    where = target.inside & brain
    if target.use == "published":
        return where.astype(np.float32)
    out = np.zeros(scores.shape, dtype=np.float32)
    if not where.any():
        return out
    values = scores[brain].astype(np.float64)
    middle, spread = robust_level(values)
    odds = 2.0 * np.clip((scores[where] - middle) / spread, -10, 10)
    counts = Counts.of(scores, where, target.outside & brain, np.quantile(values, np.linspace(0.5, 0.9995, 200)))
    size = min(counts.size(target.volume, voxel_ml), 0.9 * odds.size)
    low, high = -60.0, 60.0
    for _ in range(50):
        shift = (low + high) / 2
        low, high = (shift, high) if float(expit(odds + shift).sum()) < size else (low, shift)
    out[where] = expit(odds + high)
    return out


def _with_penalties(
    counts: Counts,
    scores: NDArray[np.float32],
    brain: NDArray[np.bool_],
    soft: NDArray[np.float32],
    volume: VolumeRange | None,
    voxel_ml: float,
) -> Values:
    """1 - Dice with a soft target, plus what lies outside, plus the squared log-distance from the volume range."""
    order = np.argsort(scores[brain], kind="stable")
    above = np.concatenate([[0.0], np.cumsum(soft[brain][order][::-1], dtype=np.float64)])
    overlap = above[counts.positives.astype(int)]
    both = counts.positives + float(soft.sum(dtype=np.float64))
    loss = 1.0 - 2.0 * overlap / np.maximum(both, 1e-9) + OUTSIDE * counts.outside / np.maximum(both, 1.0)
    if volume is not None:
        ml = np.maximum(counts.positives * voxel_ml, 1e-3)
        away = np.maximum(np.log(volume.low_ml / ml), 0.0) + np.maximum(np.log(ml / volume.high_ml), 0.0)
        loss = loss + RANGE * np.minimum(away, 3.0) ** 2
    return np.asarray(loss)
