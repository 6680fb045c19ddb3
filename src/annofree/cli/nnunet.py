"""`annofree nnunet`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def nnunet(
    data: Annotated[
        Path, typer.Argument(help="nnU-Net data set, such as 'annofree synth' writes.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="Work folder.", show_default=False)],
    python: Annotated[Path | None, typer.Option(help="Python of an environment that has nnU-Net v2.")] = None,
    install: Annotated[bool, typer.Option("--install", help="Make such an environment in the work folder.")] = False,
    predict: Annotated[Path | None, typer.Option(help="Scans to segment; written to OUT/segmentations.")] = None,
    number: Annotated[int, typer.Option("--id", help="Number of the data set.")] = 501,
    configuration: Annotated[str, typer.Option(help="2d, 3d_fullres or 3d_lowres.")] = "3d_fullres",
    fold: Annotated[str, typer.Option(help="Fold, or all.")] = "0",
    trainer: Annotated[str, typer.Option(help="Trainer class, such as nnUNetTrainer_20epochs.")] = "nnUNetTrainer",
    device: Annotated[str, typer.Option(help="cuda, cpu or mps; auto is what there is.")] = "auto",
    script: Annotated[bool, typer.Option("--script", help="Print the commands instead of running them.")] = False,
) -> None:
    """Train nnU-Net v2 itself on the same data, in an environment of its own, and read its answers back."""
    import sys

    from annofree.cli.show import say
    from annofree.formats import open_cohort
    from annofree.nnunet.environment import Environment
    from annofree.nnunet.runner import NnUNetRun, NnUNetSettings
    from annofree.prepare import Recipe

    own = NnUNetSettings(dataset_id=number, configuration=configuration, fold=fold, trainer=trainer, device=device)
    scans = None if predict is None else open_cohort(predict, prepare=Recipe())  # not only after days of training
    environment = Environment(python or Path(sys.executable))
    run = NnUNetRun(data, out, environment, own)
    if install and python is None:
        run.environment = Environment.create(out.resolve() / "environment")
    if script:
        run.stage()
        say(run.script(predict), end="")
        return

    say(f"trained fold in {run.fit(say)}")
    if scans is not None:
        masks = run.predict(scans, out / "segmentations")
        say(f"{len(masks)} segmentations written to {out / 'segmentations'}")
