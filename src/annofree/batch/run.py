"""Many scans: one model, a progress bar, failures that do not stop the rest, and a resume that redoes nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annofree.batch.fingerprint import model_hashes, software
from annofree.batch.manifest import write_manifest
from annofree.batch.record import RECORDS, now, read_record, standing_rows, start_mark, sweep, write_results
from annofree.batch.worker import BatchReport, Failure, Outcome, Worker
from annofree.errors import InputError
from annofree.formats.bids_names import bids_stem
from annofree.formats.lock import only_run
from annofree.formats.network_folder import text_hash
from annofree.formats.outfolder import claimed, read_table, refuse_beside, write_table
from annofree.pipeline import Choice
from annofree.processes import as_they_come, sensible
from annofree.progress import listening

if TYPE_CHECKING:
    from annofree.methods.base import Method
    from annofree.scan import Cohort

__all__ = ["BatchReport", "run"]

FAILURE_COLUMNS = ("id", "what", "why", "next")


def run(
    cohort: Cohort,
    choice: Choice,
    out: str | Path,
    *,
    workers: int = 1,
    scheduler: str | None = None,
    locate: bool = True,
    review: bool = False,
    progress: bool = False,
    method: Method | None = None,
) -> BatchReport:
    """Segment every scan of a cohort.

    Args:
        cohort: The scans.
        choice: Method or model, threshold, refiners.
        out: Output folder; results of an earlier run with the same choice and the same files are kept.
        workers: Processes, at most one a scan and a core; each loads the model once.
        scheduler: Address of a Dask scheduler ("tcp://host:8786") whose workers do the work instead; they need the
            same annofree, and must see scans and output folder under the same paths.
        locate: Whether lesions get side and lobe.
        review: Whether to make the page of each scan and of the cohort.
        progress: Whether to show progress on stderr: a bar on a terminal, else a line a stage.
        method: The choice's method where it is loaded already; other processes load their own.

    Returns:
        Rows, failures, what was reused. Every scan is in exactly one of rows and failures.

    Raises:
        AnnofreeError: The method cannot be built, the output folder cannot be used or another run is writing
            into it, or no scheduler answers.
    """
    if scheduler is not None and workers > 1:
        raise InputError("Both workers and a scheduler were given", fix="Give --workers N or --scheduler, not both")
    refuse_beside(Path(out), "reports.tsv", "what 'annofree reports' wrote")
    begun, started = now(), time.monotonic()
    with claimed(out) as folder, only_run(folder):
        out = folder.absolute()
        if scheduler is not None:
            from annofree.batch.scheduler import require_scheduler

            require_scheduler(scheduler)
        elif workers <= 1 or len(cohort) == 1:
            _begin_first(cohort, out)
        build = cache(choice.build if method is None else lambda: method)
        described = build().describe()
        model = model_hashes(choice)
        setup = text_hash(software()["annofree"], described, model, locate, choice.strict, choice.false_alarms)
        # with absolute paths: a process elsewhere starts in another folder
        paths: dict[str, Any] = {
            name: str(Path(path).absolute()) for name in ("model", "sam") if (path := getattr(choice, name))
        }
        worker = Worker(cohort, replace(choice, **paths), out, locate, review, setup, build)
        tables = _Tables(cohort, out, build().name)
        sweep(out, deep=False)
        sweep(out / RECORDS)
        try:
            todo = tables.left_to_do(worker)
            tables.write()
            workers = sensible(workers, len(todo))
            with closing(_outcomes(worker, todo, workers, scheduler)) as outcomes:
                for outcome in with_progress(outcomes, len(todo)) if progress else outcomes:
                    tables.add(outcome)
                    if outcome.failure is not None and outcome.failure.disk_full:
                        tables.give_up()
                        break
                    tables.write_now_and_then()
        finally:
            tables.write()
            report = tables.report
            report.seconds = time.monotonic() - started
            write_manifest(
                worker, report, described=described, model=model, started=begun, workers=workers, scheduler=scheduler
            )
        if review:
            report.make_pages(cohort.ids)  # those that an earlier run left out are made, and the cohort's
        elif (out / "index.html").is_file() and (report.rows or report.failures):
            report.make_pages(cohort.ids, each=False)  # an earlier run's page would not show what is there now
    return report


def _begin_first(cohort: Cohort, out: Path) -> None:
    """Let the first scan be read while the method loads, unless an earlier run ended it or died of it."""
    for first in cohort.ids[:1]:
        if not (start_mark(out, first).exists() or read_record(out, first)):
            cohort.begin(first)


def _outcomes(worker: Worker, ids: list[str], workers: int, scheduler: str | None) -> Generator[Outcome, None, None]:
    """Outcomes of the scans; one whose process died in an earlier run is tried in a process of its own, last."""
    suspects = [scan_id for scan_id in ids if start_mark(worker.out, scan_id).exists()]
    if scheduler is None and (workers <= 1 or len(ids) <= 1):
        yield from map(worker, (scan_id for scan_id in ids if scan_id not in suspects))
        ids = suspects
    if scheduler is not None:
        from annofree.batch.scheduler import outcomes as outcomes_there

        with closing(outcomes_there(worker, ids, scheduler)) as found:
            yield from found
    elif ids:
        jobs = (worker.cohort.subset([scan_id]) for scan_id in ids)
        with closing(as_they_come(worker.over(worker.cohort.subset(())).one, jobs, workers)) as ended:
            for cohort, outcome in ended:
                yield Outcome.died(cohort.ids[0]) if outcome is None else outcome


def _collisions(ids: Iterable[str]) -> Iterator[Failure]:
    """Scans whose files would carry the name of a scan before them; found first, so that no race decides it."""
    first: dict[str, str] = {}
    for scan_id in ids:
        other = first.setdefault(bids_stem(scan_id), scan_id)
        if other != scan_id:
            what = f"Scans '{other}' and '{scan_id}' would share the files of {bids_stem(scan_id)}"
            yield Failure(scan_id, what, "BIDS names keep letters and digits only", "Rename one of them")


def with_progress(outcomes: Iterator[Outcome], total: int) -> Iterator[Outcome]:
    """The same outcomes; on stderr stands which scan is at which stage, how many are done, and for how long still."""
    return _bar(outcomes, total) if sys.stderr.isatty() else _lines(outcomes, total)


def _bar(outcomes: Iterator[Outcome], total: int) -> Iterator[Outcome]:
    from rich import progress as shown
    from rich.console import Console

    columns = (
        *(shown.TextColumn("{task.description}", markup=False), shown.BarColumn(), shown.MofNCompleteColumn()),
        *(shown.TimeElapsedColumn(), shown.TextColumn("left"), shown.TimeRemainingColumn()),
    )
    with shown.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("segmenting", total=total)
        with listening(lambda scan_id, what: bar.update(task, description=f"{scan_id}: {what}")):
            for outcome in outcomes:
                bar.update(task, advance=1, description=outcome.id)
                yield outcome


def _lines(outcomes: Iterator[Outcome], total: int) -> Iterator[Outcome]:
    """One line a stage where this process does the work, one a scan where others do."""
    done, started = 0, time.monotonic()

    def say(scan_id: str, what: str) -> None:
        print(f"[{done + 1}/{total}] {scan_id}: {what}", file=sys.stderr, flush=True)

    with listening(say):
        for outcome in outcomes:
            how = "failed" if outcome.failure is not None else "done"
            say(outcome.id, f"{how}, {time.monotonic() - started:.0f} s since the start")
            done += 1
            yield outcome


class _Tables:
    """`results.tsv` and `failures.tsv` of all that lies in the folder, this run's scans first.

    They have the same bytes whichever run did the work, in whatever order.
    """

    def __init__(self, cohort: Cohort, out: Path, method: str) -> None:
        self.cohort, self.out = cohort, out
        ours = {(scan_id, method) for scan_id in cohort.ids}
        self._earlier = [row for row in standing_rows(out) if (row["id"], row["method"]) not in ours]
        known = {*cohort.ids, *(row["id"] for row in self._earlier)}
        known |= {f"'{scan_id}" for scan_id in known}  # as a cell that would be a formula stands in a table
        self._earlier_failures = [row for row in read_table(out / "failures.tsv") if row.get("id") not in known]
        self.ended: dict[str, Outcome] = {}
        self._rows: dict[str, dict[str, str]] = {}
        self._next = 0.0

    def add(self, outcome: Outcome) -> None:
        """Take in what became of a scan."""
        if outcome.failure is None:
            record = read_record(self.out, outcome.id)
            if record is None:
                why = "somebody removed it while the run went on"
                outcome = Outcome(outcome.id, Failure(outcome.id, "Its record is gone", why, "Run again"))
            else:
                group = self.cohort.group(outcome.id)  # an answer that was reused may have had none, or another one
                self._rows[outcome.id] = {**record["row"], **({} if group is None else {"group": group})}
        self.ended[outcome.id] = outcome

    def left_to_do(self, worker: Worker) -> list[str]:
        """Scans that neither an earlier run did nor another one's name keeps from being written."""
        for failure in _collisions(self.cohort.ids):
            self.add(Outcome(failure.id, failure))
        for scan_id in self.cohort.ids:
            if scan_id not in self.ended and worker.done_before(scan_id):
                self.add(Outcome(scan_id, reused=True))
        return [scan_id for scan_id in self.cohort.ids if scan_id not in self.ended]

    def give_up(self) -> None:
        """Let every scan that has not ended fail: the disk is full."""
        why, remedy = "the disk filled up before its turn", "Make room and run the same command again"
        for scan_id in self.cohort.ids:
            if scan_id not in self.ended:
                self.ended[scan_id] = Outcome(scan_id, Failure(scan_id, "Not tried", why, remedy))

    @property
    def report(self) -> BatchReport:
        """Everything so far, in cohort order."""
        ended = [self.ended[scan_id] for scan_id in self.cohort.ids if scan_id in self.ended]
        return BatchReport(
            self.out,
            [self._rows[outcome.id] for outcome in ended if outcome.failure is None],
            [outcome.failure for outcome in ended if outcome.failure is not None],
            [outcome.id for outcome in ended if outcome.reused],
        )

    def write(self) -> None:
        """Write both tables; without failures there is no file for them."""
        report = self.report
        write_results(self.out, [*report.rows, *self._earlier])
        path = self.out / "failures.tsv"
        failures = [*(asdict(failure) for failure in report.failures), *self._earlier_failures]
        if failures:
            write_table(path, failures, FAILURE_COLUMNS)
        else:
            path.unlink(missing_ok=True)

    def write_now_and_then(self) -> None:
        """Write them so seldom that writing takes a small share of a long run."""
        started = time.monotonic()
        if started >= self._next:
            self.write()
            self._next = time.monotonic() + max(1.0, 20 * (time.monotonic() - started))
