"""Segmentations of 3-D Slicer (`.seg.nrrd`): segments with names, in layers, cut to the box of what was drawn.

Slicer numbers segments in the order in which they were made: the names say what a segment is, and the numbers do where
the names are Slicer's own (`Segment_2`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError, some
from annofree.formats.named_labels import is_surrounding, meanings_of
from annofree.formats.nifti import read_labels
from annofree.masks import bounding_box
from annofree.scan import Grid, canonical_grid, to_canonical

#: The number of a segment that is the tumour and none of its parts; label maps of one number 255 are binary.
WHOLE = 255
_OUTER_FIRST = {2: 1, 1: 2, 3: 3}
_FIX = "Name the segments necrosis, oedema and enhancing tumour (or one tumour), or export them as a label map"
_OWN_NAME = re.compile(r"(?:segment|label)?[ _]*(\d+)", flags=re.IGNORECASE)


@dataclass(frozen=True)
class _Segment:
    name: str
    layer: int
    value: int


def read_segmentation_of_slicer(path: Path, grid: Grid | None = None) -> tuple[NDArray[np.uint8], Grid] | None:
    """A segmentation of 3-D Slicer as a label map: 1 core, 2 oedema, 3 enhancing, or 255 for the tumour as a whole.

    Of segments that overlap (whole tumour, core, enhancing) the inner one counts.

    Args:
        path: Any file.
        grid: The canonical grid of the scan that it was drawn on; the map gets the scan's extent where it was cut.

    Returns:
        (X, Y, Z) labels in canonical order, and their grid; None where the file is none of Slicer's.

    Raises:
        InputError: What its segments are cannot be told, or one reaches beyond the scan.
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
    segments = _segments({key: reader.GetMetaData(key) for key in reader.GetMetaDataKeys()}, path)
    if not segments:
        return None
    if tuple(reader.GetSize()) == (1, 1, 1):  # Slicer's way to save segments in which nothing is drawn
        nowhere = Grid((1, 1, 1), np.eye(4)) if grid is None else grid
        return np.zeros(nowhere.shape, np.uint8), nowhere
    numbers = _numbers(segments, path)
    native = read_labels(path)[1]
    stored = sitk.GetArrayFromImage(reader.Execute())
    labels = np.zeros(native.shape, np.uint8)
    for number, segment in sorted(zip(numbers, segments, strict=True), key=lambda pair: _OUTER_FIRST.get(pair[0], 0)):
        layer = stored[..., segment.layer] if stored.ndim == 4 else stored
        labels[layer.transpose() == segment.value] = number
    own, turned = canonical_grid(native), np.ascontiguousarray(to_canonical(labels, native))
    return (turned, own) if grid is None else _spread(turned, own, grid, path)


def _segments(told: dict[str, str], path: Path) -> list[_Segment]:
    keys = (re.fullmatch(r"Segment(\d+)_ID", key) for key in told)
    found = []
    for number in sorted(int(match[1]) for match in keys if match):
        said = {part: told.get(f"Segment{number}_{part}", "") for part in ("ID", "Name", "Layer", "LabelValue")}
        try:
            layer, value = int(said["Layer"] or number), int(said["LabelValue"] or 1)
        except ValueError:
            raise InputError("A segmentation's header is damaged", file=path, fix="Save it in Slicer again") from None
        found.append(_Segment(said["Name"] or said["ID"], layer, value))
    return found


def _numbers(segments: list[_Segment], path: Path) -> list[int]:
    """What the segments are, as numbers of a label map."""
    names = [segment.name for segment in segments]
    named = meanings_of(names, apart=False)
    own = [_OWN_NAME.fullmatch(segment.name.strip()) for segment in segments]
    values = [segment.value for segment in segments]
    if all(match and int(match[1]) == value for match, value in zip(own, values, strict=True)):
        return values
    if None not in named:
        found = meanings_of(names, apart=len({segment.layer for segment in segments}) == 1)
        # a tumour beside oedema may be enhancing or not, where no enhancing tumour is drawn too
        parts = 3 in named if found != named else bool({1, 3} & set(named)) or all(map(is_surrounding, names))
        return [(number or 0) if parts else WHOLE if number else 0 for number in found]
    if len(segments) == 1:
        return [WHOLE]
    raise InputError(
        "What the segments of a segmentation are cannot be told",
        file=path,
        why=f"they are called {some(names, 4)}",
        fix=_FIX,
    )


def _spread(labels: NDArray[np.uint8], own: Grid, grid: Grid, path: Path) -> tuple[NDArray[np.uint8], Grid]:
    """Labels on the scan's extent, where both have the same axes and edges; as they are where they have not."""
    steps = np.linalg.inv(own.affine) @ grid.affine
    if np.abs(steps[:3, :3] - np.eye(3)).max() * max(grid.shape) > 0.5:
        return labels, own
    start = np.rint(steps[:3, 3]).astype(int)  # of the scan's first voxel in the segmentation
    affine = np.array(own.affine, dtype=np.float64)
    affine[:3, 3] += affine[:3, :3] @ start
    whole = np.zeros(grid.shape, np.uint8)
    if (drawn := bounding_box(labels)) is not None:
        there = tuple(
            slice(int(axis.start - first), int(axis.stop - first)) for axis, first in zip(drawn, start, strict=True)
        )
        if any(axis.start < 0 or axis.stop > size for axis, size in zip(there, grid.shape, strict=True)):
            fix = "Draw on the scan itself, or give the mask that belongs to it"
            raise InputError("A segmentation reaches beyond the scan", file=path, fix=fix)
        whole[there] = labels[drawn]
    return whole, Grid(grid.shape, affine)
