"""The command line: one verb a file, each a thin door to a function that Python users have too."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from annofree.errors import AnnofreeError

#: Verbs in the order of the help page; each is a function of that name in a module of that name.
VERBS: dict[str, str] = {
    "segment": "Segment scans: masks, score maps, a table.",
    "review": "Make the pages to look at: one per patient, one for the cohort.",
    "evaluate": "Score segmentations against truth.",
    "rerun": "Do a run again and compare it bit for bit.",
    "rethreshold": "Change masks from saved scores, without running a method again.",
    "plan": "Choose voxel size, patch, network and batch from data and memory.",
    "fit": "Fit a method on healthy scans and unlabelled patients.",
    "weak": "Make pseudo-masks and their 2-D U-Net, or tune the network of weak-to-strong.",
    "synth": "Make brains with tumours and their labels.",
    "nnunet": "Train nnU-Net v2 itself on made cases, in an environment of its own.",
    "reports": "Read radiology reports: findings, regions, expected volumes.",
    "export": "Write scans as PNG slices, or such slices back as volumes.",
    "dicom": "List the series of a DICOM folder and what each is taken for.",
    "methods": "List the methods.",
    "demo": "Everything once, on made phantoms: no data needed.",
    "doctor": "Check the installation.",
}


class LazyGroup(TyperGroup):
    """Loads a verb's module when the verb is used, so that `--help` is quick."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Verbs in the order of the table above."""
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The verb's command; on the help page only its one-line description."""
        if cmd_name not in VERBS:
            return None
        if ctx.resilient_parsing or _asks_for_help_only():
            return TyperCommand(cmd_name, help=VERBS[cmd_name])
        application = typer.Typer(add_completion=False)
        function = getattr(import_module(f"annofree.cli.{cmd_name}"), cmd_name)
        application.command(cmd_name)(function)
        return typer.main.get_command(application)


def _asks_for_help_only() -> bool:
    return len(sys.argv) < 2 or sys.argv[1] in ("--help", "-h")


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Brain-tumour segmentation in MRI from data that nobody annotated. Research software, not a medical device.",
)


@app.callback(invoke_without_command=True)
def _root(ctx: typer.Context, version: bool = typer.Option(False, "--version", help="Show the version.")) -> None:
    if version:
        from annofree.version import VERSION

        typer.echo(f"annofree {VERSION}")
        raise typer.Exit


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line; errors for users are one sentence on stderr and exit code 2."""
    try:
        app(args=arguments, prog_name="annofree")
    except AnnofreeError as error:
        print(f"annofree: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("annofree: stopped; what was done is kept, the same command goes on from there.", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
