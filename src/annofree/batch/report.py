"""How a run over many scans ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from annofree.batch.worker import Failure


@dataclass
class BatchReport:
    """How a run ended.

    Attributes:
        out: The output folder.
        rows: Rows of `results.tsv` that are of this run, in cohort order.
        failures: Rows of `failures.tsv` that are of this run, in cohort order.
        reused: Ids that an earlier run had done already.
        seconds: Wall time.
    """

    out: Path
    rows: list[dict[str, str]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    reused: list[str] = field(default_factory=list)
    seconds: float = 0.0
