"""Intervals and tests over patients: the patient is the unit, so patients are what is drawn again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isnan

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.metrics.case import CaseScores

#: Fewest paired patients for which a rank test is printed; below, the interval of the difference has to do.
MINIMUM_FOR_TEST = 40
RESAMPLES = 5000
TAIL = 0.025


def bootstrap_means(
    values: NDArray[np.float64], *, rng: np.random.Generator, resamples: int = RESAMPLES
) -> NDArray[np.float64]:
    """Means (resamples, K) of samples of patients drawn with replacement, from (N, K): K measures of N patients.

    NaN is left out of the mean of its column; a draw without a finite value gives NaN. Every column sees the same
    draws, so that columns can be compared.
    """
    values = np.asarray(values, dtype=np.float64)
    patients = len(values)
    times_drawn = rng.multinomial(patients, np.full(patients, 1 / patients), size=resamples).astype(np.float64)
    finite = np.isfinite(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        means: NDArray[np.float64] = (times_drawn @ np.where(finite, values, 0.0)) / (times_drawn @ finite)
    return means


def bootstrap_interval(
    values: NDArray[np.float64], *, rng: np.random.Generator, resamples: int = RESAMPLES
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """95 % percentile interval of the mean of each column of (N, K) `values`: (low (K,), high (K,)).

    A column with fewer than two finite values has no interval: NaN.
    """
    means = bootstrap_means(values, rng=rng, resamples=resamples)
    known = np.isfinite(values).sum(axis=0) >= 2
    low, high = np.full(means.shape[1], np.nan), np.full(means.shape[1], np.nan)
    if known.any():
        low[known], high[known] = np.nanquantile(means[:, known], [TAIL, 1 - TAIL], axis=0)
    return low, high


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's correction for several tests (Holm 1979): each p value as if it were the only one.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    corrected = [0.0] * len(p_values)
    running = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = running
    return corrected


@dataclass(frozen=True)
class Comparison:
    """The method `name` against the reference on the patients that both scored.

    Attributes:
        n: Paired patients with a finite value from both.
        difference: Mean of method minus reference; `low` and `high` end its bootstrap interval.
        larger: Patients on whom the method's value is the larger one.
        p: Wilcoxon signed-rank p value, two-sided; None where no test was made. `p_holm` is corrected for the number of
            methods compared.
        note: Why there is no test, or how many patients could not be paired.
    """

    name: str
    region: str
    metric: str
    n: int
    difference: float
    low: float
    high: float
    larger: int
    p: float | None
    p_holm: float | None
    note: str


def compare(
    reference: Sequence[CaseScores],
    others: Mapping[str, Sequence[CaseScores]],
    *,
    rng: np.random.Generator,
    metric: str = "dice",
    region: str = "WT",
    resamples: int = RESAMPLES,
) -> tuple[Comparison, ...]:
    """Compare methods with a reference, patient by patient.

    Returns:
        One row a method. Rank tests appear from 40 paired patients on, with Holm's correction over the methods tested;
        below that the note says so.

    Raises:
        InputError: A case id occurs twice, or a method shares no patient with the reference.
    """
    rows = [_paired(reference, name, cases, metric, region, rng, resamples) for name, cases in others.items()]
    tested = [index for index, row in enumerate(rows) if row.p is not None]
    corrected = dict(zip(tested, holm([p for row in rows if (p := row.p) is not None]), strict=True))
    return tuple(replace(row, p_holm=corrected.get(index)) for index, row in enumerate(rows))


def _paired(
    reference: Sequence[CaseScores],
    name: str,
    cases: Sequence[CaseScores],
    metric: str,
    region: str,
    rng: np.random.Generator,
    resamples: int,
) -> Comparison:
    base, own = _by_case(reference, metric, region, "reference"), _by_case(cases, metric, region, name)
    shared = [case for case in base if case in own]
    if not shared:
        raise InputError(f"'{name}' and the reference share no case", why="methods are compared on the same patients")
    differences = np.array([own[case] - base[case] for case in shared])
    differences = differences[~np.isnan(differences)]
    n = differences.size
    notes = []
    if unpaired := len(base) + len(own) - 2 * len(shared):
        notes.append(f"{unpaired} without partner left out")
    if undefined := len(shared) - n:
        notes.append(f"{undefined} undefined")
    p = _wilcoxon(differences) if n >= MINIMUM_FOR_TEST else None
    if p is None:
        notes.append(f"no test: {n} patients, fewer than {MINIMUM_FOR_TEST}")
    mean, low, high = float("nan"), float("nan"), float("nan")
    if n:
        mean = float(differences.mean())
        lows, highs = bootstrap_interval(differences[:, None], rng=rng, resamples=resamples)
        low, high = float(lows[0]), float(highs[0])
    larger = int(np.count_nonzero(differences > 0))
    return Comparison(name, region, metric, n, mean, low, high, larger, p, None, "; ".join(notes))


def _by_case(cases: Sequence[CaseScores], metric: str, region: str, name: str) -> dict[str, float]:
    values: dict[str, float] = {}
    for case in cases:
        if case.case in values:
            raise InputError(f"Case '{case.case}' occurs twice in '{name}'", fix="Give every case an id of its own")
        values[case.case] = case.value(metric, region)
    return values


def _wilcoxon(differences: NDArray[np.float64]) -> float:
    from scipy.stats import wilcoxon

    if not differences.any():
        return 1.0
    p = float(wilcoxon(differences, zero_method="pratt").pvalue)
    return 1.0 if isnan(p) else p
