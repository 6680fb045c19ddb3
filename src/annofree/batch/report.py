"""How a run over many scans ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from annofree.batch.worker import Failure


@dataclass(repr=False)
class BatchReport:
    """How a run ended: its rows of `results.tsv` and `failures.tsv` in cohort order, and its wall time.

    `reused` are the ids that an earlier run had done already.
    """

    out: Path
    rows: list[dict[str, str]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    reused: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __repr__(self) -> str:
        return f"<BatchReport: {len(self.rows)} done, {len(self.failures)} failed; {self.out}>"
