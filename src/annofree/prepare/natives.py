"""Masks on the own grid of every sequence of a prepared scan."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annofree.formats.bids_names import bids_folder, bids_label, bids_stem
from annofree.formats.carried import carried_labels
from annofree.formats.label_tables import write_label_table
from annofree.formats.nifti import write_volume
from annofree.formats.outfolder import write_json
from annofree.scan import Grid, Scan, canonical_grid, to_native
from annofree.segmentation import LABEL_NAMES, Segmentation


def on_grid_of(result: Segmentation, native: Grid, movement: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The labels on the own grid of one sequence's file, uint8 in that file's axis order; see `carried_labels`."""
    there = carried_labels(result.labels, result.regions, result.grid, canonical_grid(native), movement)
    found: NDArray[np.uint8] = to_native(there, native)
    return found


def write_natives(result: Segmentation, scan: Scan, out: str | Path) -> None:
    """Write the whole-tumour mask, and the labels where regions are told apart, on the grid of every sequence's file.

    Names are those of the main results with `space-T1` and so on instead of `space-orig`. Nothing is written where
    nobody asked for it, or for a scan that was not prepared, which has one grid only.
    """
    told = scan.preparation
    if told is None or not told.every_grid:
        return
    method = str(result.provenance.get("method") or "annofree")
    for sequence, native in told.natives.items():
        labels = on_grid_of(result, native, told.movements[sequence])
        stem = bids_folder(out, result.scan_id) / "anat" / f"{bids_stem(result.scan_id)}_space-{sequence}"
        about = {
            "SpatialReference": str(scan.files.get(str(sequence), sequence)),
            "ScanId": result.scan_id,
            "Method": method,
        }
        mask = Path(f"{stem}_label-lesion_desc-{bids_label(method)}_mask.nii.gz")
        write_volume(mask, (labels > 0).astype(np.uint8), native, description=f"annofree {method}: whole tumour")
        write_json(Path(f"{stem}_label-lesion_desc-{bids_label(method)}_mask.json"), {**about, "Type": "Lesion"})
        if len(result.regions) > 1:
            dseg = Path(f"{stem}_desc-{bids_label(method)}_dseg.nii.gz")
            write_volume(dseg, labels, native, description=f"annofree {method}")
            names = {str(key): value for key, value in LABEL_NAMES.items()}
            write_json(Path(f"{stem}_desc-{bids_label(method)}_dseg.json"), {**about, "LabelMap": names})
            write_label_table(dseg)
