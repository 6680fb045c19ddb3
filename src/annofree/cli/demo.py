"""`annofree demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[Path, typer.Option("-o", "--out", help="Output folder.")] = Path("demo"),
    overwrite: Annotated[bool, typer.Option(help="Replace an earlier demo in that folder.")] = False,
) -> None:
    """The default method on made phantoms: make, segment, score, pages to look at. No data, no network."""
    from annofree.cli.show import console, say, show_failures, show_rows, table
    from annofree.demo import GOOD_DICE, GOOD_FALSE_ML
    from annofree.demo import demo as run

    say("making four phantoms, one of them without a tumour, and segmenting them with the default method ...")
    result = run(out, overwrite=overwrite, progress=True)
    show_rows(result.report)
    show_failures(result.report)
    console.print()
    table(*result.evaluation.case_table())
    say(
        f"good is: whole-tumour (WT) Dice of at least {GOOD_DICE} wherever there is a tumour, and at most "
        f"{GOOD_FALSE_ML:g} ml called where there is none"
    )
    say("; ".join(result.shortfalls) or "all of it is good")
    say(f"pictures: open {result.report.out / 'index.html'}")
    say("Phantoms are made, not patients: this shows that the machinery works, no more.")
    if result.shortfalls:
        say("That is less than it should be: run 'annofree doctor'.")
        raise typer.Exit(3)
