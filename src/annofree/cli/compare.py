"""`annofree compare`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from annofree.cli.options import Out, WhoseAnswers


def compare(
    before: Annotated[Path, typer.Argument(help="Results of the earlier examinations, or of all.", show_default=False)],
    out: Out,
    after: Annotated[
        Path | None,
        typer.Argument(help="Results of the later ones; without it sessions of one subject are compared."),
    ] = None,
    pair: Annotated[list[str] | None, typer.Option(help="Scans to compare, as EARLIER=LATER; may be repeated.")] = None,
    method: WhoseAnswers = None,
    review: Annotated[bool, typer.Option(help="Make the page of each pair.")] = True,
) -> None:
    """Compare two examinations of one person: volumes, their change, and whether that is more than noise."""
    from annofree.cli.show import say, table, warn
    from annofree.errors import InputError, some
    from annofree.evaluation.compare import compare as run

    named = [(one, other) for one, _, other in (text.partition("=") for text in pair or ())]
    if odd := [text for text in pair or () if not re.fullmatch("[^=]+=[^=]+", text)]:
        raise InputError(
            f"The pair '{odd[0]}' was not understood", fix="Write --pair EARLIER=LATER with the ids of two scans"
        )
    report = run(before, after, out=out, pairs=named, method=method, review=review)
    shown = [
        (one.before, one.after, c.region, *c.cells(2), c.verdict) for one in report.comparisons for c in one.changes
    ]
    table(("before", "after", "region", "then ml", "now ml", "change ml", "%", "interval ml", "statement"), shown)
    for one in report.comparisons:
        for note in one.notes:
            warn(f"note, {one.after}: {note}")
    for names, why in report.failures:
        warn(f"failed {names}: {why}")
    if report.alone:
        warn(f"not compared, without one other examination: {some(report.alone)}; --pair EARLIER=LATER pairs them")
    for one in report.comparisons:
        say(one.statement if one.page is None else f"{one.statement} Open {one.page}")
    say(f"written to {report.table}")
    if report.failures:
        raise typer.Exit(3)
