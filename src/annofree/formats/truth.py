"""Experts' label maps as `Truth`: every convention in, BraTS 2023 labels out, and readable by scoring only."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError, some
from annofree.formats import dicom
from annofree.formats.carried import carried_labels
from annofree.formats.case import Case
from annofree.formats.dicom.drawn import Segs, find_dicom_segs, in_frame_of, read_dicom_seg, segs_below
from annofree.formats.drawn import label_map, read_slicer
from annofree.formats.folders import find_truths, passed_over
from annofree.formats.label_sets import ALL, LABEL_SETS, LabelSet, choose_label_set
from annofree.formats.layouts import LAYOUTS
from annofree.formats.named_labels import stated_set
from annofree.formats.nifti import read_labels
from annofree.formats.npy import SPLITS, load_array
from annofree.formats.outfolder import is_ours
from annofree.formats.slices import read_mask_stack
from annofree.formats.tissue_maps import tissues_of
from annofree.formats.volume_files import DICOM_MASKS
from annofree.grid import apply_affine
from annofree.registry import named
from annofree.scan import Grid, Truth, canonical_grid, to_canonical

#: A truth fits a scan when no voxel lies further from its partner than this share of the smallest voxel edge: headers
#: round (0.938 mm for 0.9375), and up to half an edge the nearest neighbour is the partner anyway.
LARGEST_OFFSET = 0.3
#: Stored numbers with a scale in the header miss whole labels by rounding; interpolated maps miss them by far more.
_NEAR_WHOLE = 0.01
#: So much of what was drawn on another series has to lie in the scan's field of view.
_LEAST_SHOWN = 0.95


def open_truth(
    path: str | Path,
    scan_id: str,
    grid: Grid,
    *,
    labels: str | None = None,
    beside: Iterable[int] = (),
    native: Grid | None = None,
    files: Iterable[str] = (),
) -> Truth:
    """Open the truth of a scan.

    Args:
        path: A label map, or a folder to find it in (`find_truth`).
        scan_id: The scan's id.
        grid: The scan's canonical grid; the truth must lie on it.
        labels: Name of its label set (`LABEL_SETS`); None decides by the labels that occur, or asks.
        beside: Labels in the other maps of the set (`label_values` of each).
        native: The grid of the scan's own file, whose axis order an array without geometry (`.npy`) has.
        files: Where the scan's sequences are from (`Scan.files`): a DICOM SEG has to be of the same study.

    A DICOM SEG that was drawn on another series in the frame of reference of all the scan's is resampled, and the
    truth's note says so.

    Raises:
        InputError: No truth is found, it lies on another grid, or its labels are unknown or unclear.
    """
    source = locate_truth(path, scan_id)
    if tissues := tissues_of(source):
        what, fix = f"The truth of scan '{scan_id}' is no tumour map", "Give the expert's tumour map"
        raise InputError(what, file=source, why=f"it is {tissues}", fix=fix)
    array, stored, named = _read(source, grid, files)
    if stored is None:  # the mask of PNG slices lies where they do
        stored = grid if source.suffix.lower() == ".png" else Grid(array.shape[:3], (native or grid).affine)
    understood, regions, convention = understand_labels(
        array, source, labels=named or labels, scan_id=scan_id, beside=beside
    )
    own = canonical_grid(stored)
    held = np.ascontiguousarray(to_canonical(understood, stored))
    offset = _offset_mm(own, grid)
    note = ""
    if offset is None or offset > LARGEST_OFFSET * min(grid.spacing_mm):
        if not in_frame_of(source, files):
            raise InputError(
                f"The truth of scan '{scan_id}' lies on another grid than the scan",
                file=source,
                why=_difference(own, grid),
                fix="Use the label map that belongs to these images, or resample it (nearest neighbour) beforehand",
            )
        held = _carried(held, regions, own, grid, source)
        note = (
            f"The truth of '{scan_id}' was drawn on another series of the same frame of reference, and is taken onto "
            f"the scan's grid by place, a voxel where about half of it is inside: {_difference(own, grid)}."
        )
    elif not own.same_as(grid):
        note = (
            f"The truth of '{scan_id}' is taken voxel by voxel although its header differs: {_difference(own, grid)}."
        )
    held.flags.writeable = False
    return Truth(scan_id, lambda: held, grid, regions, str(source), convention, note)


def _carried(
    labels: NDArray[np.uint8], regions: Collection[str], own: Grid, grid: Grid, source: Path
) -> NDArray[np.uint8]:
    """Labels that were drawn on another grid of the scan's world, on the scan's."""
    points = apply_affine(np.linalg.inv(grid.affine) @ own.affine, np.argwhere(labels))
    if len(points) and (share := grid.share_inside(points)) < _LEAST_SHOWN:
        raise InputError(
            "A segmentation reaches beyond the scan",
            file=source,
            why=f"{share:.0%} of it lies in the scan's field of view",
            fix="Give the one that was drawn on these images",
        )
    return carried_labels(labels, regions, own, grid, np.eye(4))


def locate_truth(path: str | Path, scan_id: str, segs: Segs = segs_below) -> Path:
    """The file of a scan's truth: `path` itself, or what `find_truth` finds below it.

    For many scans `segs` is `functools.cache(segs_below)`, so that DICOM below the folder is opened once.

    Raises:
        InputError: There is none.
    """
    source = Path(path)
    if not source.is_dir():
        return source
    found = find_truth(source, scan_id, segs)
    if found is None:
        only_dicom = dicom.recognises(source)
        passed = [*passed_over(source, scan_id), *(str(seg.path) for seg in find_dicom_segs(source, scan_id, segs))]
        told = (
            f"; of programs, places or other visits by names, headers or label tables: {some(passed)}" if passed else ""
        )
        raise InputError(
            f"No truth for scan '{scan_id}' was found",
            file=source,
            why=f"looked for {scan_id}_seg.nii.gz, {scan_id}/*seg*, labelsTr/{scan_id}.nii.gz and the like"
            + (told or ("; there is DICOM, and no SEG of this scan" if only_dicom else ""))
            + ("; answers of annofree and their corrections are no truth" if is_ours(source) else ""),
            fix="Name the file itself, or rename it, if it is the truth"
            if passed
            else DICOM_MASKS
            if only_dicom
            else "Name the label map after the scan's id",
        )
    return found


def label_values(source: Path) -> frozenset[int]:
    """The labels that occur in a map, as they stand in its file; empty for one-hot maps and for unreadable ones."""
    try:
        array, *_ = _read(source)
        return frozenset() if array.ndim == 4 else frozenset(_values(nearest_whole(array)))
    except InputError:
        return frozenset()  # opening it says why


def find_truth(folder: str | Path, scan_id: str, segs: Segs = segs_below) -> Path | None:
    """The label map of a scan below a folder, or None.

    Looks beside the scan's images, in a folder of its name, for files named after it, in `labelsTr` and among the
    masks of `.npy` folders, and last for a DICOM SEG of its study. What programs drew, anatomical maps and brain masks
    are no truth. `segs` is as for `locate_truth`.

    Raises:
        InputError: The folder does not exist, or two files claim to be the truth.
    """
    root = Path(folder)
    if not root.exists():
        raise InputError("There is no such file or folder", file=root, fix="Check the path given as truth")
    if not root.is_dir():
        return root
    found = _from_layout(root, scan_id) or _labels_folder(root, scan_id)
    if not found and (root / scan_id).is_dir():
        found = find_truths(root / scan_id, scan_id)  # spares a walk through thousands of other patients
    found = found or find_truths(root, scan_id)
    found = found or [(0, seg.path) for seg in find_dicom_segs(root, scan_id, segs) if seg.by_persons]
    if not found:
        return None
    best = min(rank for rank, _ in found)
    first, *others = sorted({path for rank, path in found if rank == best})
    if others:
        raise InputError(
            f"Two files claim to be the truth of scan '{scan_id}'",
            file=root,
            why=f"{first} and {others[0]}",
            fix="Keep one of them, or name the file",
        )
    return first


def _from_layout(root: Path, scan_id: str) -> list[tuple[int, Path]]:
    special = (layout for layout in LAYOUTS[:-1] if layout is not dicom)  # which holds no label map that is read
    layout = next((layout for layout in special if layout.recognises(root)), None)
    cases: list[Case] = layout.find(root) if layout else []
    return [(0, truth) for case in cases if case.id == scan_id for truth in case.truths]


def _labels_folder(root: Path, scan_id: str) -> list[tuple[int, Path]]:
    names = [f"{scan_id}{ending}" for ending in (".nii.gz", ".nii", ".npy")]
    places = [root, root / "labelsTr", root / "labelsTs", *(root / s / "masks" for s in SPLITS)]
    return [(0, place / name) for place in places for name in names if (place / name).is_file()]


def read_drawn(
    source: Path, grid: Grid | None = None, files: Iterable[str] = ()
) -> tuple[NDArray[np.uint8], Grid, LabelSet | None] | None:
    """A segmentation of 3-D Slicer or a DICOM SEG as `drawn.label_map`; None for any other file.

    Raises:
        InputError: It is damaged, of another study than the scan's `files`, or what its segments are cannot be told.
    """
    found = read_slicer(source, grid) or read_dicom_seg(source, grid, files)
    return None if found is None else label_map(*found, source, grid)


def _read(
    source: Path, grid: Grid | None = None, files: Iterable[str] = ()
) -> tuple[NDArray[Any], Grid | None, LabelSet | None]:
    """The stored numbers, the grid and, where names say it, what the numbers mean.

    The grid is None for files without geometry, which are paired by name, voxel by voxel.
    """
    if source.suffix.lower() == ".png":
        return read_mask_stack(source), None, None
    if source.suffix != ".npy":
        return read_drawn(source, grid, files) or (*read_labels(source), None)
    array = np.asarray(load_array(source))
    if array.ndim == 4 and array.shape[3] > 4 >= array.shape[0]:
        array = np.moveaxis(array, 0, 3)
    return array, None, None


def understand_labels(
    array: NDArray[Any],
    source: Path,
    *,
    labels: str | LabelSet | None = None,
    scan_id: str = "",
    beside: Iterable[int] = (),
) -> tuple[NDArray[np.uint8], tuple[str, ...], str]:
    """Labels of any known convention as BraTS 2023 labels.

    Args:
        array: (X, Y, Z) labels, or (X, Y, Z, C) one-hot with background first. Floats within 0.01 of a label count as
            that label.
        source: Its file, for sentences.
        labels: The label set or its name; None decides by the data set's `dataset.json`, else by `choose_label_set`.
        scan_id: The scan's id.
        beside: Labels in the other maps of the set.

    Returns:
        Uint8 labels (0 background, 1 core, 2 oedema, 3 enhancing; a binary mask becomes 2), the regions told apart,
        and the convention in words. A map without tumour tells every region apart: all are empty.

    Raises:
        InputError: Unknown or unclear labels.
    """
    whole = nearest_whole(array)
    if whole.ndim == 4:
        return _from_one_hot(whole, source)
    if whole.dtype.kind == "f" and (fractions := array[whole != np.rint(whole)]).size:
        raise InputError(
            "A label map holds fractions",
            file=source,
            why=f"for instance {fractions[0]:.3g}; linear interpolation and maps of probabilities look so",
            fix="Resample the labels by nearest neighbour, or cut a probability at one half",
        )
    values = _values(whole)
    if isinstance(labels, str):
        labels = named(LABEL_SETS, labels, "label set")
    stated = labels or stated_set(source)
    if stated and (left := {value for value in values if value and value not in stated.meaning}):
        raise InputError(
            f"A label map holds {', '.join(f'{value:g}' for value in sorted(left)[:5])}, which the label set "
            f"'{stated.name}' does not know",
            file=source,
            why=f"it is {stated.words}",
            fix="Choose another with --labels",
        )
    chosen = stated or choose_label_set(values, source, scan_id=scan_id, beside=beside)
    table = np.zeros(256, np.uint8)
    for label, meaning in chosen.meaning.items():
        table[label] = meaning
    return table[whole.astype(np.uint8)], chosen.regions, chosen.words


def nearest_whole(array: NDArray[Any]) -> NDArray[Any]:
    """Floats that are nearly whole numbers, made whole; where one is not, all stay as they are: the caller refuses."""
    if array.dtype.kind != "f":
        return array
    nearest = np.rint(array)
    return nearest if array.size and float(np.abs(array - nearest).max()) <= _NEAR_WHOLE else array


def _values(array: NDArray[Any]) -> set[Any]:
    if array.dtype == np.uint8:
        return set(np.flatnonzero(np.bincount(array.ravel(), minlength=256)).tolist())
    return set(np.unique(array).tolist())


def _from_one_hot(array: NDArray[Any], source: Path) -> tuple[NDArray[np.uint8], tuple[str, ...], str]:
    channels = array.shape[3]
    one_hot = bool(np.isin(array, (0, 1)).all()) and bool((array.sum(axis=3, dtype=np.float64) == 1).all())
    if not one_hot or channels not in (2, 4):
        raise InputError(
            f"A label map with {channels} channels is not one-hot",
            file=source,
            why="every voxel needs exactly one 1, in 2 channels (background, tumour) or 4 (background, core, "
            "oedema, enhancing)",
            fix="Save labels 0, 1, 2, 3 in one 3-D map instead",
        )
    labels = array.argmax(axis=3).astype(np.uint8)
    if channels == 2:
        return labels * np.uint8(2), ("WT",), "one-hot, 2 channels: whole tumour only"
    return labels, ALL, "one-hot, 4 channels: background, core, oedema, enhancing"


def _offset_mm(own: Grid, grid: Grid) -> float | None:
    """How far voxels of one index lie apart at most; None where the shapes differ."""
    if tuple(own.shape) != tuple(grid.shape):
        return None
    return float(np.linalg.norm(own.corner_shifts_mm(grid.affine), axis=1).max())


def _difference(own: Grid, grid: Grid) -> str:
    offset = _offset_mm(own, grid)
    if offset is None:
        return f"shape {tuple(own.shape)} against {tuple(grid.shape)}"
    pairs = [_apart(a, b) for a, b in zip(own.spacing_mm, grid.spacing_mm, strict=True)]
    sizes = [" x ".join(pair[side] for pair in pairs) for side in (0, 1)]
    told = "the same shape and voxel size" if sizes[0] == sizes[1] else f"voxels of {sizes[0]} mm against {sizes[1]} mm"
    return f"{told}, but voxels of one index lie up to {offset:.3g} mm apart"


def _apart(first: float, second: float) -> tuple[str, str]:
    """Two numbers with as many digits as it takes to see that they differ, up to the precision of headers."""
    for digits in range(3, 8):
        texts = f"{first:.{digits}g}", f"{second:.{digits}g}"
        if texts[0] != texts[1]:
            break
    return texts
