"""The rows of `evaluate` that no method is needed for: nothing, everything, and the truth of another patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from annofree.metrics.lesionwise import LesionRule
from annofree.metrics.sanity import placed, quick_scores
from annofree.segmentation import Segmentation

#: "shuffled truth" scores each answer against the truth of the patient before it: what is left of a score when the
#: answer belongs to somebody else.
ROWS = ("all background", "all foreground", "shuffled truth")


class SanityRow(NamedTuple):
    """Mean of one metric over the cases of one row."""

    prediction: str
    region: str
    metric: str
    n: int
    mean: float


@dataclass
class SanityRows:
    """Collects the rows while cases go by; holds two label maps at a time."""

    rule: LesionRule
    _values: dict[tuple[str, str, str], list[float]] = field(default_factory=dict)
    _first: Segmentation | None = None
    _first_regions: tuple[str, ...] = ()
    _last_truth: NDArray[np.uint8] | None = None

    def add(self, answer: Segmentation, truth: NDArray[np.uint8], regions: Sequence[str]) -> None:
        """Take in one case.

        The answer's brain mask is "all foreground", without one the whole grid is; regions are those that answer and
        (X, Y, Z) truth both tell apart.
        """
        nothing = np.zeros(truth.shape, np.uint8)
        everything = nothing + np.uint8(3) if answer.brain is None else np.where(answer.brain, np.uint8(3), nothing)
        self._score(ROWS[0], nothing, truth, answer, regions)
        self._score(ROWS[1], everything, truth, answer, regions)
        if self._last_truth is None:
            self._first, self._first_regions = answer.replace(scores={}), tuple(regions)
        else:
            self._score(ROWS[2], answer.labels, placed(self._last_truth, truth.shape), answer, regions)
        self._last_truth = truth

    def rows(self) -> tuple[SanityRow, ...]:
        """The means; the first case meets the last truth. A single case has no shuffled row."""
        closed = replace(self, _values={key: list(found) for key, found in self._values.items()})
        first, last = self._first, self._last_truth
        if first is not None and last is not None and any(key[0] == ROWS[2] for key in self._values):
            closed._score(ROWS[2], first.labels, placed(last, first.labels.shape), first, self._first_regions)
        return tuple(
            SanityRow(*key, len(found), float(np.mean(found)))
            for key, found in sorted(closed._values.items(), key=lambda item: ROWS.index(item[0][0]))
        )

    def _score(
        self,
        row: str,
        labels: NDArray[np.uint8],
        truth: NDArray[np.uint8],
        answer: Segmentation,
        regions: Sequence[str],
    ) -> None:
        for (region, metric), value in quick_scores(labels, truth, regions, answer.grid.spacing_mm, self.rule).items():
            self._values.setdefault((row, region, metric), []).append(value)
