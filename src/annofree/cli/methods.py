"""`annofree methods`."""

from __future__ import annotations


def methods() -> None:
    """List the methods: what each needs, what it learns from, its supervision tier."""
    from annofree.cli.show import console, table
    from annofree.methods.registry import METHODS
    from annofree.pipeline import DEFAULT_METHOD

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
    console.print("* the default of 'annofree segment'")
    console.print(
        "tier: T0 no lesion information, R reports, T1 image labels, T2 masks chose something, S masks trained"
    )
