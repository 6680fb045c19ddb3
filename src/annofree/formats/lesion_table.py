"""`lesions.tsv`: one row a lesion, largest first, to the numbers that a reader of the page sees; each method's rows."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from annofree.errors import InputError
from annofree.formats.outfolder import read_json, read_table, write_table
from annofree.segmentation import LABEL_NAMES, Lesion

_LABELS = tuple(name for label, name in LABEL_NAMES.items() if label)
COLUMNS = (
    *("index", "volume_ml", "x_mm", "y_mm", "z_mm", "side", "lobe", "confidence", *(f"{n}_ml" for n in _LABELS)),
    "method",
)


def write_lesions(path: Path, lesions: Iterable[Lesion], method: str) -> None:
    """Write the rows of one method's answer, other methods' stay; what is not known is `n/a`, as BIDS asks."""
    cells = [
        [lesion.index, lesion.volume_ml, *lesion.centre_mm, lesion.side, lesion.lobe, lesion.confidence]
        + [lesion.label_ml.get(name) for name in _LABELS]
        + [method]
        for lesion in lesions
    ]
    try:
        others = [row for row in _rows(path, method) if row["method"] != method]
    except (InputError, ValueError, KeyError):  # what stands there is damaged, and written anew
        others = []
    write_table(path, [*cells, *others], COLUMNS)


def read_lesions(path: Path, method: str) -> tuple[Lesion, ...]:
    """Read one method's rows back; an absent table means that none was written.

    Rows of older tables, which hold those of one method and do not name it, are of the answer beside the table whose
    volume is nearest, or among equal ones the volumes of its parts.

    Raises:
        InputError: The table is damaged.
    """
    try:
        return tuple(_lesion(row) for row in _rows(path, method) if row["method"] == method)
    except (ValueError, KeyError) as error:
        raise InputError(
            "A lesion table is damaged", file=path, why=str(error)[:100], fix="Segment the scan again"
        ) from None


def _rows(path: Path, asker: str) -> list[dict[str, str]]:
    """The rows, each with a method; where no answer lies beside an older table, they are the asker's."""
    rows = read_table(path)
    if not rows or "method" in rows[0]:
        return rows
    core, enhancing = (sum(_number(row[f"{name}_ml"]) or 0.0 for row in rows) for name in ("core", "enhancing"))
    here_ml = {"WT": sum(float(row["volume_ml"]) for row in rows), "TC": core + enhancing, "ET": enhancing}
    off: dict[str, tuple[float, float]] = {}
    for sidecar in sorted(path.parent.glob("anat/*_space-orig_label-lesion_desc-*_mask.json")):
        try:
            record = read_json(sidecar)
            told = {"TC": 0.0, "ET": 0.0, **record["VolumesMl"]}
            whole, *parts = (abs(float(told[region]) - here_ml[region]) for region in here_ml)
            off[record["Method"]] = round(whole, 2), sum(parts)
        except (ValueError, KeyError, TypeError):  # not a record of an answer
            continue
    writer = min(off, key=lambda name: off[name], default=asker)
    return [{**row, "method": writer} for row in rows]


def _lesion(row: dict[str, str]) -> Lesion:
    parts = {name: _number(row[f"{name}_ml"]) for name in _LABELS}
    return Lesion(
        index=int(row["index"]),
        volume_ml=float(row["volume_ml"]),
        centre_mm=(float(row["x_mm"]), float(row["y_mm"]), float(row["z_mm"])),
        side=None if row["side"] == "n/a" else row["side"],
        lobe=None if row["lobe"] == "n/a" else row["lobe"],
        confidence=_number(row["confidence"]),
        label_ml={name: part for name, part in parts.items() if part is not None},
    )


def _number(text: str) -> float | None:
    return None if text == "n/a" else float(text)
