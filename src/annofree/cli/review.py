"""`annofree review`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from annofree.cli.options import Results, WhoseAnswers


def review(
    results: Results,
    method: WhoseAnswers = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder for the pages; beside the results without.")
    ] = None,
    again: Annotated[bool, typer.Option(help="Make pages again that are up to date.")] = False,
) -> None:
    """Make the page of every patient and of the cohort: offline, no face. Research software, not a medical device."""
    from annofree.cli.show import say, warn
    from annofree.review import review as run

    report = run(results, method=method, again=again, pages=out)
    for scan_id, why in report.failed:
        warn(f"no page for {scan_id}: {why}")
    kept = f", {len(report.kept)} up to date" if report.kept else ""
    say(f"{len(report.made)} pages made{kept}; open {report.index}")
    if report.failed:
        raise typer.Exit(3 if report.made or report.kept else 2)
