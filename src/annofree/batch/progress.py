"""The progress of a run on stderr: a bar on a terminal, one line a stage on a pipe or in a file."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

from annofree.batch.worker import Outcome
from annofree.progress import listening


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
