"""`annofree fit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from annofree.cli.options import BrainMask, Healthy, Patients, PatientsMask, Sequence, Setting


def _settings_first(ctx: typer.Context, method: str) -> str:
    """Print every setting of the method and end, where that was asked for: nothing else is needed then."""
    if ctx.params.get("help_settings") and not ctx.resilient_parsing:
        from annofree.cli.show import show_settings

        show_settings(method)
        raise typer.Exit
    return method


def fit(
    method: Annotated[
        str,
        typer.Argument(
            help="Method (see 'annofree methods').", show_default=False, is_eager=True, callback=_settings_first
        ),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="Model folder to write.", show_default=False)],
    healthy: Healthy = None,
    patients: Patients = None,
    reports: Annotated[Path | None, typer.Option(help="Patients' report texts.")] = None,
    brain_mask: BrainMask = None,
    patients_mask: PatientsMask = None,
    sequence: Sequence = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave checkpoints and pseudo-labels in MODEL/training.")
    ] = False,
    setting: Setting = None,
    help_settings: Annotated[
        bool,
        typer.Option(
            "--help-settings",
            help="List every setting of the method with unit, default and meaning.",
            is_eager=True,
        ),
    ] = False,
) -> None:
    """Fit a method on healthy scans and unlabelled patients; the model is a folder that 'segment --model' takes."""
    from annofree.cli.show import parse_settings, say
    from annofree.pipeline import fit as run
    from annofree.thresholds.base import worst_tier

    model = run(
        method,
        out=out,
        healthy=healthy,
        patients=patients,
        reports=reports,
        brain_mask=brain_mask,
        patients_mask=patients_mask,
        sequence=sequence,
        settings=parse_settings(setting),
        keep=keep,
    )
    say(f"fitted {model.name} (tier {model.tier}), written to {out}")
    for region, threshold in model.thresholds.items():
        shown = threshold.replace(tier=worst_tier([threshold.tier, model.tier]))  # scores learned from masks are no T0
        say(f"{region}: {shown}")
