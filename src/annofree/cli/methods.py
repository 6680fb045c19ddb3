"""`annofree methods`."""

from __future__ import annotations

from typing import Annotated

import typer


def methods(
    name: Annotated[str | None, typer.Argument(help="A method, to see its settings.", show_default=False)] = None,
) -> None:
    """List the methods: what each needs, learns from, its supervision tier; or all settings of one."""
    from annofree.cli.show import say, show_settings, table
    from annofree.methods.registry import METHODS
    from annofree.pipeline import DEFAULT_METHOD

    if name is not None:
        show_settings(name)
        return
    table(
        ("method", "tier", "regions", "needs", "learns from", "fitted", "what it does"),
        [
            (
                row.name + (" *" if row.name == DEFAULT_METHOD else ""),
                row.tier,
                ",".join(row.regions),
                ",".join(row.needs) or "any one",
                ", ".join(row.learns_from) or "nothing",
                "yes" if row.ships else "no",
                row.summary,
            )
            for row in METHODS.values()
        ],
    )
    say("* the default of 'annofree segment'; 'annofree methods NAME' lists the settings of one")
    say("tier: T0 no lesion information, R reports, T1 image labels, T2 masks chose something, S masks trained")
    say("fitted: yes, it can be used as it is; no, 'annofree fit' has to make a model of it first")
    say("regions: WT whole tumour, TC tumour core, ET enhancing tumour")
