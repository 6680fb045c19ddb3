"""`annofree evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    results: Annotated[Path, typer.Argument(help="Folder that 'annofree segment' wrote.", show_default=False)],
    truth: Annotated[Path, typer.Option(help="Folder with the expert masks.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Table (TSV); default RESULTS/evaluation.tsv.")
    ] = None,
    task: Annotated[str, typer.Option(help="Lesion-wise rule: GLI, MEN, MET, SSA, PED.")] = "GLI",
) -> None:
    """Score segmentations against truth, per case and over all cases."""
    from annofree.cli.show import console, errors, table
    from annofree.evaluation.evaluate import evaluate as run

    evaluation = run(results, truth, out=out, task=task)
    table(*evaluation.case_table())
    console.print()
    table(*evaluation.summary_table())
    console.print(
        f"{evaluation.method} (tier {evaluation.tier}), written to {evaluation.path}", highlight=False, soft_wrap=True
    )
    for sentence in evaluation.skipped:
        errors.print(f"skipped {sentence}", highlight=False, markup=False, soft_wrap=True)
    if evaluation.skipped:
        raise typer.Exit(3)
