"""The progress bar of a run."""

from __future__ import annotations

from collections.abc import Iterator

from annofree.batch.worker import Outcome


def with_progress(outcomes: Iterator[Outcome], total: int) -> Iterator[Outcome]:
    """The same outcomes, with a bar on stderr that says how many are left and for how long."""
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
