"""A threshold learned from patients' reports: from the levels of any score map to its value, no mask seen.

The value is a constant plus a weighted sum of the score map's own quantiles, so a fixed value, a quantile and "so many
spreads above the median" are special cases. Which of them serves, and how freely, is chosen by cross-validation on the
reports. BLOGRR learns its threshold the same way with a network that looks at slices (`annofree.training.bilevel`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError, SettingsError
from annofree.thresholds.base import Threshold, brain_scores

if TYPE_CHECKING:
    from annofree.training.report_losses import Form
    from annofree.training.report_targets import ReportTarget

#: Sets of quantiles that the value may depend on, simplest first.
FAMILIES: tuple[tuple[float, ...], ...] = ((), (0.5, 0.84), (0.5, 0.84, 0.95, 0.99))
#: Penalties on the squared shift of the value by one standard deviation of a feature, in spreads of the scores.
PENALTIES = (0.1, 0.01)
FORMS = ("auto", "soft-target", "expected-dice")
_VALUES = 192
#: A richer rule must be better by this on reports left out. Reports are vague, and a rule that follows them closely
#: follows that, too: on phantoms, smaller gains by the reports were losses by the truth.
_GAIN = 0.02
_FOLDS = 4
#: Below this many patients only a constant is learned.
_ENOUGH = 12


@dataclass(frozen=True, eq=False)
class ReportedScores:
    """The scores of one scan and what its report says.

    Attributes:
        id: The scan's id.
        scores: (X, Y, Z) float32.
        brain: (X, Y, Z) boolean.
        voxel_ml: Volume of one voxel.
        target: The report on the scan's grid; None for a healthy person.
    """

    id: str
    scores: NDArray[np.float32]
    brain: NDArray[np.bool_]
    voxel_ml: float
    target: ReportTarget | None


@dataclass(frozen=True, kw_only=True)
class Learned(Threshold):
    """The value that reports make best, for each score map by its own levels (tier R).

    Attributes:
        quantiles: Quantiles of the brain's scores that the value depends on.
        weights: The constant, then one weight a quantile; empty until `learn`.
        lowest: No value lies below this, the lowest that training saw.
        highest: Nor above this.
        form: Loss that was minimised (`annofree.training.report_losses`).
        loss: Its mean in cross-validation.
    """

    kind: ClassVar[str] = "learned"

    quantiles: tuple[float, ...] = ()
    weights: tuple[float, ...] = ()
    lowest: float | None = None
    highest: float | None = None
    form: Form = "auto"
    loss: float | None = None
    tier: str = "R"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "quantiles", tuple(float(q) for q in self.quantiles))
        object.__setattr__(self, "weights", tuple(float(w) for w in self.weights))
        if not all(0 <= q <= 1 for q in self.quantiles):
            raise SettingsError(f"Quantiles lie between 0 and 1, not {self.quantiles}")
        if self.weights and len(self.weights) != 1 + len(self.quantiles):
            raise SettingsError(
                f"A learned threshold with {len(self.quantiles)} quantiles has {1 + len(self.quantiles)} weights, "
                f"not {len(self.weights)}"
            )
        if self.form not in FORMS:
            raise SettingsError(f"'{self.form}' is not a loss", fix=f"Use one of {', '.join(FORMS)}")

    def value_for(self, scores: NDArray[np.float32], brain: NDArray[np.bool_]) -> float:
        """The value for these scores."""
        if self.value is not None:
            return self.value
        if not self.weights:
            raise SettingsError(
                "The learned threshold has not been learned yet",
                fix="Call learn(...) with scores and reports, load one with learned:FILE.json, or use healthy-quantile",
            )
        found = float(np.dot(self.weights, _features(brain_scores(scores, brain), self.quantiles)))
        low = -np.inf if self.lowest is None else self.lowest
        return float(np.clip(found, low, np.inf if self.highest is None else self.highest))

    def learn(self, cases: Iterable[ReportedScores]) -> Self:
        """This rule with the weights that suit the reports best.

        Each case gives a curve, the loss of every value by its report alone; the weights minimise the mean over cases.
        The set of quantiles and the penalty are those with the smallest loss on cases left out.

        Args:
            cases: Patients with reports, and healthy people if false findings in them should count.

        Raises:
            InputError: No case has a report that names a tumour.
        """
        return self._learn(_Curves.of(cases, self.form))

    def cross_fit(self, cases: Iterable[ReportedScores]) -> dict[str, Self]:
        """For each patient the rule learned from all others, so that nobody is scored with what he taught."""
        curves = _Curves.of(cases, self.form)
        patients = [i for i, is_patient in enumerate(curves.patients) if is_patient]
        if len(patients) < 2:
            raise InputError("A cross-fit needs two patients whose reports name a tumour")
        return {curves.ids[i]: self._learn(curves.without([i])) for i in patients}

    def _learn(self, curves: _Curves) -> Self:
        families = FAMILIES if sum(curves.patients) >= _ENOUGH else FAMILIES[:1]
        best: tuple[float, tuple[float, ...], float] | None = None
        for quantiles in families:
            for penalty in PENALTIES if quantiles else PENALTIES[:1]:
                loss = curves.left_out(quantiles, penalty)
                if best is None or loss < best[0] - _GAIN:
                    best = (loss, quantiles, penalty)
        assert best is not None
        weights = curves.weights(best[1], best[2])
        used = curves.used(weights, best[1])
        patients = int(sum(curves.patients))
        return replace(
            self,
            quantiles=best[1],
            weights=tuple(weights.tolist()),
            lowest=float(used.min()),
            highest=float(used.max()),
            loss=round(best[0], 4),
            source="fitted to what the patients' reports say, no mask seen",
            saw={
                "patients with reports": patients,
                "healthy": len(curves.ids) - patients,
                "ids": list(curves.ids),
            },
        )

    def save(self, file: str | Path) -> Path:
        """Write the rule as JSON; `learned:FILE.json` and `Learned.load` read it."""
        file = Path(file)
        part = file.with_name(file.name + ".tmp")
        part.write_text(json.dumps(self.to_dict(), indent=1) + "\n", encoding="utf-8")
        return part.replace(file)

    @classmethod
    def load(cls, file: str | Path) -> Self:
        """Read a rule that `save` wrote.

        Raises:
            InputError: The file holds none.
        """
        try:
            values: dict[str, Any] = json.loads(Path(file).read_text(encoding="utf-8"))
            if values.pop("kind") != cls.kind:
                raise ValueError("it holds another rule")
            return cls(**values)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                "This is not a learned threshold", file=file, why=str(error), fix="Give a file that Learned.save wrote"
            ) from None

    def describe(self) -> str:
        """What the value depends on."""
        if not self.quantiles:
            return "learned from reports, one value for all"
        levels = ", ".join(f"{100 * q:g} %" for q in self.quantiles)
        return f"learned from reports, by the scores' quantiles {levels}"


def _features(values: NDArray[Any], quantiles: Sequence[float]) -> NDArray[np.float64]:
    return np.concatenate([[1.0], np.quantile(values, quantiles)]) if quantiles else np.ones(1)


@dataclass(frozen=True, eq=False)
class _Curves:
    """The loss of each value for each case, and the quantiles that a value may depend on."""

    ids: tuple[str, ...]
    patients: NDArray[np.bool_]
    values: NDArray[np.float64]
    losses: NDArray[np.float64]
    levels: dict[float, NDArray[np.float64]]

    @classmethod
    def of(cls, cases: Iterable[ReportedScores], form: Form) -> _Curves:
        from annofree.training.report_losses import losses

        kept = list(cases)
        if not any(case.target is not None for case in kept):
            raise InputError(
                "A threshold cannot be learned from these reports",
                why="none of them names a tumour",
                fix="Give patients with reports, or use a threshold from healthy scans such as healthy-quantile:0.99",
            )
        inside = [brain_scores(case.scores, case.brain, case.id) for case in kept]
        steps = np.concatenate([np.linspace(0.3, 0.9, _VALUES // 3), np.linspace(0.9, 0.9998, 2 * _VALUES // 3)])
        pooled = np.concatenate([np.quantile(values, np.linspace(0, 1, 4096)) for values in inside])
        values = np.unique(np.quantile(pooled, steps))
        found = [losses(c.scores, c.brain, c.target, values, c.voxel_ml, form) for c in kept]
        wanted = sorted({q for family in FAMILIES for q in family})
        levels = np.stack([np.quantile(v, wanted) for v in inside])
        return cls(
            tuple(case.id for case in kept),
            np.array([case.target is not None for case in kept]),
            values,
            np.stack(found),
            {q: levels[:, i] for i, q in enumerate(wanted)},
        )

    def without(self, left_out: Sequence[int]) -> _Curves:
        keep = np.setdiff1d(np.arange(len(self.ids)), left_out)
        return self._only(keep)

    def _only(self, keep: NDArray[np.intp]) -> _Curves:
        levels = {q: column[keep] for q, column in self.levels.items()}
        ids = tuple(self.ids[i] for i in keep)
        return _Curves(ids, self.patients[keep], self.values, self.losses[keep], levels)

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
