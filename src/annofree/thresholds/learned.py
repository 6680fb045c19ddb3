"""A threshold learned from patients' reports: from the levels of any score map to its value, no mask seen.

The value is a constant plus a weighted sum of the score map's own quantiles, so a fixed value, a quantile and "so many
spreads above the median" are special cases. Which of them serves, and how freely, is chosen by cross-validation on the
reports. BLOGRR learns its threshold the same way with a network that looks at slices (`methods/blogrr`).

Where reports give no sizes and healthy scans are there, the value leaves their 99 % quantile only as far as the reports
speak for it: it stops at the first value that is not worse than the best by more than one standard error of the
difference (the one-standard-error rule of Breiman et al., Classification and Regression Trees, 1984, with "near to what
healthy scans say" in the place of "simple").
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError, SettingsError
from annofree.formats.outfolder import write_json
from annofree.thresholds.base import Threshold, Tier, brain_scores
from annofree.thresholds.report_curves import FAMILIES, PRIOR, Curves, ReportedScores

__all__ = ["Learned", "ReportedScores"]

#: Losses of a value by a report, see `annofree.thresholds.report_losses`.
Form = Literal["auto", "expected-dice", "soft-target"]

#: Penalties on the squared shift of the value by one standard deviation of a feature, in spreads of the scores.
PENALTIES = (0.1, 0.01)
#: A richer rule must be better by this on reports left out. Reports are vague, and a rule that follows them closely
#: follows that, too: on phantoms, smaller gains by the reports were losses by the truth.
_GAIN = 0.02
#: Below this many patients whose reports name a place only a constant is learned. Without a place, all that a report
#: says is that much of the brain is tumour, and a rule that follows a scan's own quantiles agrees with that anywhere.
_ENOUGH = 12
#: With so many sizes in the reports the value need not lean on healthy scans.
_ENOUGH_SIZED = 3


class Learned(Threshold):
    """The value that reports make best, for each score map by its own levels (tier R).

    Attributes:
        quantiles: Quantiles of the brain's scores that the value depends on.
        weights: The constant, then one weight a quantile; empty until `learn`.
        lowest: No value lies below this, the lowest that training saw.
        highest: Nor above this.
        form: Loss that was minimised (`annofree.thresholds.report_losses`).
        loss: Its mean in cross-validation.
    """

    kind: ClassVar[str] = "learned"

    quantiles: tuple[float, ...] = ()
    weights: tuple[float, ...] = ()
    lowest: float | None = None
    highest: float | None = None
    form: Form = "auto"
    loss: float | None = None
    tier: Tier = "R"

    def model_post_init(self, context: object) -> None:
        """Refuse quantiles and weights that do not go together."""
        if not all(0 <= q <= 1 for q in self.quantiles):
            raise SettingsError(f"Quantiles lie between 0 and 1, not {self.quantiles}")
        if self.weights and len(self.weights) != 1 + len(self.quantiles):
            raise SettingsError(
                f"A learned threshold with {len(self.quantiles)} quantiles has {1 + len(self.quantiles)} weights, "
                f"not {len(self.weights)}"
            )

    @classmethod
    def from_text(cls, text: str) -> Self:
        """`learned:FILE.json` reads what `save` wrote."""
        return cls.load(text.strip()) if text.strip() else cls()

    def value_for(self, scores: NDArray[np.float32], brain: NDArray[np.bool_]) -> float:
        """The value for these scores."""
        if self.value is not None:
            return self.value
        if not self.weights:
            raise SettingsError(
                "The learned threshold has not been learned yet",
                fix="Call learn(...) with scores and reports, load one with learned:FILE.json, or use healthy-quantile",
            )
        values = brain_scores(scores, brain)
        features = np.concatenate([[1.0], np.quantile(values, self.quantiles)]) if self.quantiles else np.ones(1)
        found = float(np.dot(self.weights, features))
        low = -np.inf if self.lowest is None else self.lowest
        return float(np.clip(found, low, np.inf if self.highest is None else self.highest))

    def learn(self, cases: Iterable[ReportedScores]) -> Self:
        """This rule with the weights that suit the reports best.

        Each case gives a curve, the loss of every value by its report alone; the weights minimise the mean over cases.
        The set of quantiles and the penalty are those with the smallest loss on cases left out. Cases are patients with
        reports, and healthy people if false findings in them should count.

        Raises:
            InputError: No case has a report that names a tumour.
        """
        return self._learn(Curves.of(cases, self.form))

    def cross_fit(self, cases: Iterable[ReportedScores]) -> dict[str, Self]:
        """For each patient the rule learned from all others, so that nobody is scored with what he taught."""
        curves = Curves.of(cases, self.form)
        patients = [i for i, is_patient in enumerate(curves.patients) if is_patient]
        if len(patients) < 2:
            raise InputError("A cross-fit needs two patients whose reports name a tumour")
        return {curves.ids[i]: self._learn(curves.without([i])) for i in patients}

    def _learn(self, curves: Curves) -> Self:
        families = FAMILIES if sum(curves.placed) >= _ENOUGH else FAMILIES[:1]
        best: tuple[float, tuple[float, ...], float] | None = None
        for quantiles in families:
            for penalty in PENALTIES if quantiles else PENALTIES[:1]:
                loss = curves.left_out(quantiles, penalty)
                if best is None or loss < best[0] - _GAIN:
                    best = (loss, quantiles, penalty)
        assert best is not None
        weights = curves.weights(best[1], best[2])
        held = not best[1] and curves.prior is not None and sum(curves.sized) < _ENOUGH_SIZED
        if held:
            weights = np.array([curves.held(float(weights[0]))])
        used = curves.used(weights, best[1])
        patients = int(sum(curves.patients))
        return self.replace(
            quantiles=best[1],
            weights=tuple(weights.tolist()),
            lowest=float(used.min()),
            highest=float(used.max()),
            loss=round(best[0], 4),
            source="fitted to what the patients' reports say, no mask seen"
            + (f"; as near to the {100 * PRIOR:g} % quantile of healthy scans as they allow" if held else ""),
            saw={
                "patients with reports": patients,
                "healthy": len(curves.ids) - patients,
                "ids": list(curves.ids),
            },
        )

    def save(self, file: str | Path) -> Path:
        """Write the rule as JSON; `learned:FILE.json` and `Learned.load` read it."""
        write_json(Path(file), self.to_dict())
        return Path(file)

    @classmethod
    def load(cls, file: str | Path) -> Self:
        """Read a rule that `save` wrote. Raises `InputError`: the file holds none."""
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
