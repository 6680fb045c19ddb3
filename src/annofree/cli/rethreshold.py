"""`annofree rethreshold`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def rethreshold(
    results: Annotated[Path, typer.Argument(help="Folder that 'annofree segment' wrote.", show_default=False)],
    threshold: Annotated[str, typer.Option(help="Such as fixed:2.0, otsu or mad:3.", show_default=False)],
    region: Annotated[str, typer.Option(help="WT, TC or ET.")] = "WT",
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Write the new masks here.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the old masks.")] = False,
    locate: Annotated[bool, typer.Option(help="Name side and lobe of each lesion (a few seconds).")] = True,
) -> None:
    """Change masks from saved scores, without running a method again."""
    from annofree.batch.rethreshold import rethreshold as run
    from annofree.cli.show import console, show_failures, show_rows

    report = run(results, threshold, region=region, out=out, overwrite=overwrite, locate=locate)
    show_rows(report)
    for sentence in report.sentences:
        console.print(sentence, highlight=False, markup=False, soft_wrap=True)
    if report.failures:
        show_failures(report)
        raise typer.Exit(3)
