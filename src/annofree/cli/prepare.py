"""`annofree prepare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from annofree.cli.options import Bias, Brain, Coregister, Out


def prepare(
    inputs: Annotated[
        list[Path], typer.Argument(help="Patient folders with raw heads, or a folder of many.", show_default=False)
    ],
    out: Out,
    reference: Annotated[
        str | None, typer.Option(help="Sequence on whose grid scans will lie; the finest, FLAIR among equals.")
    ] = None,
    brain_mask: Annotated[Path | None, typer.Option(help="Brain mask, or name pattern of masks.")] = None,
    brain: Brain = "auto",
    coregister: Coregister = "rigid",
    bias: Bias = "off",
) -> None:
    """Take skulls off and bring sequences together: what segment does first, with each step to look at."""
    from annofree.cli.show import say, warn
    from annofree.errors import AnnofreeError
    from annofree.formats import open_cohort
    from annofree.formats.outfolder import refuse_no_folder
    from annofree.formats.standing import listed
    from annofree.prepare import Recipe
    from annofree.prepare.brain_ladder import require_program
    from annofree.prepare.folder import prepared_before, write_prepared
    from annofree.progress import heard
    from annofree.scan import Modality

    wanted = None if reference is None else Modality.parse(reference)
    require_program(brain)
    recipe = Recipe(reference=wanted, brain=brain, coregister=coregister, bias=bias)
    cohort = open_cohort(inputs, brain_mask=brain_mask, prepare=recipe)
    refuse_no_folder(out)
    failed = 0
    for scan_id in cohort.ids:
        try:
            order = listed(cohort.subset([scan_id]))
            if prepared_before(scan_id, out, order):
                say(f"{scan_id}: prepared before, left as it is")
                continue
            with heard():
                scan = cohort[scan_id]
            folder = write_prepared(scan, out, order)
        except AnnofreeError as error:
            failed += 1
            warn(f"failed {scan_id}: {error}")
            continue
        steps = () if scan.preparation is None else scan.preparation.steps
        for step in steps:
            say(f"{scan_id}, {step.name}: {step.did}")
            for warning in step.warnings:
                say(f"  warning: {warning}", style="yellow")
        if not steps:
            say(f"{scan_id}: stripped and on one grid already")
        say(f"written to {folder}")
    if failed:
        raise typer.Exit(2 if failed == len(cohort) else 3)
