"""`annofree doctor`."""

from __future__ import annotations

import typer


def doctor() -> None:
    """Check the installation: Python, torch, memory, extras, write access, a short self-test."""
    from annofree.cli.show import console, say
    from annofree.doctor import examine

    healthy = True
    for check in examine():
        mark = {"ok": "[green]ok[/]  ", "note": "[yellow]note[/]", "bad": "[red]bad[/] "}[check.state]
        console.print(mark, end=" ")
        say(check.what)
        if check.fix:
            say(f"     {check.fix}")
        healthy &= check.state != "bad"
    if not healthy:
        raise typer.Exit(2)
