"""What reports say about every value of a threshold: one curve of losses a scan, for `annofree.thresholds.learned`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.thresholds.base import HealthyScores, brain_scores

if TYPE_CHECKING:
    from annofree.thresholds.report_losses import Form
    from annofree.thresholds.report_targets import ReportTarget

#: Sets of quantiles that the value may depend on, simplest first.
FAMILIES: tuple[tuple[float, ...], ...] = ((), (0.5, 0.84), (0.5, 0.84, 0.95, 0.99))
#: The value that stands while reports say little: this quantile of healthy scans, where there are so many of them.
PRIOR, _ENOUGH_HEALTHY = 0.99, 3
_VALUES = 192
_FOLDS = 4


@dataclass(frozen=True, eq=False)
class ReportedScores(HealthyScores):
    """The same of a person who need not be healthy; `target` is the report on the scan's grid, None for who is."""

    target: ReportTarget | None


@dataclass(frozen=True, eq=False)
class Curves:
    """The loss of each value for each case, and the quantiles that a value may depend on.

    `placed` says whose report names a place, `sized` whose gives a size, `prior` what healthy scans alone would choose.
    """

    ids: tuple[str, ...]
    patients: NDArray[np.bool_]
    placed: NDArray[np.bool_]
    sized: NDArray[np.bool_]
    prior: float | None
    values: NDArray[np.float64]
    losses: NDArray[np.float64]
    levels: dict[float, NDArray[np.float64]]

    @classmethod
    def of(cls, cases: Iterable[ReportedScores], form: Form) -> Curves:
        """The curves of some scans, at values that are quantiles of all their scores.

        Raises:
            InputError: No report names a tumour.
        """
        from annofree.thresholds.report_losses import losses

        kept = list(cases)
        if not any(case.target is not None for case in kept):
            raise InputError(
                "A threshold cannot be learned from these reports",
                why="none of them names a tumour",
                fix="Give patients with reports, or use a threshold from healthy scans such as healthy-quantile:0.99",
            )
        inside = [brain_scores(case.scores, case.brain, case.id) for case in kept]
        steps = np.concatenate([np.linspace(0.3, 0.9, _VALUES // 3), np.linspace(0.9, 0.9998, 2 * _VALUES // 3)])
        each = [np.quantile(values, np.linspace(0, 1, 4096)) for values in inside]
        well = [part for part, case in zip(each, kept, strict=True) if case.target is None]
        values = np.unique(np.quantile(np.concatenate(each), steps))
        found = [losses(c.scores, c.brain, c.target, values, c.voxel_ml, form) for c in kept]
        wanted = sorted({q for family in FAMILIES for q in family})
        levels = np.stack([np.quantile(v, wanted) for v in inside])
        return cls(
            tuple(case.id for case in kept),
            np.array([case.target is not None for case in kept]),
            np.array([case.target is not None and case.target.use != "none" for case in kept]),
            np.array([case.target is not None and case.target.volume is not None for case in kept]),
            float(np.quantile(np.concatenate(well), PRIOR)) if len(well) >= _ENOUGH_HEALTHY else None,
            values,
            np.stack(found),
            {q: levels[:, i] for i, q in enumerate(wanted)},
        )

    def without(self, left_out: Sequence[int]) -> Curves:
        """These curves without some scans."""
        return self._only(np.setdiff1d(np.arange(len(self.ids)), left_out))

    def _only(self, keep: NDArray[np.intp]) -> Curves:
        kept = {name: getattr(self, name)[keep] for name in ("patients", "placed", "sized", "losses")}
        levels = {q: column[keep] for q, column in self.levels.items()}
        return replace(self, ids=tuple(self.ids[i] for i in keep), levels=levels, **kept)

    def held(self, best: float) -> float:
        """The value nearest to the prior, on the way to the best one, that is within one standard error of it."""
        assert self.prior is not None
        end = int(np.searchsorted(self.values, best))
        start = int(np.clip(np.searchsorted(self.values, self.prior), 0, len(self.values) - 1))
        way = np.arange(start, end + 1) if start <= end else np.arange(start, end - 1, -1)
        worse = self.losses[:, way] - self.losses[:, [end]]
        error = worse.std(axis=0, ddof=1) / np.sqrt(len(worse))
        return float(self.values[way[int(np.argmax(worse.mean(axis=0) <= error))]])

    def left_out(self, quantiles: tuple[float, ...], penalty: float) -> float:
        """Mean loss of cases that the weights were not fitted to."""
        folds = min(_FOLDS, len(self.ids))
        if folds < 2:
            return float(self.losses.mean(axis=0).min())
        total = 0.0
        for fold in range(folds):
            out = np.arange(fold, len(self.ids), folds)
            weights = self.without(out.tolist()).weights(quantiles, penalty)
            rest = self._only(out)
            total += float(rest.at(rest.used(weights, quantiles))[0].sum())
        return total / len(self.ids)

    def used(self, weights: NDArray[np.float64], quantiles: tuple[float, ...]) -> NDArray[np.float64]:
        """The value of each case."""
        return np.asarray(self._matrix(quantiles) @ weights)

    def _matrix(self, quantiles: tuple[float, ...]) -> NDArray[np.float64]:
        return np.stack([np.ones(len(self.ids)), *(self.levels[q] for q in quantiles)], axis=1)

    def at(self, taken: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Loss of each case at a value of its own, linear between known values, and its slope."""
        right = np.clip(np.searchsorted(self.values, taken), 1, len(self.values) - 1)
        low, high = self.values[right - 1], self.values[right]
        rows = np.arange(len(taken))
        start, end = self.losses[rows, right - 1], self.losses[rows, right]
        slope = (end - start) / (high - low)
        inside = (taken >= self.values[0]) & (taken <= self.values[-1])
        return start + slope * (np.clip(taken, low, high) - low), np.where(inside, slope, 0.0)

    def weights(self, quantiles: tuple[float, ...], penalty: float) -> NDArray[np.float64]:
        """Weights with the smallest mean loss, from the best constant on."""
        constant = float(self.values[int(self.losses.mean(axis=0).argmin())])
        if not quantiles:
            return np.array([constant])
        from scipy.optimize import minimize

        raw = self._matrix(quantiles)[:, 1:]
        middle, spread = raw.mean(axis=0), np.maximum(raw.std(axis=0), 1e-9)
        unit = float(np.quantile(self.values, 0.9) - np.quantile(self.values, 0.1)) or 1.0

        matrix = np.column_stack([np.ones(len(raw)), (raw - middle) / spread])

        def loss(free: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            value, slope = self.at(constant + unit * (matrix @ free))
            gradient = unit * (slope @ matrix) / len(value)
            return (
                float(value.mean() + penalty * (free[1:] ** 2).sum()),
                gradient + 2 * penalty * np.concatenate([[0.0], free[1:]]),
            )

        found = minimize(loss, np.zeros(matrix.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 60}).x
        if loss(found)[0] >= loss(np.zeros_like(found))[0]:
            found = np.zeros_like(found)
        slopes = unit * found[1:] / spread
        return np.concatenate([[constant + unit * found[0] - float(slopes @ middle)], slopes])
