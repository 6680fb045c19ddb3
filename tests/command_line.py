"""The command line inside a test's own process."""

from __future__ import annotations

from annofree.cli.main import main


def call(*arguments: object) -> int:
    """Exit code of `annofree ARGUMENTS`."""
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0
