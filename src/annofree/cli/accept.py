"""`annofree accept`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def accept(
    corrected: Annotated[Path, typer.Argument(help="A corrected mask, or a folder of them, under their own names.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The output folder of the run.", show_default=False)],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a correction accepted earlier.")] = False,
) -> None:
    """Take masks back that were corrected in another program, and say what changed; originals stay."""
    from annofree.cli.show import say, table
    from annofree.evaluation.accept import accept as take

    rows = take(corrected, out, overwrite=overwrite)
    shown = []
    for row in rows:
        cells = (("before_ml", 3), ("after_ml", 3), ("dice", 4))
        numbers = ("n/a" if row[name] is None else f"{row[name]:.{digits}f}" for name, digits in cells)
        shown.append((row["id"], row["region"], *numbers))
    table(("scan", "region", "before ml", "after ml", "Dice"), shown)
    say(f"written to {out / 'accepted.tsv'}")
