"""Segmentations of 3-D Slicer (`.seg.nrrd`): segments with names, in layers, cut to the box of what was drawn."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from annofree.errors import InputError
from annofree.formats.drawn import Segment
from annofree.formats.nifti import read_labels
from annofree.scan import Grid


def read_slicer(path: Path, grid: Grid | None = None) -> tuple[list[Segment], Grid] | None:
    """The segments of a segmentation of 3-D Slicer and their grid, in the file's axis order; None for any other file.

    Where nothing is drawn, the grid is that of the scan, `grid`.

    Raises:
        InputError: The file is damaged.
    """
    if not path.name.lower().endswith((".nrrd", ".nhdr")) or not path.is_file():
        return None
    import SimpleITK

    sitk: Any = SimpleITK
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return None  # reading it as any other file says why
    told = {key: reader.GetMetaData(key) for key in reader.GetMetaDataKeys()}
    listed = sorted(int(match[1]) for key in told if (match := re.fullmatch(r"Segment(\d+)_ID", key)))
    if not listed:
        return None
    if tuple(reader.GetSize()) == (1, 1, 1):  # Slicer's way to save segments in which nothing is drawn
        native = Grid((1, 1, 1), np.eye(4)) if grid is None else grid
        layers = np.zeros((*native.shape, 1), np.uint8)
    else:
        stored, native = read_labels(path, layers=True)
        layers = stored.reshape(*native.shape, -1)
    found = []
    for number in listed:
        said = {part: told.get(f"Segment{number}_{part}", "") for part in ("ID", "Name", "Layer", "LabelValue")}
        try:
            layer, value = int(said["Layer"] or number), int(said["LabelValue"] or 1)
            mask = layers[..., layer if layers.shape[3] > 1 else 0] == value
        except (ValueError, IndexError):
            raise InputError("A segmentation's header is damaged", file=path, fix="Save it in Slicer again") from None
        found.append(Segment(said["Name"] or said["ID"], value, mask))
    return found, native
