"""The command line inside a test's own process."""

from __future__ import annotations

import io
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass

from annofree.cli.main import main


@dataclass(frozen=True)
class Done:
    """What a finished call left: its exit code and what it said."""

    returncode: int
    stdout: str
    stderr: str


def call(*arguments: object) -> int:
    """Exit code of `annofree ARGUMENTS`."""
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def told(*arguments: object) -> Done:
    """Exit code of `annofree ARGUMENTS`, and what it said."""
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        code = call(*arguments)
    return Done(code, out.getvalue(), err.getvalue())
