"""`annofree rerun`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def rerun(
    manifest: Annotated[Path, typer.Argument(help="run.json of a run, or its output folder.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Keep the new results here; without it they are only compared.")
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help="Do this scan only; may be repeated.")] = None,
) -> None:
    """Do a run again from its run.json and say whether the masks are the same to the last bit."""
    from annofree.batch.rerun import rerun as run
    from annofree.cli.show import say, table, warn

    result = run(manifest, out, only=only or (), progress=True)
    table(("scan", "mask", "scores", "why"), [(s.id, s.mask, s.scores, "; ".join(s.why)) for s in result.scans])
    for sentence in result.circumstances:
        warn(f"not as it was: {sentence}")
    same = sum(scan.mask == "same" for scan in result.scans)
    say(f"{same} of {len(result.scans)} scans came out the same to the last bit")
    if result.out is not None:
        say(f"written to {result.out}")
    if not result.reproduced:
        raise typer.Exit(3)
