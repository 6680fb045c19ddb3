"""`annofree reports`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def _template(file: Path | None) -> None:
    """Write the table to fill in and end, where that was asked for: nothing else is needed then."""
    if file is not None:
        from importlib.resources import files

        from annofree.cli.show import say
        from annofree.formats.outfolder import atomic_write
        from annofree.formats.standing import refuse_standing

        refuse_standing(file)
        atomic_write(file, (files("annofree.anatomy") / "data" / "regions95.tsv").read_text(encoding="utf-8"))
        say(f"a table of 95 regions to fit to your atlas written to {file}")
        raise typer.Exit


def reports(
    texts: Annotated[
        Path, typer.Argument(help="Folder of .txt files, or one .csv, .tsv or .json file.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for pages, maps and the table.", show_default=False)],
    maps: Annotated[bool, typer.Option(help="Write prior maps and pictures (about a second a report).")] = True,
    atlas: Annotated[Path | None, typer.Option(help="Your own atlas, NIfTI in MNI space; needs --regions.")] = None,
    regions: Annotated[Path | None, typer.Option(help="Its table: index, name, side, lobe.")] = None,
    table: Annotated[
        Path | None, typer.Option(help="Published region table (.xlsx, .csv) for the binary masks; needs --atlas.")
    ] = None,
    lexicon: Annotated[Path | None, typer.Option(help="Your own words (YAML).")] = None,
    language_model: Annotated[
        str | None, typer.Option(help="Folder or http address of a local model that reads, checked by the rules.")
    ] = None,
    region_template: Annotated[
        Path | None,
        typer.Option(help="Write a table of 95 regions for --regions and end.", is_eager=True, callback=_template),
    ] = None,
) -> None:
    """Read radiology reports: findings, regions, expected volumes, with a page to check each."""
    from annofree.cli.show import say
    from annofree.cli.show import table as show
    from annofree.reports.cohort import read_and_write

    tables: dict[str, Path | None] = {"atlas": atlas, "atlas_table": regions, "region_table": table, "lexicon": lexicon}
    rows = read_and_write(texts, out, maps=maps, language_model=language_model, **tables)
    columns = ("id", "tumour", "side", "regions", "flags")
    shown = rows[:40]
    show(columns, [tuple(row[column] for column in columns) for row in shown])
    if len(rows) > len(shown):
        say(f"and {len(rows) - len(shown)} more in {out / 'reports.tsv'}")
    flagged = sum(row["flags"] != "n/a" for row in rows)
    say(f"{len(rows)} reports, {flagged} flagged; see {out / 'index.html'}")
