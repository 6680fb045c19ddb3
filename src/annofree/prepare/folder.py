"""A prepared scan as a folder that `annofree segment` and other programs read."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from annofree.formats.nifti import write_volume
from annofree.formats.outfolder import atomic_write, read_json, write_json
from annofree.formats.standing import refuse_filled, settle, whole_or_nothing
from annofree.scan import Modality, Scan

_NAMES = {Modality.T1: "t1", Modality.T1C: "t1ce", Modality.T2: "t2", Modality.FLAIR: "flair"}


_RECORD, _WHAT = "preparation.json", "folder for a prepared scan"


def prepared_before(scan_id: str, out: str | Path, order: Sequence[str]) -> bool:
    """Whether an earlier run wrote a scan's folder from the same files in the same way (`standing.listed`).

    Raises:
        OutputError: The folder holds something else.
    """
    folder = Path(out) / scan_id
    settle(folder)
    if (read_json(folder / _RECORD) or {}).get("order") == list(order):
        return True
    refuse_filled(folder, _WHAT)
    return False


def write_prepared(scan: Scan, out: str | Path, order: Sequence[str] = ()) -> Path:
    """Write a scan's images, brain mask, steps and pictures into a folder of its own below `out`.

    A scan that needed no preparation is written as it is. A folder is whole or not there at all; `order` is what
    `prepared_before` knows it by.

    Returns:
        The folder: `<id>_t1.nii.gz` and so on, `<id>_brainmask.nii.gz`, `preparation.json`, and the steps' pictures.

    Raises:
        OutputError: The folder holds something already, or cannot be written.
    """
    folder = Path(out) / scan.id
    with whole_or_nothing(folder, _WHAT) as half:
        _write(scan, half, order)
    return folder


def _write(scan: Scan, folder: Path, order: Sequence[str]) -> None:
    assert scan.native is not None
    for name, image in scan.images.items():
        write_volume(folder / f"{scan.id}_{_NAMES[name]}.nii.gz", scan.to_native(image), scan.native)
    brain = scan.foreground().astype(np.uint8)
    write_volume(folder / f"{scan.id}_brainmask.nii.gz", scan.to_native(brain), scan.native)
    record: dict[str, Any] = {"id": scan.id, "order": list(order), "files": dict(scan.files), "notes": list(scan.notes)}
    if scan.preparation is not None:
        told = scan.preparation.to_dict()
        for step in told["steps"]:
            if step["picture"]:
                picture = folder / f"{scan.id}_{step['name'].replace(' ', '-')}.png"
                atomic_write(picture, base64.b64decode(step["picture"].split(",", 1)[1]))
                step["picture"] = picture.name
        record |= told
    write_json(folder / _RECORD, record)
