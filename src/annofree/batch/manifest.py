"""`run.json`: all that it takes to do a run again and to see whether it came out the same."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from annofree.batch.fingerprint import machine, model_folder, software
from annofree.batch.record import now, read_record
from annofree.batch.worker import BatchReport, Worker
from annofree.errors import InputError
from annofree.formats.outfolder import write_json

MANIFEST = "run.json"
#: The form of the file; older ones are read too. The second tells what was decided again afterwards.
FORM = 2


def write_manifest(
    worker: Worker,
    report: BatchReport,
    *,
    described: dict[str, Any],
    model: dict[str, str],
    started: str,
    workers: int,
    scheduler: str | None,
) -> Path:
    """Write `run.json` of a run that has ended or was stopped.

    `described` is the method as data, `model` the hashes of its files.
    """
    failed = {failure.id: failure for failure in report.failures}
    done = {row["id"] for row in report.rows}
    reused = set(report.reused)
    scans: dict[str, Any] = {}
    for scan_id in worker.cohort.ids:
        if scan_id in failed:
            told = asdict(failed[scan_id])
            told.pop("id")
            scans[scan_id] = {"state": "failed", **told}
        elif scan_id in done and (record := read_record(worker.out, scan_id)) is not None:
            kept = ("seconds", "finished", "machine", "inputs", "outputs")
            state = "done before" if scan_id in reused else "done"
            scans[scan_id] = {"state": state, **{name: record.get(name) for name in kept}}
        else:
            scans[scan_id] = {"state": "not reached"}
    folder = model_folder(worker.choice)
    content = {
        "form": FORM,
        "command": sys.argv,
        "started": started,
        "finished": now(),
        "seconds": round(report.seconds, 2),
        **software(),
        "machine": machine(),
        "device": str(described.get("device", "cpu")),
        "seed": described.get("settings", {}).get("seed"),
        "workers": workers,
        "scheduler": scheduler,
        "choice": worker.choice.to_dict(),
        "locate": worker.locate,
        "review": worker.review,
        "method": described,
        "model": {"folder": None if folder is None else str(folder), "sha256": model},
        "opened": worker.cohort.opened,
        "scans": scans,
    }
    path = worker.out / MANIFEST
    _keep_another_runs(path, scans, described)
    write_json(path, content)
    return path


def _keep_another_runs(path: Path, scans: Mapping[str, Any], described: Mapping[str, Any]) -> None:
    """The manifest of a run whose answers stay in the folder makes room instead of being replaced."""
    try:
        told = read_manifest(path)
    except InputError:
        return
    stay = {scan_id for scan_id, scan in told["scans"].items() if scan.get("state") != "not reached"}
    if stay - scans.keys() or told.get("method", {}).get("method") != described["method"]:
        stamp = "".join(sign for sign in str(told.get("started")) if sign.isalnum())
        path.replace(path.with_name(f"run-{stamp}.json"))


def note_rethreshold(source: Path, target: Path, ids: Iterable[str], change: Mapping[str, Any]) -> None:
    """Let the manifest beside masks that were decided again say so; results that no run wrote have none.

    The masks were decided on the scores in `source`, lie in `target`, and `change` is what was changed.
    """
    if not (source / MANIFEST).is_file():
        return
    ids = list(ids)
    content = read_manifest(source)
    scans = content["scans"]
    for scan_id in scans:
        record = read_record(target, scan_id)
        if scan_id in ids and record is not None:
            scans[scan_id] |= {"outputs": record["outputs"], "finished": record["finished"]}
        elif target.resolve() != source.resolve():
            scans[scan_id] = {"state": "not reached"}
    steps = [*content.get("rethresholds", ()), {**change, "scans": ids, "finished": now()}]
    content |= {"form": FORM, "finished": now(), "rethresholds": steps}
    write_json(target / MANIFEST, content)


def read_manifest(path: str | Path) -> dict[str, Any]:
    """A manifest; the output folder that holds one will do.

    Raises:
        InputError: There is none, or it is none of ours, or of a newer form.
    """
    file = Path(path)
    file = file / MANIFEST if file.is_dir() else file
    fix = "Give the run.json that 'annofree segment' wrote"
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError("The run manifest cannot be read", file=file, why=str(error)[:100], fix=fix) from None
    if not isinstance(content, dict) or not {"choice", "scans", "opened"} <= content.keys():
        raise InputError("This is no run manifest", file=file, fix=fix)
    if not isinstance(content.get("form"), int) or content["form"] > FORM:
        raise InputError(
            "The run manifest was written by a newer version",
            file=file,
            why=f"annofree {content.get('annofree', 'unknown')}",
            fix="Run it with that version",
        )
    return content
