"""A prepared scan as a folder that `annofree segment` and other programs read."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np

from annofree.formats.nifti import write_volume
from annofree.formats.outfolder import atomic_write, write_json
from annofree.formats.standing import refuse_filled
from annofree.scan import Modality, Scan

_NAMES = {Modality.T1: "t1", Modality.T1C: "t1ce", Modality.T2: "t2", Modality.FLAIR: "flair"}


def write_prepared(scan: Scan, out: str | Path) -> Path:
    """Write a scan's images, brain mask, steps and pictures into a folder of its own below `out`.

    A scan that needed no preparation is written as it is.

    Returns:
        The folder: `<id>_t1.nii.gz` and so on, `<id>_brainmask.nii.gz`, `preparation.json`, and the steps' pictures.

    Raises:
        OutputError: The folder holds something already, or cannot be written.
    """
    folder = Path(out) / scan.id
    refuse_filled(folder, "folder for a prepared scan")
    assert scan.native is not None
    for name, image in scan.images.items():
        write_volume(folder / f"{scan.id}_{_NAMES[name]}.nii.gz", scan.to_native(image), scan.native)
    brain = scan.foreground().astype(np.uint8)
    write_volume(folder / f"{scan.id}_brainmask.nii.gz", scan.to_native(brain), scan.native)
    record = {"id": scan.id, "files": dict(scan.files), "notes": list(scan.notes)}
    if scan.preparation is not None:
        told = scan.preparation.to_dict()
        for step in told["steps"]:
            if step["picture"]:
                picture = folder / f"{scan.id}_{step['name'].replace(' ', '-')}.png"
                atomic_write(picture, base64.b64decode(step["picture"].split(",", 1)[1]))
                step["picture"] = picture.name
        record |= told
    write_json(folder / "preparation.json", record)
    return folder
