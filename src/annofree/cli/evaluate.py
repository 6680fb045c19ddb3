"""`annofree evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from annofree.cli.options import Results, WhoseAnswers


def evaluate(
    results: Results,
    truth: Annotated[Path, typer.Option(help="Folder with the expert masks.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Table (TSV); default RESULTS/evaluation.tsv.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace tables that stand at -o.")] = False,
    task: Annotated[str, typer.Option(help="Lesion-wise constants: GLI, MEN, MET, SSA, PED, GoAT, GoAT-MEN.")] = "GLI",
    rule: Annotated[
        str, typer.Option(help="Whose way of counting lesions: brats2023, brats2025, panoptic.")
    ] = "brats2023",
    labels: Annotated[
        str | None,
        typer.Option(
            help="Label set of the truth where it cannot be told: brats2023, brats2021, brats2015, post-treatment, "
            "ped2024, msd, hd-glio, binary.",
            show_default=False,
        ),
    ] = None,
    method: WhoseAnswers = None,
) -> None:
    """Score segmentations against truth, per case and over all cases."""
    from annofree.cli.show import console, say, table, warn
    from annofree.evaluation.evaluate import evaluate as run
    from annofree.metrics import RULES

    evaluation = run(results, truth, out=out, overwrite=overwrite, task=task, rule=rule, labels=labels, method=method)
    table(*evaluation.case_table())
    console.print()
    table(*evaluation.summary_table())
    say(f"{evaluation.method} (tier {evaluation.tier}), written to {evaluation.path}")
    say(RULES[rule].explanation)
    say(f"The truth was read as {evaluation.read_as}.")
    if evaluation.foretold:
        say(evaluation.foretold)
    for sentence in evaluation.screen_notes():
        warn(sentence)
    for sentence in evaluation.skipped:
        warn(f"skipped {sentence}")
    if evaluation.skipped:
        raise typer.Exit(3)
