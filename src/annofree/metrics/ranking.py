"""How well a score map ranks tumour above the rest, whatever the threshold.

Everything follows from one table: for each distinct score, how many tumour and how many other voxels have it. Such
tables of several cases add up, so pooled figures need no second pass over the images.

What is called *oracle* was chosen with the truth of the very case that is scored: an upper bound (tier T3), never a
result.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.masks import as_mask

#: Bits of a float32 that `coarse` drops: nine significant bits remain, scores are kept to 0.2-0.4 %.
_DROPPED_BITS = 15
_LARGEST = np.finfo(np.float32).max


@dataclass(frozen=True, eq=False)
class RankCounts:
    """Voxels by score.

    Attributes:
        scores: (K,) float32 distinct scores, highest first.
        tumour: (K,) tumour voxels with that score.
        other: (K,) other voxels with that score.
    """

    scores: NDArray[np.float32]
    tumour: NDArray[np.int64]
    other: NDArray[np.int64]

    @classmethod
    def of(
        cls, scores: NDArray[np.floating], truth: NDArray[np.bool_], brain: NDArray[np.bool_] | None = None
    ) -> RankCounts:
        """Count the voxels of one case.

        Args:
            scores: (X, Y, Z), higher is more abnormal.
            truth: Boolean (X, Y, Z).
            brain: Voxels to count. Tumour voxels outside it are counted too: a mask that cuts tumour away is no help.
                None counts the whole grid.

        Raises:
            InputError: A score is NaN or complex.
        """
        truth = as_mask(truth, "truth")
        domain = slice(None) if brain is None else as_mask(brain, "brain mask") | truth
        if np.iscomplexobj(scores):
            raise InputError("A score map holds complex numbers", fix="Give their magnitude, np.abs(scores)")
        values = np.asarray(scores, dtype=np.float32)[domain].ravel()
        if np.isnan(values).any():
            raise InputError("A score map holds NaN", fix="Give voxels that were not scored the lowest score")
        values = np.clip(values, -_LARGEST, _LARGEST) + np.float32(0)  # -0 becomes 0
        keys = _to_keys(values).astype(np.int64) << 1
        keys |= truth[domain].ravel()
        keys.sort()
        return cls._from_keys(keys[::-1] >> 1, keys[::-1] & 1 == 1)

    @classmethod
    def _from_keys(cls, keys: NDArray[np.int64], is_tumour: NDArray[np.bool_]) -> RankCounts:
        ends = np.flatnonzero(np.append(keys[1:] != keys[:-1], keys.size > 0))
        tumour = np.diff(np.cumsum(is_tumour, dtype=np.int64)[ends], prepend=0)
        voxels = np.diff(ends, prepend=-1)
        return cls(_to_scores(keys[ends]), tumour, voxels - tumour)

    def coarse(self) -> RankCounts:
        """The same table with scores rounded to nine significant bits: a few thousand rows, small enough to keep."""
        kept = np.uint32(0xFFFFFFFF << _DROPPED_BITS & 0xFFFFFFFF)
        return _merged([(_to_keys(self.scores) & kept, self.tumour, self.other)])

    @staticmethod
    def pooled(tables: Iterable[RankCounts]) -> RankCounts:
        """All voxels of several cases in one table."""
        return _merged([(_to_keys(table.scores), table.tumour, table.other) for table in tables])

    @property
    def tumour_voxels(self) -> int:
        """Tumour voxels in all."""
        return int(self.tumour.sum())

    @property
    def other_voxels(self) -> int:
        """Other voxels in all."""
        return int(self.other.sum())

    def average_precision(self) -> float:
        """Area under the precision-recall steps; NaN without a tumour voxel."""
        if not self.tumour_voxels:
            return float("nan")
        hits, false = np.cumsum(self.tumour), np.cumsum(self.other)
        return float(np.sum(self.tumour * (hits / (hits + false))) / self.tumour_voxels)

    def auroc(self) -> float:
        """Chance that a tumour voxel outranks another one, ties counting half; NaN when either kind is missing."""
        pairs = self.tumour_voxels * self.other_voxels
        if not pairs:
            return float("nan")
        below = self.other_voxels - np.cumsum(self.other) + self.other / 2
        return float(np.sum(self.tumour * below) / pairs)

    def dice_at(self, thresholds: NDArray[np.floating]) -> NDArray[np.float64]:
        """Dice of `score >= threshold` for each threshold; 1 where nothing is predicted and there is no tumour."""
        above = np.searchsorted(-self.scores, -np.asarray(thresholds, dtype=np.float32), side="right")
        hits = np.append(0, np.cumsum(self.tumour))[above]
        false = np.append(0, np.cumsum(self.other))[above]
        total = hits + false + self.tumour_voxels
        return np.where(total > 0, 2 * hits / np.maximum(total, 1), 1.0)

    def oracle(self) -> tuple[float, float]:
        """Best Dice that any threshold gives, and that threshold. Uses the truth (tier T3)."""
        return _best(self.scores, self.dice_at(self.scores))

    def figures(self) -> dict[str, float]:
        """Every figure of the ranking by its name in tables."""
        best, threshold = self.oracle()
        return {
            "average_precision": self.average_precision(),
            "auroc": self.auroc(),
            "oracle_best_dice": best,
            "oracle_best_threshold": threshold,
            "oracle_dice_at_fpr5": self.oracle_dice_at_fpr(),
        }

    def oracle_dice_at_fpr(self, rate: float = 0.05) -> float:
        """Dice at the lowest threshold that marks at most `rate` of the non-tumour voxels.

        Knowing which voxels are not tumour takes the truth, so this is tier T3. (The same threshold taken from healthy
        scans is not: see `annofree.thresholds.HealthyQuantile`.)
        """
        false_rate = np.cumsum(self.other) / max(self.other_voxels, 1)
        allowed = int(np.searchsorted(false_rate, rate, side="right"))
        return float(self.dice_at(self.scores[allowed - 1 : allowed])[0]) if allowed else 0.0


def oracle_common_curve(
    tables: Sequence[RankCounts], steps: int = 500
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Mean Dice over cases by common threshold, highest threshold first. Choosing from it uses the truth (tier T3).

    Args:
        tables: One table a case.
        steps: Thresholds at most: quantiles of the scores with equally many tumour voxels between them.

    Returns:
        Thresholds and mean Dice; both empty when no case has tumour.
    """
    pooled = RankCounts.pooled(tables)
    if not pooled.tumour_voxels:
        return np.empty(0, np.float32), np.empty(0)
    recall = np.cumsum(pooled.tumour) / pooled.tumour_voxels
    at = np.searchsorted(recall, np.linspace(0, 1, steps, endpoint=False), side="right")
    thresholds = pooled.scores[np.unique(at)]
    return thresholds, np.mean([table.dice_at(thresholds) for table in tables], axis=0)


