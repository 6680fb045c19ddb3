"""A study's series as a table: what each was taken for, and why. No personal detail is in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from annofree.formats.dicom.case import DicomCase
from annofree.formats.dicom.kind import Verdict
from annofree.formats.dicom.words import read_words

COLUMNS = ("taken", "series", "guess", "plane", "size", "voxel mm", "TR/TE/TI ms", "words", "reasons")


def rows(case: DicomCase, *, keep_ids: bool = False) -> list[dict[str, str]]:
    """A row for each series.

    `keep_ids` shows descriptions as they were typed, instead of the known words in them.
    """
    from annofree.errors import InputError

    try:
        taken = {id(verdict) for verdict in case.chosen().values()}
    except InputError:
        taken = set()
    return [_row(verdict, id(verdict) in taken, keep_ids) for verdict in case.verdicts]


def _row(verdict: Verdict, taken: bool, keep_ids: bool) -> dict[str, str]:
    series, frame = verdict.series, verdict.series.first
    grid = None if series.stack is None else series.stack.grid
    size: Sequence[Any] = (frame.columns, frame.rows, len(series.frames)) if grid is None else grid.shape
    notes = [] if series.stack is None else [*series.notes, *series.stack.notes]
    guess = "-" if verdict.modality is None else f"{verdict.modality}{'' if verdict.sure else '?'}"
    times = "/".join(
        "-" if value is None else f"{round(value, 2):g}" for value in (frame.tr_ms, frame.te_ms, frame.ti_ms)
    )
    return {
        "taken": "*" if taken else "",
        "series": series.key,
        "guess": guess,
        "plane": series.plane,
        "size": "x".join(map(str, size)),
        "voxel mm": "-" if grid is None else "x".join(f"{edge:.2g}" for edge in grid.spacing_mm),
        "TR/TE/TI ms": times,
        "words": frame.text if keep_ids else " ".join(read_words(frame.text).shown) or "-",
        "reasons": "; ".join([*verdict.reasons, *notes]),
    }
