"""Many cases in one table: mean, median, interval and number, in all and by stratum."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.formats.outfolder import write_table
from annofree.metrics.case import CaseScores, Score
from annofree.metrics.ranking import RankCounts, oracle_common_threshold
from annofree.metrics.statistics import RESAMPLES, bootstrap_interval

ALL = "all"
POOLED = "pooled"


class SummaryRow(NamedTuple):
    """One metric over the cases of one stratum: `n` with a value, `undefined` without one (see `EMPTY_CASES`).

    Names of metrics that begin with "oracle_" used the truth to choose (tier T3). The stratum is "all", criterion and
    group ("volume: < 5 ml"), or "pooled" for figures over all voxels of all cases, which stand as `mean`. `low` and
    `high` end the 95 % bootstrap interval of the mean.
    """

    region: str
    metric: str
    stratum: str
    n: int
    undefined: int
    mean: float
    low: float
    high: float
    median: float
    minimum: float
    maximum: float


@dataclass(frozen=True)
class Summary:
    """Summary of a cohort, as rows; `write` saves them as TSV."""

    rows: tuple[SummaryRow, ...]

    def row(self, metric: str, region: str = "WT", stratum: str = ALL) -> SummaryRow:
        """One row.

        Raises:
            InputError: There is no such row.
        """
        for row in self.rows:
            if (row.metric, row.region, row.stratum) == (metric, region, stratum):
                return row
        raise InputError(
            f"The summary has no '{metric}' for region '{region}' in '{stratum}'",
            why=f"its strata are {list(dict.fromkeys(row.stratum for row in self.rows))}",
        )

    def write(self, path: str | Path) -> Path:
        """Write the rows as TSV; undefined values are "n/a"."""
        return write_table(path, self.rows, SummaryRow._fields)


def summarise(
    cases: Iterable[CaseScores], *, rng: np.random.Generator | None = None, resamples: int = RESAMPLES
) -> Summary:
    """Summarise cases over all, by stratum, and pooled over voxels where score maps were given.

    The bootstrap's generator has seed 0 by default, so that a table can be made again.

    Raises:
        InputError: There is no case.
    """
    cases = list(cases)
    if not cases:
        raise InputError("There is nothing to summarise: no case was scored")
    rng = np.random.default_rng(0) if rng is None else rng
    columns = list(dict.fromkeys((row.region, row.metric) for case in cases for row in case.rows))
    position = {column: index for index, column in enumerate(columns)}
    values = np.full((len(cases), len(columns)), np.nan)
    for number, case in enumerate(cases):
        for row in case.rows:
            values[number, position[row.region, row.metric]] = row.value

    groups = {ALL: list(range(len(cases)))}
    for number, case in enumerate(cases):
        for criterion, group in case.strata.items():
            groups.setdefault(f"{criterion}: {group}", []).append(number)
    rows: list[SummaryRow] = []
    for stratum in [ALL, *sorted(groups.keys() - {ALL})]:
        rows += _rows(values[groups[stratum]], columns, stratum, rng, resamples)
    return Summary((*rows, *_pooled_rows(cases)))


def write_case_scores(cases: Iterable[CaseScores], path: str | Path) -> Path:
    """Write the long table (case, region, metric, value) of all cases as TSV; undefined values are "n/a"."""
    return write_table(path, (row for case in cases for row in case.rows), Score._fields)


def _rows(
    values: NDArray[np.float64],
    columns: Sequence[tuple[str, str]],
    stratum: str,
    rng: np.random.Generator,
    resamples: int,
) -> Iterable[SummaryRow]:
    lows, highs = bootstrap_interval(values, rng=rng, resamples=resamples)
    for (region, metric), column, low, high in zip(columns, values.T, lows, highs, strict=True):
        known = column[~np.isnan(column)]
        if not known.size:
            spread = (float("nan"),) * 6
        else:
            ends = float(known.min()), float(known.max())
            spread = (float(known.mean()), float(low), float(high), float(np.median(known)), *ends)
        yield SummaryRow(region, metric, stratum, known.size, column.size - known.size, *spread)


def _pooled_rows(cases: Sequence[CaseScores]) -> Iterable[SummaryRow]:
    for region, name in dict.fromkeys(key for case in cases for key in case.ranks):
        tables = [case.ranks[region, name] for case in cases if (region, name) in case.ranks]
        pooled = RankCounts.pooled(tables)
        mean, threshold = oracle_common_threshold(tables)
        figures = pooled.figures() | {"oracle_common_mean_dice": mean, "oracle_common_threshold": threshold}
        suffix = "" if name == region else f":{name}"
        for metric, value in figures.items():
            counts = len(tables), len(cases) - len(tables)
            yield SummaryRow(region, metric + suffix, POOLED, *counts, value, *(float("nan"),) * 5)