def oracle_common_threshold(tables: Sequence[RankCounts], steps: int = 500) -> tuple[float, float]:
    """Best mean Dice over cases that one common threshold gives, and that threshold; NaN without tumour (tier T3)."""
    return _best(*oracle_common_curve(tables, steps))


def _best(thresholds: NDArray[np.float32], dice: NDArray[np.float64]) -> tuple[float, float]:
    if not thresholds.size:
        return float("nan"), float("nan")
    best = int(np.argmax(dice))
    return float(dice[best]), float(thresholds[best])


def _merged(parts: list[tuple[NDArray[np.uint32], NDArray[np.int64], NDArray[np.int64]]]) -> RankCounts:
    keys, row = np.unique(np.concatenate([part[0] for part in parts]), return_inverse=True)
    tumour, other = np.zeros(keys.size, np.int64), np.zeros(keys.size, np.int64)
    np.add.at(tumour, row, np.concatenate([part[1] for part in parts]))
    np.add.at(other, row, np.concatenate([part[2] for part in parts]))
    return RankCounts(_to_scores(keys[::-1]), tumour[::-1], other[::-1])


def _to_keys(scores: NDArray[np.float32]) -> NDArray[np.uint32]:
    """Unsigned integers in the order of the floats: flip the sign bit, and all bits of negative numbers."""
    bits = np.ascontiguousarray(scores).view(np.uint32)
    sign = np.uint32(0x80000000)
    keys: NDArray[np.uint32] = np.where(bits & sign, ~bits, bits | sign)
    return keys


def _to_scores(keys: NDArray[np.integer]) -> NDArray[np.float32]:
    keys = keys.astype(np.uint32)
    sign = np.uint32(0x80000000)
    return np.where(keys & sign, keys ^ sign, ~keys).astype(np.uint32).view(np.float32)
