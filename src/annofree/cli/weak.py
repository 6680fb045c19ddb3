"""`annofree weak`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from annofree.cli.options import Out, Setting


def weak(
    step: Annotated[str, typer.Argument(help="foreground, tumour or tune.", show_default=False)],
    source: Annotated[
        Path,
        typer.Argument(help="Class folders of pictures (foreground), scans, or made (tune).", show_default=False),
    ],
    out: Out,
    setting: Setting = None,
) -> None:
    """Run a step around 'fit weak-to-strong': pseudo-masks and their 2-D U-Net, or the tuner of the 3-D network."""
    from annofree.cli.show import parse_settings, say
    from annofree.methods.weak_to_strong.steps import run_step

    for line in run_step(step, source, out, parse_settings(setting)):
        say(line)
