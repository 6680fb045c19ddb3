"""Scans over several processes of this machine."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import TYPE_CHECKING

from annofree.batch.worker import Failure, Outcome, Worker
from annofree.processes import as_they_come

if TYPE_CHECKING:
    from annofree.scan import Cohort


def outcomes(worker: Worker, ids: Iterable[str], *, workers: int = 1) -> Generator[Outcome, None, None]:
    """Run the worker over scans in other processes, yielding outcomes as they come.

    A scan whose process dies is tried once more at the end, with nothing beside it; if that process dies too, the
    scan has failed.

    Args:
        worker: What to do with a scan.
        ids: The scans.
        workers: Processes.
    """
    jobs = (worker.cohort.subset([scan_id]) for scan_id in ids)
    work = OneScan(worker.over(worker.cohort.subset(())))
    for cohort, outcome in as_they_come(work, jobs, workers):
        yield died(cohort.ids[0]) if outcome is None else outcome


def died(scan_id: str) -> Outcome:
    """The outcome of a scan whose process died each time."""
    what = "The process died while segmenting this scan, and again when it was tried alone"
    why = "most often it runs out of memory"
    return Outcome(scan_id, Failure(scan_id, what, why, "Give it more memory, or leave this scan out"))


class OneScan:
    """A worker that is given each scan with its job: the cohort of a run need not travel to every process."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker

    def __call__(self, cohort: Cohort) -> Outcome:
        """Segment the one scan of a cohort."""
        (scan_id,) = cohort.ids
        return self.worker.over(cohort)(scan_id)
