"""`annofree rethreshold`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from annofree.cli.options import Locate, Results, WhoseAnswers


def rethreshold(
    results: Results,
    threshold: Annotated[str, typer.Option(help="Such as fixed:2.0, otsu or mad:3.", show_default=False)],
    method: WhoseAnswers = None,
    region: Annotated[str, typer.Option(help="WT, TC or ET.")] = "WT",
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Write the new masks here.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the old masks.")] = False,
    locate: Locate = True,
) -> None:
    """Change masks from saved scores, without running a method again."""
    from annofree.batch.rethreshold import rethreshold as run
    from annofree.cli.show import show_failures, show_rows

    report = run(results, threshold, method=method, region=region, out=out, overwrite=overwrite, locate=locate)
    show_rows(report)
    if report.failures:
        show_failures(report)
        raise typer.Exit(3)
