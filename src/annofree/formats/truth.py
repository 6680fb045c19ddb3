"""Experts' label maps as `Truth`: every convention in, BraTS 2023 labels out, and readable by scoring only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.formats.case import Case
from annofree.formats.folders import find_truths
from annofree.formats.layouts import LAYOUTS
from annofree.formats.nifti import read_labels
from annofree.formats.npy import SPLITS, load_array
from annofree.formats.slices import read_mask_stack
from annofree.scan import Grid, Truth, canonical_grid, to_canonical

ALL = ("WT", "TC", "ET")


class FileTruth(Truth):
    """Truth from a file, which also says how its labels were understood.

    Attributes:
        convention: For example "labels 0/1/2/4, 4 read as enhancing".
    """

    def __init__(
        self,
        scan_id: str,
        load: Callable[[], NDArray[np.uint8]],
        grid: Grid,
        regions: tuple[str, ...],
        source: str,
        convention: str,
    ) -> None:
        super().__init__(scan_id, load, grid, regions, source)
        self.convention = convention


def open_truth(path: str | Path, scan_id: str, grid: Grid) -> FileTruth:
    """Open the truth of a scan.

    Args:
        path: A label map, or a folder to find it in (`find_truth`).
        scan_id: The scan's id.
        grid: The scan's canonical grid; the truth must lie on it.

    Raises:
        InputError: No truth is found, it lies on another grid, or its labels are unknown.
    """
    source = Path(path)
    if source.is_dir():
        found = find_truth(source, scan_id)
        if found is None:
            raise InputError(
                f"No truth for scan '{scan_id}' was found",
                file=source,
                why=f"looked for {scan_id}_seg.nii.gz, {scan_id}/*seg*, labelsTr/{scan_id}.nii.gz and the like",
                fix="Name the label map after the scan's id",
            )
        source = found
    array, native = _read(source, grid)
    labels, regions, convention = understand_labels(array, source)
    own = canonical_grid(native)
    if not own.same_as(grid):
        raise InputError(
            f"The truth of scan '{scan_id}' lies on another grid than the scan",
            file=source,
            why=_difference(own, grid),
            fix="Use the label map that belongs to these images, or resample it (nearest neighbour) beforehand",
        )
    held = np.ascontiguousarray(to_canonical(labels, native))
    held.flags.writeable = False
    return FileTruth(scan_id, lambda: held, grid, regions, str(source), convention)


def find_truth(folder: str | Path, scan_id: str) -> Path | None:
    """The label map of a scan below a folder, or None.

    Looks beside the scan's images, in a folder of its name, for files named after it, in `labelsTr` and among the
    masks of `.npy` folders. Fusions of networks, anatomical maps and brain masks are no truth.

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
    special = LAYOUTS[:-1]
    layout = next((layout for layout in special if layout.recognises(root)), None)
    cases: list[Case] = layout.find(root) if layout else []
    return [truth for case in cases if case.id == scan_id for truth in case.truths]


def _labels_folder(root: Path, scan_id: str) -> list[tuple[int, Path]]:
    names = [f"{scan_id}{ending}" for ending in (".nii.gz", ".nii", ".npy")]
    places = [root, root / "labelsTr", root / "labelsTs", *(root / s / "masks" for s in SPLITS)]
    return [(0, place / name) for place in places for name in names if (place / name).is_file()]


def _read(source: Path, grid: Grid) -> tuple[NDArray[Any], Grid]:
    if source.suffix.lower() == ".png":
        # As for .npy: slices are paired with their images by name and number.
        return read_mask_stack(source), grid
    if source.suffix != ".npy":
        return read_labels(source)
    array = np.asarray(load_array(source))
    if array.ndim == 4 and array.shape[3] > 4 >= array.shape[0]:
        array = np.moveaxis(array, 0, 3)
    # A .npy file has no geometry of its own: it is paired with its image by name and voxel by voxel.
    return array, Grid((array.shape[0], array.shape[1], array.shape[2]), np.asarray(grid.affine))


def understand_labels(array: NDArray[Any], source: Path) -> tuple[NDArray[np.uint8], tuple[str, ...], str]:
    """Labels of any known convention as BraTS 2023 labels.

    Args:
        array: (X, Y, Z) labels, or (X, Y, Z, C) one-hot with background first.
        source: Its file, for sentences.

    Returns:
        Uint8 labels (0 background, 1 core, 2 oedema, 3 enhancing; a binary mask becomes 2), the regions told apart,
        and the convention in words.

    Raises:
        InputError: Unknown labels.
    """
    if array.ndim == 4:
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
    values = set(np.unique(array).tolist())
    if {3, 4} <= values and values <= {0, 1, 2, 3, 4}:
        raise InputError(
            "A label map holds both 3 and 4",
            file=source,
            why="in BraTS 2024 post-treatment data 4 is the resection cavity, which annofree does not know",
            fix="Set the cavity to 0 if it should count as background",
        )
    if strange := values - {0, 1, 2, 3, 4}:
        shown = ", ".join(f"{value:g}" for value in sorted(strange)[:5])
        raise InputError(
            f"A label map holds unknown labels ({shown}{', ...' if len(strange) > 5 else ''})",
            file=source,
            why="known are 0/1/2/4 (BraTS to 2021), 0/1/2/3 (BraTS 2023) and 0/1 (whole tumour)",
            fix="Map them to one of these, or check that this is the tumour's label map",
        )
    labels = array.astype(np.uint8)
    if values <= {0, 1}:
        return labels * np.uint8(2), ("WT",), "binary 0/1: whole tumour only"
    if 4 in values:
        return np.where(labels == 4, np.uint8(3), labels), ALL, "labels 0/1/2/4 (BraTS to 2021), 4 read as enhancing"
    told = "labels 0/1/2/3 (BraTS 2023)" if 3 in values else "labels 0/1/2, no enhancing tumour"
    return labels, ALL, told


def _difference(own: Grid, grid: Grid) -> str:
    if tuple(own.shape) != tuple(grid.shape):
        return f"shape {tuple(own.shape)} against {tuple(grid.shape)}"
    shift = float(np.abs(np.asarray(own.affine) - np.asarray(grid.affine))[:3, 3].max())
    spacing = [" x ".join(f"{s:.3g}" for s in g.spacing_mm) for g in (own, grid)]
    return f"the same shape, but voxels of {spacing[0]} mm against {spacing[1]} mm, origins up to {shift:.3g} mm apart"
