"""What is kept per scan: one JSON record each, from which the tables are made."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from annofree.batch.fingerprint import machine, result_hashes
from annofree.errors import OutputError
from annofree.formats.bids_names import bids_folder, bids_label, mask_path, name_digest, sidecar_path
from annofree.formats.outfolder import atomic_write, read_json, write_json, write_table
from annofree.formats.participants import FILE as PARTICIPANTS
from annofree.formats.participants import participants_table
from annofree.segmentation import REGIONS, Segmentation
from annofree.trust.check import warnings_of

RECORDS = ".records"
COLUMNS = (
    *("id", "group", "method", "tier", "WT_ml", "TC_ml", "ET_ml", "lesions", "largest_ml", "side", "lobe"),
    *("confidence", "expected_dice", "WT_low_ml", "WT_high_ml", "threshold_WT", "finding", "false_alarms"),
    *("belongs", "sequences", "notes"),
)


def make_row(result: Segmentation) -> dict[str, str]:
    """The row of `results.tsv` for one segmentation."""
    volumes = result.volumes_ml
    first = result.lesions[0] if result.lesions else None
    whole = result.thresholds.get("WT")
    finding = result.provenance.get("finding", {})
    used = None if whole is None else whole.value
    low_ml, high_ml = result.volume_interval or (None, None)
    return {
        "id": result.scan_id,
        "group": str(result.provenance.get("group", "n/a")),
        "method": str(result.provenance.get("method", "")),
        "tier": str(result.provenance.get("tier", "")),
        **{f"{r}_ml": f"{volumes[r]:.3f}" if r in volumes else "n/a" for r in REGIONS},
        "lesions": str(len(result.lesions)),
        "largest_ml": f"{first.volume_ml:.3f}" if first else "0.000",
        "side": (first.side if first else None) or "n/a",
        "lobe": (first.lobe if first else None) or "n/a",
        "confidence": _number(first.confidence if first else None),
        "expected_dice": _number(result.expected_dice),
        "WT_low_ml": _number(low_ml),
        "WT_high_ml": _number(high_ml),
        "threshold_WT": "n/a" if used is None else f"{used:.6g}",
        "finding": str(finding.get("word", "n/a")),
        "false_alarms": "n/a" if finding.get("rate") is None else f"{finding['rate']:g}",
        "belongs": ", ".join(warnings_of(result.provenance.get("checks", []))) or "yes",
        "sequences": ",".join(result.provenance.get("sequences", [])),
        "notes": " | ".join(result.provenance.get("notes", [])) or "n/a",
    }


def _number(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"


def write_record(
    out: Path, result: Segmentation, key: str, seconds: float, *, inputs: Iterable[Mapping[str, Any]] = ()
) -> None:
    """Write a scan's record; it is written last, so that its presence means that the scan is done."""
    record = {
        "id": result.scan_id,
        "key": key,
        "seconds": round(seconds, 2),
        "finished": now(),
        "machine": machine(),
        "inputs": [dict(entry) for entry in inputs],
        "outputs": result_hashes(result),
        "row": make_row(result),
        "lesions": [asdict(lesion) for lesion in result.lesions],
        "provenance": dict(result.provenance),
    }
    write_json(record_path(out, result.scan_id), record)


def now() -> str:
    """The time, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def record_path(out: Path, scan_id: str) -> Path:
    """Where a scan's record lies; the name is a hash-safe form of the id."""
    return out / RECORDS / f"{name_digest(scan_id)[:20]}.json"


def read_record(out: Path, scan_id: str, method: str | None = None) -> dict[str, Any] | None:
    """A scan's record, or None where it is not done: that of the method that ran last, or of the one named."""
    path = record_path(out, scan_id)
    last: dict[str, Any] | None = read_json(path)
    if last is None or method in (None, last["provenance"].get("method")):
        return last
    named: dict[str, Any] | None = read_json(_of_method(path, str(method)))
    return named


def _of_method(path: Path, method: str) -> Path:
    """Where a record makes room for that of another method."""
    return path.with_suffix(f".{bids_label(method)}.json")


def _has_mask(out: Path, record: Mapping[str, Any]) -> bool:
    return mask_path(out, str(record["id"]), str(record["provenance"].get("method", ""))).is_file()


def standing_rows(out: Path) -> list[dict[str, str]]:
    """A row of `results.tsv` for every answer that lies in a folder, whichever run put it there, by name."""
    records = (read_json(path) for path in (out / RECORDS).glob("*.json"))
    rows = [record["row"] for record in records if record is not None and _has_mask(out, record)]
    return sorted(rows, key=lambda row: (row["id"], row["method"]))


def write_results(out: Path, rows: Iterable[Mapping[str, str]]) -> None:
    """Write `results.tsv`, and `participants.tsv`, which says whom they are of."""
    listed = list(rows)
    write_table(out / "results.tsv", listed, COLUMNS)
    if listed:
        atomic_write(out / PARTICIPANTS, participants_table(listed))


def refuse_another(out: Path, scan_id: str, inputs: Iterable[Mapping[str, Any]]) -> None:
    """Refuse by an `OutputError` to write over what lies there of another scan with the same name.

    A scan is another where none of its files has the place or the content of one that was segmented under this name.
    """
    before = list(_images((read_record(out, scan_id) or {}).get("inputs", ())))
    now = list(_images(inputs))
    marks = {mark for entry in before for mark in entry}
    if before and now and not any(mark in marks for entry in now for mark in entry):
        raise OutputError(
            f"Another scan called '{scan_id}' lies in the output folder",
            file=out,
            why=f"that one was read from {before[0][0] or 'memory'}, this one from {now[0][0] or 'memory'}",
            fix="Name another folder with -o, or give both inputs in one command, which tells their names apart",
        )


def _images(inputs: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, ...]]:
    """Place and content of the image files among the inputs."""
    for entry in inputs:
        if entry["role"] not in ("options", "affine", "brain mask"):
            yield tuple(str(entry[name]) for name in ("path", "sha256") if entry[name])


def is_done(out: Path, scan_id: str, key: str) -> bool:
    """Whether a scan was finished with this key and its mask is still there."""
    record = read_record(out, scan_id)
    return record is not None and record.get("key") == key and _has_mask(out, record)


def forget(out: Path, scan_id: str, method: str) -> None:
    """Let what an earlier run left of a scan no longer count, before anything of it is written over.

    The answer of another method is not written over: its record makes room, and still counts in the tables.

    Raises:
        OutputError: The folder cannot be written.
    """
    path, record = record_path(out, scan_id), read_record(out, scan_id)
    other = None if record is None else str(record["provenance"].get("method", ""))
    try:
        if other not in (None, method):
            path.replace(_of_method(path, str(other)))
        path.unlink(missing_ok=True)
        _of_method(path, method).unlink(missing_ok=True)
        sidecar_path(mask_path(out, scan_id, method)).unlink(missing_ok=True)
        sweep(bids_folder(out, scan_id))
    except OSError as error:
        raise OutputError("What an earlier run left cannot be removed", file=out, why=error.strerror) from None


def start_mark(out: Path, scan_id: str) -> Path:
    """A file that is there while a scan is worked on; one that is found later tells of a process that died."""
    return record_path(out, scan_id).with_suffix(".started")


def sweep(folder: Path, *, deep: bool = True) -> None:
    """Remove the temporary files that a killed process left behind, and none of this one."""
    for path in folder.rglob(".*.tmp") if deep else folder.glob(".*.tmp"):
        if f".{os.getpid()}-" not in path.name:
            path.unlink(missing_ok=True)
