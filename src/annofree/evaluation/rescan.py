"""How far two volumes of one tumour lie apart when nothing has changed but the examination.

The noise of a volume goes with the volume: among phantoms examined twice its share was alike for small and for
large tumours, and in units of the surface not. In that unit the interval is split conformal (Vovk et al. 2005): it
holds, with the stated probability, for any further pair that is like the measured ones. `rescan.json` has the measured
constants by method, each with its source.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import numpy as np

from annofree.formats.outfolder import write_json

FILE = "rescan.json"
#: Share of pairs without change whose change lies inside the interval.
SHARE = 0.95

Verdict = Literal["larger", "smaller", "no change shown", "n/a"]


def scale_ml(before_ml: float, after_ml: float) -> float:
    """What the noise of a change is measured in: the mean volume, and one ml more for what is next to nothing.

    Example:
        >>> scale_ml(8.0, 6.0)
        8.0
    """
    return 0.5 * (before_ml + after_ml) + 1.0


def signed(value: float, digits: int = 0) -> str:
    """A number with its sign; what rounds to nothing has none.

    Example:
        >>> signed(-0.3), signed(-0.3, 1), signed(2)
        ('0', '-0.3', '+2')
    """
    text = f"{value:+.{digits}f}"
    return text if float(text) else text[1:]


@dataclass(frozen=True)
class Rescan:
    """The noise of re-scanning for one method.

    Attributes:
        method: Its name.
        k: By region: changes up to so many times `scale_ml` were seen without any change.
        pairs: How many pairs of examinations told it.
        source: What they were.
    """

    method: str
    k: Mapping[str, float]
    pairs: int
    source: str

    @classmethod
    def measured(cls, method: str, volumes_ml: Mapping[str, Sequence[Sequence[float]]], source: str) -> Rescan:
        """From pairs of volumes (before, after) by region, at least 19 of them."""
        k, pairs = {}, 0
        for region, both in volumes_ml.items():
            ratios = sorted(abs(after - before) / scale_ml(before, after) for before, after in both)
            pairs = len(ratios)
            k[region] = round(ratios[int(np.ceil((pairs + 1) * SHARE)) - 1], 4)
        return cls(method, k, pairs, source)

    def write(self, path: Path) -> None:
        """Put these constants into a file of constants."""
        told = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        told[self.method] = {"k": dict(self.k), "pairs": self.pairs, "source": self.source}
        write_json(path, dict(sorted(told.items())))


@cache
def rescans() -> Mapping[str, Rescan]:
    """The constants that ship, by method."""
    told: dict[str, Any] = json.loads((files("annofree.evaluation") / FILE).read_text(encoding="utf-8"))
    return {method: Rescan(method, **row) for method, row in told.items()}


@dataclass(frozen=True)
class Change:
    """A region's volume at two times.

    Changes up to `noise_ml` are seen without any change; it is None where nobody measured the method.
    """

    region: str
    before_ml: float
    after_ml: float
    noise_ml: float | None

    @classmethod
    def of(cls, region: str, before_ml: float, after_ml: float, rescan: Rescan | None) -> Change:
        """With the noise that was measured for a method, if any."""
        k = None if rescan is None else rescan.k.get(region)
        return cls(region, before_ml, after_ml, None if k is None else k * scale_ml(before_ml, after_ml))

    @property
    def ml(self) -> float:
        """The change."""
        return self.after_ml - self.before_ml

    @property
    def percent(self) -> float | None:
        """The change in percent of the volume then; None where there was nothing."""
        return None if self.before_ml == 0 else 100 * self.ml / self.before_ml

    @property
    def interval_ml(self) -> tuple[float, float] | None:
        """Where the true change lies."""
        return None if self.noise_ml is None else (self.ml - self.noise_ml, self.ml + self.noise_ml)

    def cells(self, digits: int) -> tuple[str, str, str, str, str]:
        """Volume then and now, the change in ml and in percent, and its interval, with so many digits."""
        low, high = self.interval_ml or (None, None)
        interval = "n/a" if low is None or high is None else f"{signed(low, digits)} to {signed(high, digits)}"
        percent = "n/a" if self.percent is None else signed(self.percent)
        then, now = f"{self.before_ml:.{digits}f}", f"{self.after_ml:.{digits}f}"
        return then, now, signed(self.ml, digits), percent, interval

    @property
    def shown_ml(self) -> tuple[float, float]:
        """Volumes now below and above which a change from the volume then shows; 0 and infinity where none does."""
        assert self.noise_ml is not None
        half = 0.5 * self.noise_ml / scale_ml(self.before_ml, self.after_ml)
        low = (self.before_ml * (1 - half) - 2 * half) / (1 + half)
        high = (self.before_ml * (1 + half) + 2 * half) / (1 - half) if half < 1 else float("inf")
        return max(low, 0.0), high

    @property
    def sentence(self) -> str:
        """The verdict with its numbers, and what can and cannot be concluded from them."""
        cells = self.cells(1)
        percent = "" if self.percent is None else f", {cells[3]} %"
        told = f"{cells[0]} ml then, {cells[1]} ml now ({cells[2]} ml{percent})"
        if self.noise_ml is None:
            return f"{told}; how much of that is noise is not known, so nothing can be concluded."
        told += f"; {SHARE:.0%} interval of the change {cells[4]} ml"
        if self.verdict != "no change shown":
            return f"The tumour is {self.verdict}: {told}."
        low, high = self.shown_ml
        edges = [f"growth beyond {high:.1f} ml"] if np.isfinite(high) else []
        edges += [f"shrinking below {low:.1f} ml"] if low >= 0.05 else []
        from_here = f" From {cells[0]} ml, only {' or '.join(edges)} would show." if edges else ""
        return f"No change is shown, and none is ruled out: {told}.{from_here}"

    @property
    def verdict(self) -> Verdict:
        """Whether the change is more than two scans without change show."""
        if self.noise_ml is None:
            return "n/a"
        if abs(self.ml) <= self.noise_ml:
            return "no change shown"
        return "larger" if self.ml > 0 else "smaller"
