"""Writing without harm: atomic files, and output folders that never hold somebody else's work."""

from __future__ import annotations

import csv
import errno
import io
import json
import math
import os
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from annofree.errors import InputError, OutputError
from annofree.version import VERSION

Row = Mapping[str, Any] | Sequence[Any]
"""A row of a table: values by column, or in the columns' order."""

DESCRIPTION = "dataset_description.json"
_HARMLESS = {".annofree.lock", ".DS_Store", "Thumbs.db", "desktop.ini"}
#: What we write beside the BIDS files; the validator is told to pass over it.
_IGNORED = (
    *("*.html", "**/*.html", "**/*.dcm", "**/lesions.tsv", "results.tsv", "reports.tsv", "**/findings.json"),
    *("failures.tsv", "run*.json", "evaluation*", "*.jsonl", "labels.*", "accepted.tsv", "changes.tsv"),
)

#: The README of a folder by what lies in it.
_README = {
    "segmentations": """Brain-tumour segmentations by annofree, from networks and rules that saw no annotated tumour.
Research software, not a medical device.

index.html shows all scans; results.tsv has a row for each; failures.tsv those that failed, with why.
Below each subject lie masks (label-lesion), label maps (dseg: 1 core, 2 oedema, 3 enhancing) and score
maps (probseg) in the space of the scan itself. run.json tells how they were made.
""",
    "readings": """What annofree read in radiology reports. No image was looked at: nothing here is a segmentation.
Research software, not a medical device.

index.html shows all reports; reports.tsv has a row for each. Below each subject lie a page (report.html), the
findings (findings.json) and, with an atlas, in MNI space: where the lesion may be (probseg), the regions that the
report names (label-lesion) and those that it calls normal (label-healthy), both whole.
""",
    "pages": """Pages by annofree that show its brain-tumour segmentations, which lie elsewhere.
Research software, not a medical device.

index.html shows all scans, and leads to a page of each.
""",
    "comparisons": """Comparisons by annofree of two examinations of one person.
Research software, not a medical device.

changes.tsv has a row for each region of each pair; below each subject lies a page of each pair.
""",
}


#: A spreadsheet runs a cell that begins so.
_FORMULA = frozenset("=+-@")


def atomic_write(path: Path, content: bytes | str) -> None:
    """Write a file under a temporary name, then rename it: readers see the old file or the whole new one.

    Text becomes UTF-8. Bytes of a file name that are none stand as JSON writes them, so that JSON reads them back.

    Raises:
        OutputError: The folder or file cannot be written.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(content.encode(errors="backslashreplace") if isinstance(content, str) else content)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary name beside a file, for libraries that write files themselves; renamed at the end of the block.

    Raises:
        OutputError: The folder or file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
        try:
            temporary.touch()
            usual = temporary.stat().st_mode & 0o777
            yield temporary
            if temporary.stat().st_mode & 0o777 != usual:  # safetensors makes files that their owner alone may read
                temporary.chmod(usual)
            waiting = next((files for folder, files in list(_TOGETHER.items()) if folder in path.parents), None)
            if waiting is None:
                temporary.replace(path)
            else:
                waiting[path] = temporary
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        fix = {
            errno.ENAMETOOLONG: "Give the scan a shorter name, or a folder nearer to the root",
            errno.ENOSPC: "Make room there and give the same command again, or choose another folder",
        }.get(error.errno or 0, "Choose another folder")
        raise OutputError("A result cannot be written", file=path, why=error.strerror, fix=fix) from None


#: Folders whose new files wait for each other: place and temporary name of each.
_TOGETHER: dict[Path, dict[Path, Path]] = {}


@contextmanager
def together(folder: Path) -> Iterator[None]:
    """Files written atomically below a folder take their places at the end of the block, or none does where it fails.

    Until then what lies there stays. JSON, which tells that other files are there, goes first and comes last.
    """
    waiting: dict[Path, Path] = {}
    _TOGETHER[folder] = waiting
    try:
        yield
        told = [path for path in waiting if path.suffix == ".json"]
        for path in reversed(told):
            path.unlink(missing_ok=True)
        for path in (*(path for path in waiting if path not in told), *told):
            waiting[path].replace(path)
    finally:
        del _TOGETHER[folder]
        for temporary in waiting.values():
            temporary.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically; what JSON has no form for is written as the plain value that it stands for."""
    atomic_write(path, json.dumps(content, indent=2, ensure_ascii=False, default=_plain) + "\n")


