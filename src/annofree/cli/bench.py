"""`annofree bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from annofree.cli.options import Out


def bench(
    plan: Annotated[Path, typer.Argument(help="Plan (YAML): data, methods, thresholds, refiners.", show_default=False)],
    out: Out,
) -> None:
    """Compare methods, thresholds and refiners by a plan: tables, Markdown, a page; a stopped one goes on."""
    from annofree.bench.compare import bench as run
    from annofree.bench.tables import markdown, rows_of
    from annofree.cli.show import say, warn

    result = run(plan, out, say=warn)
    say(markdown(result, [row for group in result.groups for row in rows_of(group, oracles=result.oracles)]))
    say(f"written to {result.out}: bench.tsv, cases.tsv, bench.md, index.html")
    for sentence in result.failures:
        warn(f"not run: {sentence}")
    if result.failures:
        raise typer.Exit(3)
