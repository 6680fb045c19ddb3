"""Report texts as files: a folder of `<id>.txt`, a JSON file, or a table. What they say is another room's work."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from annofree.errors import InputError
from annofree.formats.encoding import read_text
from annofree.formats.names import no_volume
from annofree.formats.typed_tables import typed_table

_FIX = "Give <id>.txt files, or a JSON or CSV file by id"
_IDS = ("id", "case", "scan", "subject", "patient", "note_id")
_TEXTS = ("text", "report", "transcription")
#: Parts of a report that stand in columns of their own; they are put together, each below its heading.
_PARTS = ("history", "indication", "technique", "comparison", "findings", "impression", "conclusion")


def read_report(report: str | Path | None) -> str | None:
    """One report: a `Path`, or the name of an existing text file, is read; other text is the report itself."""
    if report is None:
        return None
    text = str(report)
    looks_like_file = isinstance(report, Path) or (len(text) < 1000 and "\n" not in text and text.endswith(".txt"))
    return read_text(Path(text)) if looks_like_file else text


def read_reports(source: str | Path | Mapping[str, str] | None) -> dict[str, str]:
    """Report texts by id.

    Args:
        source: A folder of `.txt` files, a `.json` file (`{id: text}`, `{id: {"text": ...}}` or a list of records), a
            `.csv` or `.tsv` table with a column of ids and one of texts (or of findings, impression and the like), or
            a mapping.

    Raises:
        InputError: The source cannot be read, holds no report, or two of one id.
    """
    if source is None:
        return {}
    if isinstance(source, Mapping):
        return {str(key): str(text) for key, text in source.items()}
    path = Path(source)
    if not path.exists():
        raise InputError("There are no reports", file=path, why="the path does not exist", fix="Check the path")
    if (held := no_volume(path.name)) is not None and held[0] in ("the record of a run", "a page"):
        raise InputError("This is no report", file=path, why=f"it is {held[0]}", fix=_FIX)
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() == ".txt")
        texts = _once(((file.stem, read_text(file)) for file in files), path)
    elif path.suffix.lower() == ".json":
        texts = _from_json(path)
    elif path.suffix.lower() in (".csv", ".tsv"):
        texts = _from_table(path)
    else:
        texts = {path.stem: read_text(path)}
    if not texts:
        raise InputError("No report was found", file=path, fix=_FIX)
    return texts


def _from_json(path: Path) -> dict[str, str]:
    try:
        content = json.loads(read_text(path), object_pairs_hook=lambda pairs: _once(pairs, path))
    except (ValueError, RecursionError) as error:
        raise InputError("A file is no JSON", file=path, why=str(error)[:100]) from None
    if isinstance(content, list):
        return _once((_pair(record) for record in content if isinstance(record, dict) and _pair(record)[1]), path)
    if not isinstance(content, dict):
        return {}
    texts: dict[str, str] = {}
    for key, value in content.items():
        if isinstance(value, str):
            texts[key] = value
        elif isinstance(value, dict) and (text := _pair(value)[1]):
            texts[key] = text
            # One text under every name that its record gives the patient, such as BraTS 2020 and 2021 ids.
            others = (
                v
                for k, v in value.items()
                if k.lower() not in (*_TEXTS, *_PARTS) and isinstance(v, str) and len(v) < 60
            )
            texts.update({other: text for other in others if other not in content})
    return texts


def _pair(record: Mapping[str, Any]) -> tuple[str, str]:
    lower = {str(key).lower(): value for key, value in record.items()}
    name = next((str(lower[key]).strip() for key in _IDS if key in lower), "")
    parts = "\n".join(f"{key.upper()}: {lower[key]}" for key in _PARTS if lower.get(key))
    return name, next((str(lower[key]) for key in _TEXTS if lower.get(key)), parts)


def _once(pairs: Iterable[tuple[str, Any]], path: Path) -> dict[str, Any]:
    """As a mapping; a second report of one id would replace the first."""
    found: dict[str, Any] = {}
    for name, text in pairs:
        if not name:
            raise InputError("A report has no id", file=path, why=f"it begins {str(text)[:40]!r}", fix=_FIX)
        if name in found and found[name] != text:
            why, fix = "which of them is the scan's cannot be told", "Keep one, or put both texts into one"
            raise InputError(f"Two different reports have the id '{name}'", file=path, why=why, fix=fix)
        found[name] = text
    return found


def _from_table(path: Path) -> dict[str, str]:
    pairs = [_pair(row) for _, row in typed_table(path)[1]]
    return _once((pair for pair in pairs if pair[1]), path)
