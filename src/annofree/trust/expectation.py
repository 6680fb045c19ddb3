"""What an answer is probably worth, without truth: expected Dice and an interval of the volume."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, exp, log

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from annofree.errors import InputError
from annofree.trust.calibrations import Calibration

FILE = "expectation.json"
#: Share of volumes that intervals are to hold.
COVERED = 0.9
#: Fewer made tumours than this teach nothing.
FEWEST = 40
_FOLDS = 10
_RIDGE = 10.0
#: Shares of the made tumours beyond which a mark says nothing more.
_USUAL = (0.005, 0.995)
#: A mark is told as unusual where it lies beyond them by more than this part of their distance.
_MARGIN = 0.25
#: Marks that say which sequences are there, 0 or 1, begin so.
_WITH, _WITHOUT = "with ", "without "
#: Dice is learned, and limited, within these.
_DICE = (0.02, 0.98)
#: A made tumour that was overlooked counts with no less.
_LEAST_ML = 0.01

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """One made tumour that was segmented: `annofree.trust.marks` of the answer, whole-tumour Dice, and both volumes.

    Marks are None where nothing was found.
    """

    marks: Mapping[str, float] | None
    dice: float
    said_ml: float
    true_ml: float


@dataclass(frozen=True)
class Expected:
    """What an answer is probably worth.

    Attributes:
        dice: Expected Dice of the whole tumour, if there is one; None where nothing was found or nothing is known.
        low_ml: Lower end of the interval that holds 9 of 10 volumes of made tumours; None where nothing is known.
        high_ml: Upper end; where nothing was found, 9 of 10 overlooked made tumours were smaller.
        unusual: Marks outside the range of what the expectation was learned on; of sequences, "with T1" where all those
            scans had it and this one lacks it, "without T1" the other way round.
        sentence: All of that in words.
        outside: A note where the interval leaves the answer's own volume out, or "".
    """

    dice: float | None
    low_ml: float | None
    high_ml: float | None
    unusual: tuple[str, ...]
    sentence: str
    outside: str = ""

    @property
    def unseen(self) -> str:
        """In words which sequences those that taught what to expect all had, or all lacked, unlike the scan; or ""."""
        other = [name for name in self.unusual if name.startswith((_WITH, _WITHOUT))]
        return f"it was learned on scans {' and '.join(other)}" if other else ""

    def withdrawn(self, why: str) -> Expected:
        """Nothing is expected, and why."""
        return Expected(None, None, None, self.unusual, f"No expectation is stated: {why}.")


#: For models, or rules, whose answers were not compared with made tumours.
UNKNOWN = Expected(
    None, None, None, (), "No expectation is known: the model was not calibrated with these weights and settings."
)


#: For answers of a model that was compared with made tumours, but by other rules.
CHANGED = replace(
    UNKNOWN,
    sentence="No expected Dice, volume interval or rate of false alarms is stated: they were learned with the "
    "model's own quality, threshold and refiners.",
)


@dataclass(frozen=True)
class Expectation(Calibration):
    """A regression of Dice and of the volume's error on marks of the answer: plain numbers.

    Dice is a ridge regression of its logit. The interval is volume x exp(middle -/+ reach x spread): middle is a ridge
    regression of log(true / said volume), spread one of the logarithm of its absolute error, and reach the conformal
    quantile of error / spread over cases that took no part in their own prediction (cross-conformal prediction, Vovk
    2015; spread as in Lei et al. 2018, "Distribution-free predictive inference for regression", section 5.2).

    Attributes:
        marks: Names, in the order of the numbers below.
        centre: Mean of each mark over made tumours.
        scale: Its standard deviation.
        low: Smallest usual value; what lies below counts as this.
        high: Largest usual value.
        dice: Constant and weights of the logit of Dice, for standardised marks.
        middle: The same of log(true / said volume).
        spread: The same of the logarithm of the middle's absolute error.
        reach: Half width of the interval in spreads.
        overlooked_ml: 9 of 10 made tumours of which nothing was found were smaller; None for fewer than nine.
        learned: Number of made tumours.
        rules: Fingerprint of thresholds, refiners and run settings.
        weights: Fingerprint of the networks.
    """

    file, what = FILE, "the expected Dice"

    marks: tuple[str, ...]
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    dice: tuple[float, ...]
    middle: tuple[float, ...]
    spread: tuple[float, ...]
    reach: float
    overlooked_ml: float | None
    learned: int
    rules: str
    weights: str

    def expect(self, marks: Mapping[str, float] | None, sequences: Mapping[str, float]) -> Expected:
        """What to expect of an answer.

        Without marks nothing was found; `sequences`, as `annofree.trust.marks.sequences_of` gives them, still tell
        whether the scan is like those that were learned on.
        """
        told = {**sequences, **(marks or {})}
        given = np.array([told.get(name, np.nan) for name in self.marks])
        unusual = tuple(
            name.replace(_WITH, _WITHOUT) if name.startswith(_WITH) and value > high else name
            for name, value, low, high in zip(self.marks, given, self.low, self.high, strict=True)
            if value < low - _MARGIN * (high - low) - 1e-6 or value > high + _MARGIN * (high - low) + 1e-6
        )
        if marks is None and self.overlooked_ml is None:
            said = "Too few made tumours were overlooked to say what nothing found leaves open."
            return Expected(None, None, None, unusual, said)
        if marks is None:
            said = f"9 of 10 made tumours that were overlooked hold less than {self.overlooked_ml:.3g} ml."
            return Expected(None, 0.0, self.overlooked_ml, unusual, said)
        given = np.where(np.isnan(given), self.centre, np.clip(given, self.low, self.high))
        x = np.concatenate([[1.0], (given - self.centre) / self.scale])
        dice = float(np.clip(expit(x @ self.dice), *_DICE))
        volume_ml = exp(marks["log volume"])
        middle, half = float(x @ self.middle), self.reach * exp(float(x @ self.spread))
        low_ml, high_ml = volume_ml * exp(middle - half), volume_ml * exp(middle + half)
        said = f"Expected Dice {dice:.2f}; 9 of 10 made tumours answered so hold {low_ml:.3g} to {high_ml:.3g} ml."
        if unusual:
            said += f" Unlike the made tumours in: {', '.join(unusual)}."
        outside = ""
        if not low_ml <= volume_ml <= high_ml:
            most = "larger" if low_ml > volume_ml else "smaller"
            outside = (
                f"The volume of {volume_ml:.3g} ml lies outside of its own interval, {low_ml:.3g} to {high_ml:.3g} ml: "
                f"nearly all made tumours with such an answer were {most}"
            )
        return Expected(dice, low_ml, high_ml, unusual, said, outside)

    @classmethod
    def learn(cls, cases: Sequence[Judged], rules: str, weights: str) -> Expectation:
        """Learn from made tumours.

        Cases of which nothing was found tell what is overlooked.

        Raises:
            InputError: There are too few.
        """
        found = [(case, case.marks) for case in cases if case.marks is not None]
        if len(found) < FEWEST:
            raise InputError(
                f"An expected Dice cannot be learned from {len(found)} made tumours",
                why="something was found in no more of them",
                fix=f"Give at least {FEWEST}",
            )
        names = tuple(found[0][1])
        table = np.array([[marks[name] for name in names] for _, marks in found])
        low, high = np.quantile(table, _USUAL, axis=0)
        table = np.clip(table, low, high)
        centre, scale = table.mean(0), np.maximum(table.std(0), 1e-6)
        x = np.column_stack([np.ones(len(table)), (table - centre) / scale])
        dice = np.clip([case.dice for case, _ in found], *_DICE)
        ratio = np.array([log(case.true_ml / case.said_ml) for case, _ in found])
        error = np.abs(ratio - _apart(x, ratio))
        spread = np.log(error + 0.02)
        missed = sorted(max(case.true_ml, _LEAST_ML) for case in cases if case.marks is None)
        return cls(
            marks=names,
            centre=_numbers(centre),
            scale=_numbers(scale),
            low=_numbers(low),
            high=_numbers(high),
            dice=_numbers(_ridge(x, np.log(dice / (1 - dice)))),  # its logit
            middle=_numbers(_ridge(x, ratio)),
            spread=_numbers(_ridge(x, spread)),
            reach=_conformal(error / np.exp(_apart(x, spread))),
            overlooked_ml=_conformal(np.array(missed)) if len(missed) >= ceil(COVERED / (1 - COVERED)) else None,
            learned=len(found),
            rules=rules,
            weights=weights,
        )

    def try_out(self) -> None:
        """An expectation is stated for marks of nothing."""
        self.expect(dict.fromkeys(self.marks, 0.0), {})


def _numbers(values: Floats) -> tuple[float, ...]:
    return tuple(map(float, values))


def _ridge(x: Floats, y: Floats) -> Floats:
    """Weights of a ridge regression whose first column, the constant, is not shrunk."""
    penalty = np.diag([0.0, *[_RIDGE] * (x.shape[1] - 1)])
    return np.asarray(np.linalg.solve(x.T @ x + penalty, x.T @ y))


def _apart(x: Floats, y: Floats) -> Floats:
    """A prediction for each case by the others of the other folds."""
    fold = np.arange(len(x)) % _FOLDS
    out = np.zeros(len(x))
    for one in range(_FOLDS):
        out[fold == one] = x[fold == one] @ _ridge(x[fold != one], y[fold != one])
    return out


def _conformal(scores: Floats) -> float:
    """The conformal quantile: a further score lies above it in one of ten cases at most."""
    rank = min(len(scores), ceil((len(scores) + 1) * COVERED))
    return float(np.sort(scores)[rank - 1])
