"""Tables that people typed or exported: with commas, semicolons or tabs, in any encoding of text."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from annofree.errors import InputError
from annofree.formats.encoding import read_text


def typed_table(path: Path, what: str = "table") -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """The columns of a table in lower case, and each row: the line of the file on which it ends, and cells by column.

    Cells stand as they were typed; those that a row lacks are empty. `what` names the table where it cannot be read.
    See `annofree.formats.outfolder.read_table` for tables that annofree wrote.

    Raises:
        InputError: It cannot be read, or is no table.
    """
    text = read_text(path, what)
    head = next(iter(text.splitlines()), "")  # ends with a carriage return alone, too
    delimiter = "\t" if "\t" in head else max(",;", key=head.count)
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
        columns = {name: name.strip().lower() for name in reader.fieldnames or () if name}
        rows = [(reader.line_num, {column: line[name] or "" for name, column in columns.items()}) for line in reader]
    except csv.Error as error:
        raise InputError(f"The {what} cannot be read", file=path, why=str(error), fix="Save it as CSV again") from None
    return list(columns.values()), rows
