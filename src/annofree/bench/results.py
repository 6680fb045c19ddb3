"""What came of a comparison: entries by data, with their scores and costs."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isnan
from pathlib import Path

from annofree.bench.plan import ORACLE, OWN, PLAIN, Plan
from annofree.bench.runs import Cost, Place
from annofree.bench.scores import Scored, values_of
from annofree.evaluation.sanity import SanityRow
from annofree.formats import written_ids


@dataclass(frozen=True)
class Entry:
    """One method under one set of rules on one kind of data.

    `threshold` is "own" or a short form, `refiners` "own", "none" or a chain. `answers` is the folder of its masks; a
    transductive model learned from scans that it is scored on.
    """

    name: str
    threshold: str
    refiners: str
    scores: Scored
    cost: Cost
    answers: Path
    transductive: bool

    @property
    def own(self) -> bool:
        """Whether the method decided by its own rules."""
        return (self.threshold, self.refiners) == (OWN, OWN)

    @property
    def dices(self) -> dict[str, float]:
        """Whole-tumour Dice by case, where there is one."""
        found = values_of(self.scores.cases, "dice", "WT")
        return {case: value for case, value in found.items() if not isnan(value)}

    @property
    def title(self) -> str:
        """Name and rules."""
        parts = [self.name] + ([f"threshold {self.threshold}"] if self.threshold != OWN else [])
        return ", ".join(parts + ([f"refiners {self.refiners}"] if self.refiners != OWN else []))


@dataclass(frozen=True)
class Group:
    """Everything on one kind of data.

    Entries stand in the plan's order, the plain rule among them; `sanity` is what no method is needed for.
    """

    place: Place
    entries: tuple[Entry, ...]
    sanity: tuple[SanityRow, ...]
    ids: tuple[str, ...]

    @property
    def name(self) -> str:
        """Of the data."""
        return self.place.data.name

    def missing(self, entry: Entry) -> int:
        """Scans of which an entry has no answer."""
        return len(set(self.ids) - set(written_ids(entry.answers)))

    @property
    def plain(self) -> Entry | None:
        """The plain rule."""
        return next((one for one in self.entries if one.name == PLAIN and one.own), None)


@dataclass
class Bench:
    """How a comparison ended: what came of each kind of data, and sentences on what could not be run."""

    plan: Plan
    out: Path
    groups: list[Group] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def oracles(self) -> bool:
        """Whether rows chosen with the truth are shown, apart."""
        return self.plan.curve or ORACLE in self.plan.thresholds
