"""How tables look in a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from annofree.errors import some

if TYPE_CHECKING:
    from pathlib import Path

    from annofree.batch.dry_run import Expected
    from annofree.batch.run import BatchReport
    from annofree.methods.base import Method

#: Width of tables where the output is a file or a pipe, which has none of its own.
PIPE_WIDTH = 160

#: A number that stands alone and is no part of a name.
_NUMBER = re.compile(r"(?<![\w./-])\d+(?:\.\d+)?(?![\w/-]|\.\w)")

console = Console() if Console().is_terminal else Console(width=PIPE_WIDTH)
errors = Console(stderr=True)
#: Print a sentence as it is, however long: rich shall colour, wrap and read nothing in it.
say = partial(console.print, highlight=False, markup=False, soft_wrap=True)
warn = partial(errors.print, highlight=False, markup=False, soft_wrap=True)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None) -> None:
    """Print a plain table; numbers align to the right."""
    shown = Table(*columns, title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    rows = [tuple(row) for row in rows]
    shown.columns[0].no_wrap = True
    for index, column in enumerate(shown.columns):
        if all(_numeric(row[index]) for row in rows):
            column.justify = "right"
    for row in rows:
        shown.add_row(*row)
    console.print(shown)


def _numeric(text: str) -> bool:
    return text.replace(".", "", 1).replace("-", "", 1).replace("%", "").isdigit() or text in ("n/a", "-", "")


def show_rows(report: BatchReport) -> None:
    """The results of a run, with where they lie."""
    if report.rows:
        first = report.rows[0]
        columns = [c for c in ("WT_ml", "TC_ml", "ET_ml") if any(row[c] != "n/a" for row in report.rows)]
        table(
            ("scan", *(c.replace("_", " ") for c in columns), "lesions", "side", "lobe", "finding", "expected Dice"),
            [
                (row["id"], *(row[name] for name in (*columns, "lesions", "side", "lobe", "finding", "expected_dice")))
                for row in report.rows
            ],
        )
        for notes in _notes(report):
            ids = list(dict.fromkeys(scan_id for _, scan_id in notes))
            whose = ids[0] if len(ids) == 1 else f"{len(ids)} scans"
            say(f"note, {whose}: {_as_one([note for note, _ in notes])}")
        say(
            f"method {first['method']} (tier {first['tier']}), {len(report.rows)} of "
            f"{len(report.rows) + len(report.failures)} scans, {report.seconds:.1f} s"
            + (f", {len(report.reused)} done before" if report.reused else "")
        )
        say(f"written to {report.out}")
        for scan_id, why in report.pageless:
            warn(f"no page for {scan_id}: {why}")
    elif report.failures:
        say(f"no scan was segmented; {report.out / 'failures.tsv'} says why")


def warn_of_old_scores(report: BatchReport) -> None:
    """Say so where a run gave new answers and a table of scores beside them is of the old ones."""
    if len(report.reused) < len(report.rows) and (report.out / "evaluation.tsv").is_file():
        warn(f"{report.out / 'evaluation.tsv'} has the scores of older answers; annofree evaluate makes it anew")


def _notes(report: BatchReport) -> list[list[tuple[str, str]]]:
    """What was done to the scans beyond reading them, and the scan of each note, those together that say the same.

    Numbers may differ; results.tsv has every note with its own.
    """
    from annofree.review.words import is_note

    found: dict[str, list[tuple[str, str]]] = {}
    for row in report.rows:
        for note in row["notes"].split(" | "):
            if note != "n/a" and is_note(note):
                found.setdefault(_NUMBER.sub("", note), []).append((note, row["id"]))
    return list(found.values())


def _as_one(notes: Sequence[str]) -> str:
    """Notes that differ in numbers alone as one, each number from the smallest to the largest."""
    numbers = [sorted(set(same), key=float) for same in zip(*map(_NUMBER.findall, notes), strict=True)]
    ranges = [same[0] if len(same) == 1 else f"{same[0]} to {same[-1]}" for same in numbers]
    return _NUMBER.sub(lambda _: ranges.pop(0), notes[0])


def show_failures(report: BatchReport) -> None:
    """The scans that failed: what, why, what next."""
    for failure in report.failures:
        warn(f"failed {failure.id}: {failure}")


def show_settings(method: str) -> None:
    """Every setting of a method with its unit, default and meaning."""
    from annofree.methods.describe import settings_of
    from annofree.methods.registry import METHODS

    row = METHODS[method]
    say(f"{row.name}: {row.summary} (tier {row.tier})")
    for setting in settings_of(row.name):
        unit = {"": "", "0 to 1": ", from 0 to 1"}.get(setting.unit, f", in {setting.unit}")
        say(f"\n  {setting.name}  ({setting.kind}{unit}; default {setting.default})\n    {setting.meaning}")
    say(f"\nSet one with: annofree fit {row.name} --set NAME=VALUE, or af.methods.create(...) in Python")


def show_expected(expected: Sequence[Expected], method: Method, out: Path, workers: int) -> None:
    """What a run would do; nothing was written."""
    for scan in expected:
        say(scan.id)
        for line in (*scan.lines, *scan.steps, *scan.notes):
            say(f"  {line}")
        for problem in scan.problems:
            say(f"  would fail: {problem}")
    able = [scan for scan in expected if not scan.problems]
    say(
        f"method {method.name} (tier {method.tier}); {len(able)} of {len(expected)} scans would be segmented into {out}"
    )
    if unable := [scan.id for scan in expected if scan.problems]:
        say(f"would fail, for what is said above: {some(unable, 10)}")
    if able:
        minutes = sum(scan.seconds for scan in able) / 60 / min(workers, len(able))
        memory = max(scan.memory_gb for scan in able) * min(workers, len(able))
        say(f"expected: {minutes:.1f} minutes, {memory:.1f} GB of memory (as measured on two cores; yours may differ)")
    say("nothing was written (--dry-run)")


def parse_settings(texts: Iterable[str] | None) -> dict[str, object]:
    """What was said with `--set`, by key.

    Raises:
        SettingsError: There is no "=" in one, its value cannot be read, or one is given twice.
    """
    import yaml

    from annofree.errors import SettingsError

    found: dict[str, object] = {}
    for text in texts or ():
        key, equals, value = text.partition("=")
        if not equals:
            raise SettingsError(f"'{text}' is no setting", fix="Write key=value, such as --set sigma_mm=2")
        name = key.strip().replace("-", "_")
        if name in found:
            raise SettingsError(f"The setting '{name}' is given twice", fix="Leave one of them out")
        try:
            found[name] = yaml.safe_load(value)
        except yaml.YAMLError:
            fix = "Write a number, a word, or a list such as [1, 2]; put quotes about other texts"
            raise SettingsError(f"The value of the setting '{name}' cannot be read: {value}", fix=fix) from None
    return found
