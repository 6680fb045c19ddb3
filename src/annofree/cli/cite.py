"""`annofree cite`."""

from __future__ import annotations

from typing import Annotated

import typer


def cite(
    method: Annotated[str, typer.Argument(help="Method (see 'annofree methods').")] = "synthtumour",
) -> None:
    """Print what to cite for a method, as BibTeX: the software and the published work behind it."""
    from annofree.methods.citations import bibtex

    typer.echo(bibtex(method), nl=False)
