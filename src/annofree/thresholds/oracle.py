"""The value that the truth itself would choose: an upper bound for tables, never a result."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError, SettingsError
from annofree.scan import Truth
from annofree.segmentation import REGIONS
from annofree.thresholds.base import Threshold, brain_scores

#: Candidate values taken from each case's scores, inside its truth and in its brain.
_CANDIDATES = 512


class Oracle(Threshold):
    """The value with the best mean Dice on the very cases it is scored on: cheating, and printed as such.

    Attributes:
        region: The region of the truth that it looks at.
        dice: The mean Dice that the value reached where it was chosen.
    """

    kind: ClassVar[str] = "oracle"
    main: ClassVar[tuple[str, ...]] = ("region",)

    region: Literal["WT", "TC", "ET"] = "WT"
    dice: float | None = None
    tier: Literal["T3"] = "T3"

    def fit(self, cases: Iterable[tuple[NDArray[np.float32], NDArray[np.bool_], Truth]]) -> Self:
        """Choose the value with the best mean Dice over cases of (scores, brain, truth).

        Call it inside `annofree.scan.scoring()`. Candidates are quantiles of every case's scores; with one case
        and at most as many voxels as candidates the search is complete.

        Raises:
            LeakError: Called outside `annofree.scan.scoring()`.
            InputError: No case has any truth inside its brain, or one does not tell the region apart.
        """
        inside: list[NDArray[Any]] = []
        outside: list[NDArray[Any]] = []
        sizes: list[int] = []
        ids: list[str] = []
        for scores, brain, truth in cases:
            if self.region not in truth.regions:
                raise InputError(f"The truth of '{truth.scan_id}' does not tell {self.region} apart")
            target = np.isin(truth.labels, REGIONS[self.region])
            if target.shape != scores.shape:
                raise InputError(f"The truth of '{truth.scan_id}' has shape {target.shape}, its scores {scores.shape}")
            brain_scores(scores, brain, truth.scan_id)
            inside.append(np.sort(scores[brain & target]))
            outside.append(np.sort(scores[brain & ~target]))
            sizes.append(int(target.sum()))
            ids.append(truth.scan_id)
        if not any(values.size for values in inside):
            raise InputError("An oracle threshold needs a case with truth inside its brain")
        steps = np.linspace(0, 1, _CANDIDATES)
        every = [np.quantile(v, steps, method="nearest") for v in (*inside, *outside) if v.size]
        candidates = np.unique(np.concatenate(every))
        total = np.zeros(candidates.size)
        for hits, alarms, size in zip(inside, outside, sizes, strict=True):
            found = hits.size - np.searchsorted(hits, candidates, side="right")
            called = found + alarms.size - np.searchsorted(alarms, candidates, side="right")
            both = called + size
            total += np.where(both > 0, 2 * found / np.maximum(both, 1), 1.0)
        best = int(np.argmax(total))
        return self.replace(
            value=float(candidates[best]),
            dice=float(total[best] / len(sizes)),
            source="chosen with the truth that it is scored on",
            saw={"cases with their truth": len(ids), "ids": ids},
        )

    def value_for(self, scores: NDArray[np.float32], brain: NDArray[np.bool_]) -> float:
        """The value that the truth chose."""
        if self.value is None:
            raise SettingsError("The oracle threshold has no value yet", fix="Fit it with truth, in scoring only")
        return self.value

    def describe(self) -> str:
        """The warning that goes wherever the value is printed."""
        return f"ORACLE, CHEATING: best {self.region} Dice on its own truth"
