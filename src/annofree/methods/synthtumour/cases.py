"""Partly labelled cases on disk, one folder each: images a viewer opens, labels, what is left open, a record."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from annofree.errors import AnnofreeError
from annofree.formats.nifti import read_labels, read_volume, write_volume
from annofree.formats.outfolder import read_json, write_json
from annofree.methods.synthtumour.partial import LABEL_BITS
from annofree.scan import Cohort, Grid, Modality, Scan

if TYPE_CHECKING:
    from annofree.training.stream import TrainingCase

RECORD = "record.json"


def folder_name(scan_id: str) -> str:
    """A scan's id as the name of a folder; a checksum is added where characters had to go."""
    clean = re.sub(r"[^\w.+-]", "_", scan_id).lstrip(".") or "_"
    return clean if clean == scan_id else f"{clean}-{id_checksum(scan_id):08x}"


def id_checksum(scan_id: str) -> int:
    """CRC-32 of a scan's id, which may hold bytes of a file name that are no letters of any alphabet."""
    return crc32(scan_id.encode(errors="backslashreplace"))


def write_case(folder: Path, scan: Scan, packed: NDArray[np.uint8], record: Mapping[str, Any]) -> None:
    """Write a case, its images, brain and partial labels (see `annofree.methods.synthtumour.partial`).

    The record comes last, so a folder with a record is whole.
    """
    grid = Grid(scan.shape, scan.affine)
    for sequence, image in scan.images.items():
        write_volume(folder / f"{sequence.lower()}.nii.gz", np.asarray(image), grid)
    write_volume(folder / "brain.nii.gz", scan.foreground().astype(np.uint8), grid)
    write_volume(folder / "labels.nii.gz", packed & np.uint8(LABEL_BITS), grid)
    write_volume(folder / "open.nii.gz", packed >> np.uint8(2), grid)
    write_json(folder / RECORD, dict(record))


def read_record(folder: Path) -> dict[str, Any] | None:
    """The record of a case, or None where the case is not whole."""
    found: dict[str, Any] | None = read_json(folder / RECORD)
    return found


def read_scan(folder: Path) -> tuple[Scan, NDArray[np.uint8]]:
    """Scan and partial labels that `write_case` wrote."""
    images = {}
    grid: Grid | None = None
    for sequence in Modality:
        file = folder / f"{sequence.lower()}.nii.gz"
        if file.is_file():
            volume = read_volume(file)
            images[sequence], grid = volume.array, volume.grid
    assert grid is not None
    brain, labels, unsure = (np.asarray(read_labels(folder / f"{n}.nii.gz")[0]) for n in ("brain", "labels", "open"))
    scan = Scan(folder.name, images, grid.affine, brain=brain > 0)
    return scan, labels.astype(np.uint8) | (unsure.astype(np.uint8) << np.uint8(2))


def read_case(folder: Path) -> TrainingCase:
    """The same as tensors: images (4, X, Y, Z), brain, partial labels."""
    import torch

    scan, packed = read_scan(folder)
    assert scan.brain is not None
    return torch.from_numpy(scan.stack()), torch.from_numpy(scan.brain.copy()), torch.from_numpy(packed)


#: Real brains that carry made tumours: at most so many healthy ones and so many pseudo-healthy ones.
MOST_CARRIERS = 12


def write_carriers(healthy: Cohort, patients: Cohort, folder: Path, *, most: int = MOST_CARRIERS) -> list[Path]:
    """Write the carriers that are not there yet, at most so many of each kind, and give their files.

    Healthy scans are taken as they are; of a patient the healthier half is mirrored over the other. A patient without a
    usable better half is left out (`carriers.json` tells), and so is a scan that cannot be used.
    """
    from annofree.synthesis.carrier import carrier_of
    from annofree.synthesis.pseudo_healthy import pseudo_healthy

    notes = folder / "carriers.json"
    known: dict[str, bool] = read_json(notes) or {}
    files = []
    for kind, cohort, make in (("healthy", healthy, carrier_of), ("mirrored", patients, pseudo_healthy)):
        usable = 0
        for scan_id in cohort.ids:
            if usable == most:
                break
            name = f"{kind}_{folder_name(scan_id)}.npz"
            if name not in known:
                try:
                    carrier = make(cohort[scan_id])
                except AnnofreeError:
                    known[name] = False
                else:
                    known[name] = carrier.usable
                    if carrier.usable:
                        carrier.save(folder / name)
                write_json(notes, known)
            if known[name]:
                files.append(folder / name)
                usable += 1
    return files
