"""`annofree prepare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def prepare(
    inputs: Annotated[
        list[Path], typer.Argument(help="Patient folders with raw heads, or a folder of many.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="Output folder.", show_default=False)],
    reference: Annotated[
        str | None, typer.Option(help="Sequence on whose grid scans will lie; the finest, FLAIR among equals.")
    ] = None,
    brain_mask: Annotated[Path | None, typer.Option(help="Brain mask, or name pattern of masks.")] = None,
    brain: Annotated[str, typer.Option(help="auto, network, hd-bet or synthstrip.")] = "auto",
    coregister: Annotated[str, typer.Option(help="rigid, or headers (nothing is registered).")] = "rigid",
    bias: Annotated[str, typer.Option(help="off, or n4 (slow shading is divided out).")] = "off",
) -> None:
    """Take skulls off and bring sequences together: what segment does first, with each step to look at."""
    from annofree.cli.show import console
    from annofree.errors import AnnofreeError
    from annofree.formats import open_cohort
    from annofree.prepare import Recipe
    from annofree.prepare.folder import write_prepared
    from annofree.scan import Modality

    wanted = None if reference is None else Modality.parse(reference)
    recipe = Recipe.from_mapping({"reference": wanted, "brain": brain, "coregister": coregister, "bias": bias})
    cohort = open_cohort(inputs, brain_mask=brain_mask, prepare=recipe)
    failed = 0
    for scan_id in cohort.ids:
        try:
            scan = cohort[scan_id]
            folder = write_prepared(scan, out)
        except AnnofreeError as error:
            failed += 1
            console.print(f"{scan_id}: {error}", style="red", highlight=False, markup=False, soft_wrap=True)
            continue
        steps = () if scan.preparation is None else scan.preparation.steps
        for step in steps:
            console.print(f"{scan_id}, {step.name}: {step.did}", highlight=False, markup=False, soft_wrap=True)
            for warning in step.warnings:
                console.print(f"  warning: {warning}", style="yellow", highlight=False, markup=False, soft_wrap=True)
        if not steps:
            console.print(f"{scan_id}: stripped and on one grid already", highlight=False, markup=False)
        console.print(f"written to {folder}", highlight=False, markup=False, soft_wrap=True)
    if failed:
        raise typer.Exit(2 if failed == len(cohort) else 3)
