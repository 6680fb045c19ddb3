"""`annofree rethreshold`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from annofree.cli.options import Locate, Results, WhoseAnswers


def rethreshold(
    results: Results,
    threshold: Annotated[
        str | None, typer.Option(help="Such as fixed:2.0, otsu or mad:3; without it that in use.", show_default=False)
    ] = None,
    refine: Annotated[
        list[str] | None,
        typer.Option(
            help="Refiner of the region, such as median:3, instead of those in use; may be repeated; 'own' stands for "
            "those in use, 'none' for no refiner."
        ),
    ] = None,
    method: WhoseAnswers = None,
    region: Annotated[str, typer.Option(help="WT, TC or ET.")] = "WT",
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Write the new masks here.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the old masks.")] = False,
    locate: Locate = True,
) -> None:
    """Change masks from saved scores, without running a method again: another threshold, other refiners, or both."""
    from annofree.batch.rethreshold import rethreshold as run
    from annofree.cli.show import show_failures, show_rows, warn_of_old_scores
    from annofree.errors import InputError

    if threshold is None and refine is None:
        raise InputError("Nothing to change was given", fix="Give --threshold, such as fixed:0.7, or --refine")
    rules: dict[str, Any] = {"method": method, "refine": refine, "region": region}
    report = run(results, threshold, **rules, out=out, overwrite=overwrite, locate=locate)
    show_rows(report)
    warn_of_old_scores(report)
    show_failures(report)
    if report.failures or report.pageless:
        raise typer.Exit(3)
