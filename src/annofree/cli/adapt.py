"""`annofree adapt`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from annofree.cli.options import BrainMask, Healthy, PatientsMask, Sequence


def adapt(
    model: Annotated[
        str, typer.Argument(help="Model folder of synthtumour, or 'shipped' for the default.", show_default=False)
    ],
    patients: Annotated[Path, typer.Option(help="Patients' scans, without masks.", show_default=False)],
    out: Annotated[Path, typer.Option("-o", "--out", help="Model folder to write.", show_default=False)],
    healthy: Healthy = None,
    brain_mask: BrainMask = None,
    patients_mask: PatientsMask = None,
    sequence: Sequence = None,
    steps: Annotated[int, typer.Option(min=1, help="Training steps, of two samples each.")] = 400,
    seed: Annotated[int, typer.Option(help="Decides everything.")] = 0,
    keep: Annotated[bool, typer.Option("--keep", help="Leave checkpoints and pseudo-labels in OUT/training.")] = False,
) -> None:
    """Go on training a model on a hospital's own scans, without masks; a model that got worse is not written."""
    from annofree.adapt import adapt as run
    from annofree.cli.show import say

    sources: dict[str, Any] = {"brain_mask": brain_mask, "patients_mask": patients_mask, "sequence": sequence}
    adaptation = run(model, patients=patients, out=out, healthy=healthy, steps=steps, seed=seed, keep=keep, **sources)
    for line in adaptation.lines():
        say(line)
    say(f"written to {out}; what each patient's finding was and is: {adaptation.changes}")
