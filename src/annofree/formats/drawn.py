"""Segments with names, as 3-D Slicer, MITK and DICOM SEG hold them, as a label map on a scan's grid.

Programs number segments in the order in which they were made: the names say what a segment is, and the numbers do where
the names are the program's own (`Segment_2`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError, some
from annofree.formats.label_sets import LabelSet
from annofree.formats.named_labels import is_surrounding, meaning_of, meanings_of
from annofree.formats.nifti import read_labels
from annofree.masks import bounding_box
from annofree.scan import Grid, canonical_grid, to_canonical

#: The number of a segment that is the tumour and none of its parts; label maps of one number 255 are binary.
WHOLE = 255
_OUTER_FIRST = {2: 1, 1: 2, 3: 3}
_FIX = "Name the segments necrosis, oedema and enhancing tumour (or one tumour), or export them as a label map"
_OWN_NAME = re.compile(r"(?:segment|label)?[ _]*(\d+)", flags=re.IGNORECASE)
_PARTS = {1: "core", 2: "oedema", 3: "enhancing"}
_ONE = LabelSet("segments", {WHOLE: 2}, "segments as they are named: whole tumour only", ("WT",))


@dataclass(frozen=True, eq=False)
class Segment:
    """What was drawn under one name.

    Attributes:
        name: As the file has it.
        value: Its number in the file.
        mask: Boolean (i, j, k), in the file's axis order.
    """

    name: str
    value: int
    mask: NDArray[np.bool_]


def label_map(
    segments: Sequence[Segment], native: Grid, path: Path, grid: Grid | None
) -> tuple[NDArray[np.uint8], Grid, LabelSet | None]:
    """Segments as a label map: 1 core, 2 oedema, 3 enhancing, or 255 for the tumour as a whole.

    Of segments that overlap (whole tumour, core, enhancing) the inner one counts.

    Args:
        segments: All of a file.
        native: Where their voxels lie.
        path: The file, for sentences.
        grid: The canonical grid of the scan that it was drawn on; the map gets the scan's extent where it was cut.

    Returns:
        (X, Y, Z) labels in canonical order, their grid, and what the numbers mean; None where names do not say it.

    Raises:
        InputError: What the segments are cannot be told, or one reaches beyond the scan.
    """
    numbers, named = _numbers(segments, path)
    labels = np.zeros(native.shape, np.uint8)
    enhancing = _union(segments, [number == 3 for number in numbers])
    depths = [_depth(number, segment, enhancing) for number, segment in zip(numbers, segments, strict=True)]
    for at in sorted(range(len(segments)), key=depths.__getitem__):
        labels[segments[at].mask] = numbers[at]
    own, turned = canonical_grid(native), np.ascontiguousarray(to_canonical(labels, native))
    if grid is not None:
        turned, own = _spread(turned, own, grid, path)
    drawn = set(numbers) - {0}
    named = named and drawn != {1} and bool(turned.any())
    return turned, own, None if not named else _ONE if WHOLE in drawn else _named(drawn)


def _named(drawn: Collection[int]) -> LabelSet:
    """The label set of a file with these parts: core and enhancing tumour are told where there is a segment of them.

    An empty segment says that there is none; without one nobody said anything, as where no image showed it.
    """
    regions = ("WT", *(("TC",) if 1 in drawn else ()), *(("ET",) if 3 in drawn else ()))
    names = ", ".join(name for number, name in _PARTS.items() if number in drawn)
    return LabelSet("segments", {number: number for number in _PARTS}, f"segments as they are named ({names})", regions)


def _depth(number: int, segment: Segment, enhancing: NDArray[np.bool_]) -> int:
    """Outer segments are drawn first; a necrosis within an enhancing tumour that was drawn as a whole comes last."""
    size, within = np.count_nonzero(segment.mask), np.count_nonzero(segment.mask & enhancing)
    filled = number == 1 and 4 * within >= 3 * size > 0 and size < np.count_nonzero(enhancing)
    return 4 if filled else _OUTER_FIRST.get(number, 0)


def _union(segments: Sequence[Segment], chosen: Sequence[bool]) -> NDArray[np.bool_]:
    found = np.zeros(segments[0].mask.shape, bool)
    for segment, one in zip(segments, chosen, strict=True):
        found |= segment.mask if one else False
    return found


def _numbers(segments: Sequence[Segment], path: Path) -> tuple[list[int], bool]:
    """What the segments are, as numbers of a label map, and whether their names say it."""
    names = [segment.name for segment in segments]
    named = meanings_of(names, apart=False)
    own = [_OWN_NAME.fullmatch(segment.name.strip()) for segment in segments]
    values = [segment.value for segment in segments]
    if all(match and int(match[1]) == value for match, value in zip(own, values, strict=True)):
        return values, False
    if None not in named:
        found = meanings_of(names, apart=_apart(segments, path))
        # a tumour beside oedema may be enhancing or not, where no enhancing tumour is drawn too
        parts = 3 in named if found != named else bool({1, 3} & set(named)) or all(map(is_surrounding, names))
        return [(number or 0) if parts else WHOLE if number else 0 for number in found], True
    if len(segments) == 1:
        return [WHOLE], True
    raise InputError(
        "What the segments of a segmentation are cannot be told",
        file=path,
        why=f"they are called {some(names, 4)}",
        fix=_FIX,
    )


def _apart(segments: Sequence[Segment], path: Path) -> bool:
    """Whether a tumour and an oedema that are drawn are two things, and not the whole and its part.

    Raises:
        InputError: They overlap in part, so that either may be.
    """
    around = [is_surrounding(segment.name) for segment in segments]
    whole = [meaning_of(segment.name) == 2 and not part for segment, part in zip(segments, around, strict=True)]
    oedema, tumour = _union(segments, around), _union(segments, whole)
    shared, of_oedema = np.count_nonzero(oedema & tumour), np.count_nonzero(oedema)
    if 4 * shared <= of_oedema:
        return True
    if 4 * shared >= 3 * of_oedema:
        return False
    if 4 * shared >= 3 * np.count_nonzero(tumour):  # an oedema that was drawn over its tumour too
        return True
    raise InputError(
        "Whether a tumour is the whole or its core cannot be told",
        file=path,
        why=f"it covers {100 * shared / of_oedema:.0f} % of the oedema, not all or none of it",
        fix="Call it whole tumour or core, and draw it so",
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


def read_slicer(path: Path, grid: Grid | None = None) -> tuple[list[Segment], Grid] | None:
    """The segments that 3-D Slicer or MITK saved and their grid, in the file's axis order; None for any other file.

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
    try:
        listed = _of_slicer(told) or _of_mitk(told)
        if not listed:
            return None
        if tuple(reader.GetSize()) == (1, 1, 1):  # Slicer's way to save segments in which nothing is drawn
            native = Grid((1, 1, 1), np.eye(4)) if grid is None else grid
            layers = np.zeros((*native.shape, 1), np.uint8)
        else:
            stored, native = read_labels(path, layers=True)
            layers = stored.reshape(*native.shape, -1)
        one = layers.shape[3] == 1
        held = {(at, int(value)) for at in range(layers.shape[3]) for value in np.unique(layers[..., at])}
        if left := held - {(0 if one else at, number) for _, at, number in listed} - {(at, 0) for at, _ in held}:
            why = f"voxels hold {some([str(value) for _, value in sorted(left)])}, of which its header says no name"
            raise InputError("A segmentation holds what has no name", file=path, why=why, fix=_FIX)
        return [Segment(name, value, layers[..., 0 if one else at] == value) for name, at, value in listed], native
    except (ValueError, LookupError, TypeError, AttributeError):
        raise InputError("A segmentation's header is damaged", file=path, fix="Save it again where drawn") from None


def _of_slicer(told: Mapping[str, str]) -> list[tuple[str, int, int]]:
    """Name, layer and value of each segment in a header of 3-D Slicer."""
    found = []
    for number in sorted(int(match[1]) for key in told if (match := re.fullmatch(r"Segment(\d+)_ID", key))):
        said = {part: told.get(f"Segment{number}_{part}", "") for part in ("ID", "Name", "Layer", "LabelValue")}
        found.append((said["Name"] or said["ID"], int(said["Layer"] or number), int(said["LabelValue"] or 1)))
    return found


def _of_mitk(told: Mapping[str, str]) -> list[tuple[str, int, int]]:
    """The same in a header of the MITK Workbench, whose groups of labels are layers."""
    groups = json.loads(told.get("org.mitk.multilabel.segmentation.labelgroups", "[]"))
    labels = ((at, label) for at, group in enumerate(groups) for label in group.get("labels") or ())
    return [(str(label.get("name") or ""), at, int(label["value"])) for at, label in labels]
