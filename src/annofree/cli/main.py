"""The command line: one verb a file, each a thin door to a function that Python users have too."""

from __future__ import annotations

import errno
import gc
import os
import re
import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup

from annofree.errors import AnnofreeError, InputError, nearest
from annofree.extras import explained

#: Verbs in the order of the help page; each is a function of that name in a module of that name.
VERBS: dict[str, str] = {
    "segment": "Segment scans: masks, score maps, a table.",
    "prepare": "Take skulls off raw heads and bring their sequences together.",
    "review": "Make the pages to look at: one per patient, one for the cohort.",
    "evaluate": "Score segmentations against truth.",
    "bench": "Compare methods, thresholds and refiners by a plan, in one honest table.",
    "compare": "Compare two examinations of one person: what grew, and whether that is noise.",
    "rerun": "Do a run again and compare it bit for bit.",
    "accept": "Take corrected masks back, and say what changed.",
    "rethreshold": "Change masks from saved scores, without running a method again.",
    "plan": "Choose voxel size, patch, network and batch from data and memory.",
    "fit": "Fit a method on healthy scans and unlabelled patients.",
    "adapt": "Go on training a model on a hospital's own scans, without masks.",
    "weak": "Make pseudo-masks and their 2-D U-Net, or tune the network of weak-to-strong.",
    "synth": "Make brains with tumours and their labels.",
    "nnunet": "Train nnU-Net v2 itself on made cases, in an environment of its own.",
    "reports": "Read radiology reports: findings, regions, expected volumes.",
    "export": "Write scans as PNG slices, such slices as volumes, or results as DICOM SEG.",
    "dicom": "List the series of a DICOM folder and what each is taken for.",
    "methods": "List the methods, or every setting of one.",
    "cite": "Print what to cite for a method, as BibTeX.",
    "demo": "Everything once, on made phantoms: no data needed.",
    "doctor": "Check the installation.",
}


STOPPED = "annofree: stopped; what was done is kept, the same command goes on from there."
#: The verbs of which that is true.
GOES_ON = ("segment", "bench", "fit", "adapt", "weak", "synth", "nnunet", "prepare")
#: Where a verb notes in `ctx.meta` that the form of it that runs does not.
GOING_ON = "annofree.going_on"
#: What the disk refuses, also without a file's name while it writes. A missing file, say, may be a fault of ours.
_OF_THE_DISK = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
_OF_THE_DISK |= {errno.ESTALE, errno.ENAMETOOLONG, errno.ENOTDIR, errno.ELOOP}
#: Width of help pages where the window is wide enough.
HELP_WIDTH = 110
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": HELP_WIDTH}


_WORDS: tuple[tuple[type, str], ...] = ((Path, "PATH"), (int, "WHOLE NUMBER"), (float, "NUMBER"), (str, "TEXT"))


class Verb(TyperCommand):
    """A verb whose help page looks like the group's, and says in words what each parameter takes."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Refuse an empty text, which a path would take for the current folder."""
        for before, text in zip(["", *args], args, strict=False):
            named = re.fullmatch(r"(--[\w-]+)=\s*", text)
            if named or not text.strip():
                option = named[1] if named else before if before.startswith("-") else ""
                what = f"An empty text was given{f' after {option}' if option else ''}"
                raise InputError(what, fix="Name a file or folder; perhaps a shell variable is not set")
        return list(super().parse_args(ctx, args))

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """OPTIONS, then the arguments by name; those that may be left out in brackets."""
        arguments = (p for p in self.params if p.param_type_name == "argument")
        return ["[OPTIONS]", *(_shown(p) if p.required else f"[{_shown(p)}]" for p in arguments)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Arguments and options, each with what it takes."""
        hints = get_type_hints(self.callback) if self.callback else {}
        rows: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        parameters: list[Any] = self.get_params(ctx)
        for parameter in parameters:
            is_argument = parameter.param_type_name == "argument"
            if not (is_argument or parameter.is_flag or parameter.metavar):
                hint = str(hints.get(str(parameter.name), ""))
                kinds = (word for kind, word in _WORDS if re.search(rf"\b{kind.__name__}\b", hint))
                parameter.metavar = next(kinds, "TEXT")
            record = parameter.get_help_record(ctx)
            if record is not None:
                name, told = record
                rows["Arguments" if is_argument else "Options"].append(
                    (_shown(parameter) if is_argument else name, told)
                )
        for title, entries in rows.items():
            if entries:
                with formatter.section(title):
                    formatter.write_dl(entries)


def _shown(parameter: Any) -> str:
    return str(parameter.name).upper().replace("_", "-") + ("..." if parameter.nargs != 1 else "")


class LazyGroup(TyperGroup):
    """Loads a verb's module when the verb is used, so that `--help` is quick."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Verbs in the order of the table above."""
        return list(VERBS)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The table above, uncut, without loading any verb."""
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The verb's command."""
        if cmd_name not in VERBS:
            return None
        application = typer.Typer(add_completion=False, rich_markup_mode=None, context_settings=CONTEXT)
        function = getattr(import_module(f"annofree.cli.{cmd_name}"), cmd_name)
        application.command(cmd_name, cls=Verb)(function)
        return typer.main.get_command(application)

    def invoke(self, ctx: Any) -> Any:
        """Run the verb; Ctrl-C ends it with a sentence, since nobody above would say one."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            print(stopped(ctx.invoked_subcommand if ctx.meta.get(GOING_ON, True) else None), file=sys.stderr)
            raise typer.Exit(130) from None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The verb, or the nearest one as advice."""
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            near = nearest(args[0], VERBS)
            advice = f"did you mean '{near}'?" if near else "'annofree --help' lists them."
            ctx.fail(f"There is no command '{args[0]}'; {advice}")
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings=CONTEXT,
    help="Brain-tumour segmentation in MRI from data that nobody annotated. Research software, not a medical device.",
)


@app.callback(invoke_without_command=True)
def _root(ctx: typer.Context, version: bool = typer.Option(False, "--version", help="Show the version.")) -> None:
    if version:
        from annofree.version import VERSION

        typer.echo(f"annofree {VERSION}")
        raise typer.Exit


def stopped(verb: str | None) -> str:
    """What Ctrl-C leaves of a verb's work."""
    return STOPPED if verb in GOES_ON else "annofree: stopped before it was done."


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line; errors for users are one sentence on stderr and exit code 2, our faults a line and 1."""
    # the products of segmentation are too small to share: its threads would only wait in circles for each other
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    verb = next((word for word in (arguments if arguments is not None else sys.argv[1:]) if word in VERBS), "")
    try:
        with explained(f"annofree {verb}".strip()):
            app(args=arguments, prog_name="annofree")
    except AnnofreeError as error:
        print(f"annofree: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(stopped(verb), file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
    except Exception as error:  # nobody is shown a traceback
        if isinstance(error, OSError) and error.errno in _OF_THE_DISK:
            what = AnnofreeError("A file cannot be read or written", file=error.filename, why=error.strerror)
            print(f"annofree: {what}", file=sys.stderr)
            sys.exit(2)
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(frame.filename).name}, line {frame.lineno}"
        told = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        print(f"annofree: an unexpected error: {told} ({where}). Report it with this line.", file=sys.stderr)
        sys.exit(1)
    finally:
        gc.freeze()  # what lives now ends with the process: nobody need search it for circles first
