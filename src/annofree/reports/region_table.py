"""The published region table: atlas label, orientation and up to ten words a region."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.extras import explained
from annofree.formats.typed_tables import typed_table
from annofree.reports.findings import Reading, Side
from annofree.reports.regions import AtlasRegions

_FIX = "give the published table, .xlsx or .csv"
LEVELS = ("Coarse Level", *(f"Fine Level {level}" for level in range(1, 10)))


@dataclass(frozen=True)
class TableRow:
    """One label: its side and its words from coarse (first) to fine (last); empty where the table is."""

    index: int
    side: Side | None
    words: tuple[str, ...]


@dataclass(frozen=True)
class RegionTable:
    """Table of regions in the published form.

    Columns: `id`, `Orientation` (1 right, 0 left, empty midline), `Coarse Level`, `Fine Level 1` ... `Fine Level 9`.
    """

    rows: tuple[TableRow, ...]

    @classmethod
    def load(cls, file: Path | str) -> RegionTable:
        """Read an `.xlsx` or `.csv` table.

        Raises:
            InputError: a column is missing, an id is no number or stands twice, an orientation is none of 0, 1 and
                empty.
            OptionalDependency: an .xlsx file without openpyxl.
        """
        path = Path(file)
        rows: dict[int, TableRow] = {}
        for number, record in enumerate(_records(path), start=2):
            try:
                index = int(float(record["id"]))
                orientation = record["orientation"]
                side = None if orientation == "" else {0: Side.LEFT, 1: Side.RIGHT}[int(float(orientation))]
            except KeyError as error:
                known = "id, Orientation, Coarse Level, Fine Level 1 ... 9"
                raise InputError(
                    f"row {number} has no usable '{error.args[0]}'",
                    file=path,
                    fix=f"columns are {known}; 1 = right, 0 = left",
                ) from None
            except ValueError:
                raise InputError(f"row {number}: id and Orientation must be numbers", file=path) from None
            if index in rows:
                raise InputError(f"id {index} stands twice", file=path, fix="keep one row a label")
            words = tuple(
                record.get(level.lower(), record.get(level.lower().replace(" level", ""), "")) for level in LEVELS
            )
            rows[index] = TableRow(index, side, words)
        if not rows:
            raise InputError("the region table is empty", file=path, fix=_FIX)
        return cls(tuple(rows.values()))

    def check(self, regions: AtlasRegions) -> None:
        """Compare with an atlas.

        Raises:
            InputError: a label does not occur in the image, or lies on the other side than its orientation says.
        """
        present = set(np.unique(regions.labels).tolist())
        if absent := [row.index for row in self.rows if row.index not in present]:
            raise InputError(
                f"labels {absent[:5]} of the region table do not occur in the atlas",
                fix="use the atlas it was made for",
            )
        for row in self.rows:
            where = regions.labels == row.index
            x = float(np.broadcast_to(regions.x_mm, where.shape)[where].mean())
            if (row.side is Side.LEFT and x > 0) or (row.side is Side.RIGHT and x < 0):
                raise InputError(
                    f"label {row.index} is {row.side.value} in the region table and lies at x = {x:+.0f} mm",
                    why="1 means right and 0 left, of the patient",
                    fix="correct the Orientation column",
                )

    def ids_for(self, reading: Reading) -> frozenset[int]:
        """Labels of a reading's lesions: each place's words against the table, finest level first, on its side."""
        found: set[int] = set()
        for lesion in reading.lesions:
            for place in lesion.places:
                words = place.span.of(reading.text).lower()
                found |= self._matching(words, None if place.side is Side.BILATERAL else place.side)
        return frozenset(found)

    def _matching(self, words: str, side: Side | None) -> set[int]:
        rows = [row for row in self.rows if side in (None, Side.MIDLINE) or row.side is None or row.side is side]
        levels = reversed(range(len(LEVELS)))
        found = ({row.index for row in rows if (own := row.words[level].lower()) and own in words} for level in levels)
        return next(filter(None, found), set())


def mask_of_ids(regions: AtlasRegions, ids: frozenset[int]) -> NDArray[np.bool_]:
    """The published binary label: voxels of these atlas labels."""
    return np.isin(regions.labels, list(ids))


def _records(path: Path) -> Iterator[Mapping[str, str]]:
    """Rows as lower-case column -> stripped text."""
    if path.suffix.lower() == ".xlsx":
        yield from _excel(path)
    else:
        yield from (
            {name: cell.strip() for name, cell in row.items()} for _, row in typed_table(path, "region table")[1]
        )


def _excel(path: Path) -> Iterator[Mapping[str, str]]:
    with explained("Reading .xlsx", ", or save the table as .csv", file=path):
        import openpyxl
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except Exception as error:  # openpyxl raises many kinds for a damaged file
        raise InputError("the region table cannot be read", file=path, why=str(error), fix=_FIX) from None
    lines: Iterator[tuple[Any, ...]] = book.worksheets[0].iter_rows(values_only=True)
    header = [str(cell or "").strip().lower() for cell in next(lines, ())]
    for line in lines:
        if any(cell is not None for cell in line):
            yield {name: "" if cell is None else str(cell).strip() for name, cell in zip(header, line, strict=False)}
    book.close()
