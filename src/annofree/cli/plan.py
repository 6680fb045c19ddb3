"""`annofree plan`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from annofree.cli.options import BrainMask


def plan(
    data: Annotated[Path, typer.Argument(help="Cohort or nnU-Net data set folder.", show_default=False)],
    out: Annotated[Path, typer.Option("-o", "--out", help="Plan to write.")] = Path("plan.yaml"),
    memory: Annotated[
        float | None, typer.Option(help="Memory of a training step in GB; by default what this machine can give.")
    ] = None,
    spacing: Annotated[float | None, typer.Option(help="Voxel size in mm, instead of the data's own.")] = None,
    filters: Annotated[int, typer.Option(min=8, help="Channels of the finest level.")] = 32,
    brain_mask: BrainMask = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a plan that stands at -o.")] = False,
) -> None:
    """Choose voxel size, patch, network and batch from data and memory; the plan is a file to read and change."""
    from annofree.cli.show import say
    from annofree.formats import open_cohort
    from annofree.formats.standing import refuse_standing
    from annofree.training.planner import activations_are_half, fingerprint, make_plan, memory_gb

    refuse_standing(out, overwrite=overwrite)
    found = fingerprint(open_cohort(data, brain_mask=brain_mask))
    made = make_plan(
        found,
        memory_gb() if memory is None else memory,
        spacing_mm=spacing,
        filters=filters,
        half=activations_are_half(),
    )
    made.write(out)
    say(made.to_yaml(), end="")
    say(f"written to {out}")
