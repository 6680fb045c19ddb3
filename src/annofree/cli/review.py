"""`annofree review`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def review(
    results: Annotated[Path, typer.Argument(help="Folder that 'annofree segment' wrote.", show_default=False)],
    method: Annotated[str | None, typer.Option(help="Whose answers, where the folder holds several.")] = None,
    again: Annotated[bool, typer.Option(help="Make pages again that are up to date.")] = False,
) -> None:
    """Make the page of every patient and of the cohort: offline, no face. Research software, not a medical device."""
    from annofree.cli.show import console, errors
    from annofree.review import review as run

    report = run(results, method=method, again=again)
    for scan_id, why in report.failed:
        errors.print(f"no page for {scan_id}: {why}", highlight=False, markup=False, soft_wrap=True)
    kept = f", {len(report.kept)} up to date" if report.kept else ""
    console.print(f"{len(report.made)} pages made{kept}; open {report.index}", highlight=False, soft_wrap=True)
    if report.failed:
        raise typer.Exit(3)
