"""`annofree dicom`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from annofree.cli.options import Series


def dicom(
    what: Annotated[str, typer.Argument(help="list: show studies, series, and what each is taken for.")],
    source: Annotated[Path, typer.Argument(help="Folder or zip archive with DICOM files.")],
    series: Series = None,
    keep_ids: Annotated[bool, typer.Option(help="Show patient ids and descriptions as they were typed.")] = False,
) -> None:
    """Show the series of a DICOM folder without running anything; rows with a star are what segment would take."""
    from annofree.cli.show import say, table
    from annofree.errors import InputError
    from annofree.formats.dicom import DicomCase, DicomSettings, find
    from annofree.formats.dicom.table import COLUMNS, rows

    if what != "list":
        raise InputError(f"'annofree dicom {what}' does not exist", fix="Use annofree dicom list FOLDER")
    if not source.exists():
        raise InputError("There is no such file or folder", file=source, fix="Check the path")
    for case in find(source, DicomSettings(series=tuple(series or ()), keep_ids=keep_ids)):
        assert isinstance(case, DicomCase)
        assert case.study is not None
        study = case.study
        later = f", {study.days} days after the first" if study.visit > 1 and study.days is not None else ""
        cells = [[row[column] for column in COLUMNS] for row in rows(case, keep_ids=keep_ids)]
        table(COLUMNS, cells, title=f"{case.id}: patient {study.patient}, visit {study.visit}{later}")
        for note in study.notes:
            say(f"note: {note}")
        try:
            case.chosen()
        except InputError as error:
            if series:
                raise
            say(f"note: nothing would be taken. {error}")
