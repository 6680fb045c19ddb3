"""Many scans: one model, a progress bar, failures that do not stop the rest, and a resume that redoes nothing."""

from __future__ import annotations

import json
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annofree.batch.record import COLUMNS, read_record, run_key, tsv, write_record
from annofree.errors import AnnofreeError
from annofree.formats.outfolder import atomic_write, claim_folder
from annofree.pipeline import Choice, segment_scan

if TYPE_CHECKING:
    from annofree.methods.base import Method
    from annofree.scan import Cohort, Scan
    from annofree.segmentation import Segmentation

FAILURE_COLUMNS = ("id", "what", "why", "next")


@dataclass(frozen=True)
class Failure:
    """A scan that could not be segmented: what, why, what next."""

    id: str
    what: str
    why: str
    next: str


@dataclass
class BatchReport:
    """How a run ended.

    Attributes:
        out: The output folder.
        rows: Rows of `results.tsv`, in cohort order.
        failures: Rows of `failures.tsv`.
        reused: Ids that an earlier run had done already.
        seconds: Wall time.
    """

    out: Path
    rows: list[dict[str, str]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    reused: list[str] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """What became of one scan."""

    id: str
    failure: Failure | None = None
    reused: bool = False


class Worker:
    """Segments scans of a cohort with one model that is loaded once per process."""

    def __init__(self, cohort: Cohort, choice: Choice, out: Path, locate: bool, review: bool) -> None:
        self.cohort, self.choice, self.out, self.locate, self.review = cohort, choice, out, locate, review
        self._method: Method | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_method": None}

    @property
    def method(self) -> Method:
        """The method, built on first use."""
        if self._method is None:
            self._method = self.choice.build()
        return self._method

    def _write_page(self, result: Segmentation, scan: Scan) -> None:
        """The scan's page; one that cannot be made takes nothing from the answer, and the cohort page says so."""
        from annofree.review import write_review

        with suppress(AnnofreeError):
            write_review(result, scan, self.out)

    def __call__(self, scan_id: str) -> Outcome:
        """Segment one scan, write its files and, last, its record."""
        started = time.monotonic()
        try:
            scan = self.cohort[scan_id]
            method = self.method
            key = run_key({**method.describe(), "locate": self.locate}, scan.files)
            record = read_record(self.out, scan_id)
            if record is not None and record["key"] == key:
                return Outcome(scan_id, reused=True)
            result = segment_scan(scan, method, locate=self.locate)
            result.save(self.out)
            if self.review:
                self._write_page(result, scan)
            write_record(self.out, result, key, time.monotonic() - started)
        except AnnofreeError as error:
            return Outcome(scan_id, Failure(scan_id, error.what, error.why or "n/a", error.fix or "n/a"))
        except MemoryError:
            return Outcome(
                scan_id,
                Failure(scan_id, "Not enough memory", "the scan or the model is too large", "Use fewer --workers"),
            )
        except OSError as error:
            return Outcome(scan_id, Failure(scan_id, "Reading or writing failed", str(error), "Check disk and rights"))
        return Outcome(scan_id)


def run(
    cohort: Cohort,
    choice: Choice,
    out: str | Path,
    *,
    workers: int = 1,
    locate: bool = True,
    review: bool = False,
    progress: bool = False,
) -> BatchReport:
    """Segment every scan of a cohort.

    Args:
        cohort: The scans.
        choice: Method or model, threshold, refiners.
        out: Output folder; results of an earlier run with the same choice and the same files are kept.
        workers: Processes; each loads the model once.
        locate: Whether lesions get side and lobe.
        review: Whether to make the page of each scan and of the cohort.
        progress: Whether to show a progress bar with the time left.

    Returns:
        Rows, failures, what was reused.

    Raises:
        AnnofreeError: The method cannot be built, or the output folder cannot be used.
    """
    out = claim_folder(out)
    started = time.monotonic()
    worker = Worker(cohort, choice, out, locate, review)
    described = worker.method.describe()
    report = BatchReport(out)
    done: dict[str, dict[str, str]] = {}
    for outcome in _with_progress(_outcomes(worker, cohort, workers), len(cohort), progress):
        if outcome.failure is not None:
            report.failures.append(outcome.failure)
        elif (record := read_record(out, outcome.id)) is not None:
            done[outcome.id] = record["row"]
        if outcome.reused:
            report.reused.append(outcome.id)
        report.rows = [done[scan_id] for scan_id in cohort.ids if scan_id in done]
        _write_tables(report, cohort)
    report.seconds = time.monotonic() - started
    manifest = {
        "command": sys.argv,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "method": described,
        "choice": asdict(choice),
        "scans": list(cohort.ids),
        "done": [row["id"] for row in report.rows],
        "failed": [failure.id for failure in report.failures],
        "reused": report.reused,
        "seconds": round(report.seconds, 2),
    }
    atomic_write(out / "run.json", json.dumps(manifest, indent=1, default=str) + "\n")
    if review:
        from annofree.review import review as make_pages

        make_pages(out)  # those that an earlier run left out, and the cohort's
    return report


def _outcomes(worker: Worker, cohort: Cohort, workers: int) -> Iterator[Outcome]:
    if workers <= 1 or len(cohort) <= 1:
        yield from map(worker, cohort.ids)
        return
    from annofree.batch.parallel import outcomes

    yield from outcomes(worker, cohort.ids, workers)


def _with_progress(outcomes: Iterator[Outcome], total: int, show: bool) -> Iterator[Outcome]:
    if not show:
        yield from outcomes
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("segmenting", total=total)
        for outcome in outcomes:
            bar.update(task, advance=1, description=outcome.id)
            yield outcome


def _write_tables(report: BatchReport, cohort: Cohort) -> None:
    """Tables from the records, in cohort order: the same bytes whichever run did the work."""
    failed = {failure.id: failure for failure in report.failures}
    atomic_write(report.out / "results.tsv", tsv(report.rows, COLUMNS))
    rows = [asdict(failed[i]) for i in cohort.ids if i in failed]
    path = report.out / "failures.tsv"
    if rows:
        atomic_write(path, tsv(rows, FAILURE_COLUMNS))
    else:
        path.unlink(missing_ok=True)
