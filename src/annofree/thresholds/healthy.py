"""A quantile of the scores of healthy brains."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from annofree.errors import InputError
from annofree.thresholds.base import Fittable, HealthyScores, brain_scores

#: A quantile is only given where at least this many voxels of each scan lie beyond it.
_BEYOND = 10
#: Order statistics kept of each scan; the rank of any voxel is then known to 2e-6.
_KEPT = 2**18


class HealthyQuantile(Fittable):
    """The value that a stated share of healthy brain voxels stays below; every scan has equal weight.

    Attributes:
        quantile: The share, between 0 and 1.
        floor: A lowest value: where the quantile lies below it, the floor is used, and said.
        min_scans: Fewer healthy scans than this are refused.
    """

    kind: ClassVar[str] = "healthy-quantile"
    main: ClassVar[tuple[str, ...]] = ("quantile",)

    quantile: float = Field(gt=0, lt=1)
    floor: float | None = None
    min_scans: int = Field(3, ge=1)

    @property
    def needed_scans(self) -> int:
        """The setting."""
        return self.min_scans

    def fit(self, healthy: Iterable[HealthyScores]) -> Self:
        """The quantile of the equal-weight mixture of the scans' brain scores."""
        kept: list[NDArray[Any]] = []
        ids: list[str] = []
        voxels = 0
        tail = min(self.quantile, 1 - self.quantile)
        for scan in healthy:
            values = brain_scores(scan.scores, scan.brain, scan.id)
            if values.size * tail < _BEYOND:
                raise InputError(
                    f"Scan '{scan.id}' has too few brain voxels for the quantile {self.quantile:g}",
                    why=f"it has {values.size}, and {int(np.ceil(_BEYOND / tail))} are needed",
                    fix="Use a less extreme quantile or a finer grid",
                )
            kept.append(_order_statistics(values))
            ids.append(scan.id)
            voxels += values.size
        if len(ids) < self.min_scans:
            raise InputError(
                f"A healthy quantile needs at least {self.min_scans} healthy scans", why=f"{len(ids)} were given"
            )
        pooled = np.concatenate(kept)
        weights = np.concatenate([np.full(v.size, 1 / (v.size * len(kept))) for v in kept])
        order = np.argsort(pooled, kind="stable")
        below = np.cumsum(weights[order])
        value = float(pooled[order[min(int(np.searchsorted(below, self.quantile - 1e-12)), order.size - 1)]])
        source = f"{100 * self.quantile:.6g} % of healthy brain voxels stay below it"
        honest = not_extreme(value, float(pooled.min()), float(pooled.max()), self.floor, self.describe())
        reached = self.floor is None or value >= self.floor
        return self.fitted(honest, source if reached else f"the floor; the quantile was {value:.4g}", ids, voxels)

    def describe(self) -> str:
        """The rule and its quantile."""
        return f"healthy-quantile {self.quantile:g}"


def not_extreme(value: float, lowest: float, highest: float, floor: float | None, rule: str) -> float:
    """The value, or its floor; refuses the lowest or highest score that was seen.

    Raises:
        InputError: The value is an extreme of what was seen, so that it says nothing about abnormality.
    """
    if floor is not None and value < floor:
        return floor
    if value <= lowest or value >= highest:
        which = "lowest" if value <= lowest else "highest"
        raise InputError(
            f"The threshold '{rule}' is the {which} healthy score ({value:.4g})",
            why="most healthy voxels share one score, or too few differ from it",
            fix="Give more healthy scans, another level, a floor such as floor=0.5, or a fixed value",
        )
    return value


def _order_statistics(values: NDArray[Any]) -> NDArray[Any]:
    ordered = np.sort(values)
    if ordered.size <= _KEPT:
        return ordered
    return ordered[np.linspace(0, ordered.size - 1, _KEPT).round().astype(np.int64)]
