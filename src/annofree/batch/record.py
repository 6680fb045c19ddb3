"""What is kept per scan: one JSON record each, from which the tables are made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from annofree.formats.outfolder import atomic_write
from annofree.segmentation import Segmentation

RECORDS = ".records"
COLUMNS = (
    "id",
    "method",
    "tier",
    "WT_ml",
    "TC_ml",
    "ET_ml",
    "lesions",
    "largest_ml",
    "side",
    "lobe",
    "confidence",
    "threshold_WT",
    "sequences",
    "notes",
)


def run_key(method: Mapping[str, Any], files: Mapping[str, str]) -> str:
    """A hash of what decides a result: method, thresholds, refiners, the model's card, input files as they stand."""
    stamps = {
        name: (file, Path(file).stat().st_size, Path(file).stat().st_mtime_ns)
        for name, file in sorted(files.items())
        if Path(file).is_file()
    }
    text = json.dumps([method, stamps], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def make_row(result: Segmentation) -> dict[str, str]:
    """The row of `results.tsv` for one segmentation."""
    volumes = result.volumes_ml
    first = result.lesions[0] if result.lesions else None
    whole = result.thresholds.get("WT")
    used = None if whole is None else whole.value
    return {
        "id": result.scan_id,
        "method": str(result.provenance.get("method", "")),
        "tier": str(result.provenance.get("tier", "")),
        **{f"{r}_ml": f"{volumes[r]:.3f}" if r in volumes else "n/a" for r in ("WT", "TC", "ET")},
        "lesions": str(len(result.lesions)),
        "largest_ml": f"{first.volume_ml:.3f}" if first else "0.000",
        "side": (first.side if first else None) or "n/a",
        "lobe": (first.lobe if first else None) or "n/a",
        "confidence": f"{first.confidence:.3f}" if first and first.confidence is not None else "n/a",
        "threshold_WT": "n/a" if used is None else f"{used:.6g}",
        "sequences": ",".join(result.provenance.get("sequences", [])),
        "notes": " | ".join(result.provenance.get("notes", [])) or "n/a",
    }


def write_record(out: Path, result: Segmentation, key: str, seconds: float) -> None:
    """Write a scan's record; it is written last, so that its presence means that the scan is done."""
    record = {
        "id": result.scan_id,
        "key": key,
        "seconds": round(seconds, 2),
        "row": make_row(result),
        "lesions": [asdict(lesion) for lesion in result.lesions],
        "provenance": dict(result.provenance),
    }
    atomic_write(record_path(out, result.scan_id), json.dumps(record, indent=1, default=str) + "\n")


def record_path(out: Path, scan_id: str) -> Path:
    """Where a scan's record lies; the name is a hash-safe form of the id."""
    return out / RECORDS / f"{hashlib.sha256(scan_id.encode()).hexdigest()[:20]}.json"


def read_record(out: Path, scan_id: str) -> dict[str, Any] | None:
    """A scan's record, or None where the scan is not done."""
    try:
        record: dict[str, Any] = json.loads(record_path(out, scan_id).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record


def tsv(rows: Iterable[Mapping[str, str]], columns: Iterable[str]) -> str:
    """Rows as tab-separated text; tabs and line ends inside values become spaces."""
    columns = tuple(columns)
    lines = ["\t".join(columns)]
    lines += ["\t".join(" ".join(row[column].split()) or "n/a" for column in columns) for row in rows]
    return "\n".join(lines) + "\n"