def read_json(file: Path) -> Any:
    """What a JSON file holds; None where there is none that can be read."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def write_table(path: str | Path, rows: Iterable[Row], columns: Iterable[str] = (), *, delimiter: str = "\t") -> Path:
    """Write rows as a table, atomically; the arguments are those of `table`."""
    atomic_write(Path(path), table(rows, columns, delimiter=delimiter))
    return Path(path)


def table(rows: Iterable[Row], columns: Iterable[str] = (), *, delimiter: str = "\t") -> str:
    """Rows as the text of a table: a header line, then a line a row.

    Args:
        rows: Values by column, or in the columns' order; None, NaN and what a row lacks become "n/a"; floats get six
            digits; white space within a cell becomes one blank, and a text that a spreadsheet would take for a formula
            gets an apostrophe in front.
        columns: In order; by default all that occur, in the order of their first occurrence.
        delimiter: A tab (TSV as BIDS wants it: nothing is quoted) or a comma (CSV).
    """
    names = list(columns)
    listed = [row if isinstance(row, Mapping) else dict(zip(names, row, strict=True)) for row in rows]
    names = names or list(dict.fromkeys(key for row in listed for key in row))
    stream = io.StringIO()
    quoting = {"quoting": csv.QUOTE_NONE, "quotechar": None} if delimiter == "\t" else {}
    writer = csv.writer(stream, delimiter=delimiter, lineterminator="\n", **quoting)  # type: ignore[arg-type]
    writer.writerow(names)
    writer.writerows([_cell(row.get(name)) for name in names] for row in listed)
    return stream.getvalue()


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a table that `table` wrote; none where there is no file. Raises `InputError`: it cannot be read."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            with_tabs = path.suffix != ".csv"
            rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE) if with_tabs else csv.DictReader(file)
            return [{key: value or "" for key, value in row.items() if key} for row in rows]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, csv.Error) as error:
        fix = "Repair it, or make it again with the command that wrote it"
        raise InputError("A table cannot be read", file=path, why=str(error)[:100], fix=fix) from None


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "n/a" if math.isnan(value) else f"{value:.6g}"
    text = " ".join(("" if value is None else str(value)).split())
    if text[:1] in _FORMULA and len(text) > 1 and not _is_number(text):
        text = f"'{text}"
    return text or "n/a"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def is_ours(folder: Path) -> bool:
    """Whether annofree made this output folder."""
    try:
        return any(entry.get("Name") == "annofree" for entry in read_json(folder / DESCRIPTION)["GeneratedBy"])
    except (KeyError, TypeError, AttributeError):
        return False


def claim_folder(out: str | Path, of: str = "segmentations") -> Path:
    """Make an output folder ours: it must be absent, empty, or written by annofree before.

    It will hold `of`: "segmentations", "readings" (of reports), "comparisons" or "pages".

    Raises:
        OutputError: It holds others' files, is a file, or is not writable.
    """
    if isinstance(out, str) and not out.strip():
        raise OutputError("An empty text was given instead of an output folder", fix="Name a folder with -o")
    folder = Path(out)
    refuse_no_folder(folder)
    if is_ours(folder):
        return folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        others = [p.name for p in folder.iterdir() if p.name not in _HARMLESS and not p.name.endswith(".tmp")]
    except OSError as error:
        why, fix = error.strerror, "Choose another folder with -o"
        raise OutputError("The output folder cannot be made", file=folder, why=why, fix=fix) from None
    if others and not is_ours(folder):
        raise OutputError(
            "The output folder holds files that annofree did not write",
            file=folder,
            why=f"for instance {sorted(others)[0]}",
            fix="Choose an empty or new folder with -o",
        )
    write_json(
        folder / DESCRIPTION,
        {
            "Name": f"annofree {of}",
            "BIDSVersion": "1.10.0",
            "DatasetType": "derivative",
            "GeneratedBy": [{"Name": "annofree", "Version": VERSION, "Description": "Label-free tumour segmentation"}],
        },
    )
    atomic_write(folder / "README", _README[of])
    atomic_write(folder / ".bidsignore", "\n".join(_IGNORED) + "\n")
    return folder


def refuse_no_folder(folder: Path) -> None:
    """Refuse by an `OutputError` a folder that is a file, lies below one, or may not be written in; nothing is made."""
    place = next((place for place in (folder, *folder.parents) if _is_there(place)), folder)
    why = None
    if place.is_file():
        why = "it is a file" if place == folder else f"{place.name} is a file"
    elif os.path.isdir(place) and not os.access(place, os.W_OK | os.X_OK):
        why = f"nothing may be written in {place.resolve() if place != folder else 'it'}"
    if why is not None:
        verb = "made" if place.is_file() or place != folder else "used"
        fix = "Choose another folder with -o"
        raise OutputError(f"The output folder cannot be {verb}", file=folder, why=why, fix=fix)


@contextmanager
def claimed(out: str | Path, of: str = "segmentations") -> Iterator[Path]:
    """`claim_folder` for a block; where that fails with nothing written, no trace of the folder stays."""
    with leaving_nothing(Path(out), {DESCRIPTION, "README", ".bidsignore"}):
        yield claim_folder(out, of)


@contextmanager
def leaving_nothing(folder: Path, furniture: Collection[str]) -> Iterator[None]:
    """Where a block fails and has put no more than furniture into a folder, take that away, and folders it made."""
    made = [place for place in (folder, *folder.parents) if not _is_there(place)]
    before = set() if made else _names(folder)
    try:
        yield
    except BaseException:
        new = _names(folder) - before
        with suppress(OSError):
            if new <= set(furniture):
                for name in new:
                    (folder / name).unlink()
                for place in made:
                    place.rmdir()
        raise


def _is_there(place: Path) -> bool:
    """What lies below a folder that may not be entered counts as there: it is not ours to take away."""
    try:
        return place.exists()
    except OSError:
        return True


def _names(folder: Path) -> set[str]:
    try:
        return {path.name for path in folder.iterdir()}
    except OSError:
        return set()


def refuse_beside(folder: Path, table: str, what: str) -> None:
    """Refuse by an `OutputError` a folder where a table shows that its index.html is of something else, `what`."""
    if (folder / table).is_file():
        raise OutputError(
            f"The output folder holds {what}",
            file=folder,
            why="its page index.html would be replaced",
            fix="Choose another folder with -o",
        )


def _plain(value: Any) -> Any:
    for convert in ("to_dict", "tolist", "model_dump"):
        if hasattr(value, convert):
            return getattr(value, convert)()
    if isinstance(value, set | frozenset):
        return sorted(value)
    if hasattr(value, "items"):
        return dict(value)
    return str(value)
