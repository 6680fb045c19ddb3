"""`annofree demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[Path, typer.Option("-o", "--out", help="Output folder.")] = Path("demo"),
    overwrite: Annotated[bool, typer.Option(help="Replace an earlier demo in that folder.")] = False,
) -> None:
    """Everything once, on made phantoms: make, fit, segment, score. No data, no network."""
    from annofree.cli.show import console, show_rows, table
    from annofree.demo import demo as run

    console.print("making phantoms, fitting the threshold on the healthy ones, segmenting the others ...")
    result = run(out, overwrite=overwrite)
    show_rows(result.report)
    console.print()
    table(*result.evaluation.case_table())
    console.print(f"open {result.report.out / 'index.html'} to look at them", highlight=False, soft_wrap=True)
    console.print("Phantoms are made, not patients: these numbers show that the machinery works, no more.")
