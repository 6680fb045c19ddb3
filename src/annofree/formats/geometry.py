"""Where a NIfTI header says that voxels lie, and where two readers of one header would differ.

We read as nibabel does: the sform where its code is set, else the qform, else the voxel sizes. ITK (SimpleITK, 3D
Slicer, TorchIO) takes the sform only where its code is 1 or no qform is set, multiplies by the stated unit, straightens
sheared axes, and adds an intercept whose slope is 0. Where that gives another picture, a note says so.

And whether a scan has the size of a head: a wrong voxel size gives wrong volumes and says nothing.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.formats.gz import open_gz
from annofree.masks import bounding_box
from annofree.scan import Grid

Array = NDArray[Any]

#: Positions that differ by less are one position (mm).
SAME_MM = 0.5
#: Axes further from right angles than this (cosine) are sheared; a rotation kept in float32 stays below.
SHEAR_COSINE = 2e-3
#: Rounding in other programs makes quaternions this long at most; longer ones are damage.
LONGEST_QUATERNION = 1.01
#: Where an image (nibabel's `extra`) says that its file told no orientation.
UNPLACED = "unplaced"
_UNITS_MM = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
_UNIT_WORDS = {1: "metres", 3: "microns"}


def stored_header(path: Path) -> Any | None:
    """The header as it lies in a `.nii`, `.nii.gz` or `.hdr` file: nibabel repairs some fields while it loads."""
    import nibabel

    nib: Any = nibabel
    with suppress(Exception):
        with open_gz(path) if path.name.lower().endswith(".gz") else path.open("rb") as file:
            block = file.read(540)
        for kind, size in ((nib.Nifti1Header, 348), (nib.Nifti2Header, 540)):
            for order in "<>":
                if int(np.frombuffer(block[:4], f"{order}i4")[0]) == size:
                    return kind(block[:size], order, check=False)
    return None


def affine_mm(image: Any, name: str) -> Array:
    """The affine in mm, the unit of the header honoured.

    Raises:
        InputError: Nothing in the header says how large a voxel is.
    """
    header = (stored_header(Path(name)) if image.file_map else None) or image.header
    sizes = np.asarray(header["pixdim"][1:4], dtype=float)
    if int(header["sform_code"]) <= 0 and not (np.isfinite(sizes).all() and (sizes != 0).all()):
        shown = " x ".join(f"{size:g}" for size in sizes)
        raise InputError(
            "An image does not say how large its voxels are",
            file=name,
            why=f"its voxel size (pixdim) is {shown} and it has no sform",
            fix="Write the true voxel size into the header, or convert the original DICOM again",
        )
    affine = np.array(image.affine, dtype=np.float64)
    affine[:3] *= _unit_mm(header)
    return affine


def _unit_mm(header: Any) -> float:
    return _UNITS_MM.get(int(header["xyzt_units"]) & 7, 1.0)


def shear(affine: Array) -> float:
    """The largest cosine between two axes: 0 where all angles are right."""
    directions = np.asarray(affine, dtype=float)[:3, :3]
    directions = directions / np.linalg.norm(directions, axis=0)
    return float(np.abs(directions.T @ directions - np.eye(3)).max())


def repeats(header: Any, affine: Array, shape: tuple[int, ...]) -> bool:
    """Whether the fields of a header may be repeated in a result: every reader sees the affine in them that we use.

    No qform can say a shear: a result repeats both forms then, and so lies on its source in every program.
    """
    if int(header["xyzt_units"]) & 7 in (1, 3):
        return False
    if int(header["qform_code"]) > 0 and _too_long(header):
        return False  # nibabel would refuse the result
    if shear(affine) > SHEAR_COSINE:
        return True
    grid = Grid(shape, affine)
    for code, form in (("qform_code", "get_qform"), ("sform_code", "get_sform")):
        if int(header[code]) > 0:
            try:
                same = grid.same_as(Grid(grid.shape, np.asarray(getattr(header, form)())), tolerance_mm=0.05)
            except Exception:
                return False
            if not same:
                return False
    sizes = np.abs(np.asarray(header["pixdim"][1:4], dtype=float))
    return int(header["sform_code"]) <= 0 or bool(np.allclose(sizes, grid.spacing_mm, rtol=0.01))


def geometry_notes(image: Any, name: str, affine: Array) -> tuple[str, ...]:
    """What a reader of the result should know about the header's geometry and scaling, in sentences."""
    header = image.header
    stored = (stored_header(Path(name)) if image.file_map else None) or header
    title = Path(name).name
    notes: list[str] = []
    q, s = int(header["qform_code"]), int(header["sform_code"])
    if (unit := int(header["xyzt_units"]) & 7) in _UNIT_WORDS:
        notes.append(f"{title} states its positions in {_UNIT_WORDS[unit]}; they were turned into mm.")
    if image.file_map and q <= 0 and s <= 0:
        notes.append(f"{title} states no orientation (qform and sform codes are 0); its axes are taken as LAS.")
    if image.extra.get(UNPLACED):
        notes.append(f"{title} states no orientation (neither left nor right is named); its axes are taken as LPS.")
    notes += _forms(image, title, affine, q, s)
    if (cosine := shear(affine)) > SHEAR_COSINE:
        angle = 90 - np.degrees(np.arccos(cosine))
        notes.append(
            f"{title} has axes that are {angle:.1f} degrees off right angles; volumes are by the determinant, "
            "and ITK-based programs straighten or refuse such a file."
        )
    notes += _scaling(stored, title)
    return tuple(notes)


def _too_long(header: Any) -> bool:
    """Whether rounding made the quaternion longer than nibabel reads."""
    return sum(float(header[f"quatern_{part}"]) ** 2 for part in "bcd") > 1 + 3e-7


def _forms(image: Any, title: str, affine: Array, q: int, s: int) -> list[str]:
    header, shape = image.header.copy(), image.shape[:3]
    if _too_long(header):  # for nibabel the threshold works on both sides: a turn by nearly a half would become a half
        header.quaternion_threshold = 1 - LONGEST_QUATERNION**2
    notes = []
    if q > 0 and s > 0:
        try:
            other = np.asarray(header.get_qform())
        except Exception:
            return [f"{title} has an unusable qform; its sform is used."]
        other[:3] *= _unit_mm(header)
        apart = float(np.linalg.norm(Grid(shape, affine).corner_shifts_mm(other), axis=1).max())
        if apart > SAME_MM:
            reader = "" if s == 1 else f"; ITK-based programs take the qform, since the sform's code is {s}"
            notes.append(
                f"{title} has a qform and an sform that disagree by {apart:.1f} mm; the sform is used{reader}."
            )
    if s > 0:
        sizes = np.abs(np.asarray(header["pixdim"][1:4], dtype=float)) * _unit_mm(header)
        spacing = Grid(shape, affine).spacing_mm
        if not np.allclose(sizes, spacing, rtol=0.01):
            stated, used = (" x ".join(f"{size:.3g}" for size in three) for three in (sizes, spacing))
            notes.append(f"{title} states voxels of {stated} mm (pixdim) and {used} mm (sform); the sform is used.")
    return notes


def _scaling(header: Any, title: str) -> list[str]:
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if (slope == 0 or not np.isfinite(slope)) and np.isfinite(intercept) and intercept != 0:
        return [
            f"{title} has an intercept of {intercept:g} and no slope ({slope:g}); its grey levels are taken unscaled, "
            "and ITK-based programs add the intercept."
        ]
    return []


#: A field of view outside this (mm) is none of a head.
MIN_EXTENT_MM, MAX_EXTENT_MM = 60.0, 600.0
#: Voxels that a brain has along each axis at least.
MIN_VOXELS = 8
#: What is not background fills so many litres: a newborn's brain in part, and a head with its neck.
MIN_LITRES, MAX_LITRES = 0.2, 9.0
_FIX = "Check voxel size and unit in the header against the scanner's protocol, and give the whole head or brain"


def refuse_impossible_view(grid: Grid, file: str) -> None:
    """Refuse a field of view that no head has. Raises `InputError`: it is too small or too large."""
    extent = [n * edge for n, edge in zip(grid.shape, grid.spacing_mm, strict=True)]
    if min(extent) < MIN_EXTENT_MM or max(extent) > MAX_EXTENT_MM:
        shown = " x ".join(f"{length:.3g}" for length in extent)
        what = "An image does not have the size of a head"
        raise InputError(what, file=file, why=f"by its header it covers {shown} mm", fix=_FIX)


def refuse_impossible_brain(grid: Grid, inside: NDArray[np.bool_], file: str) -> None:
    """Refuse by an `InputError` a brain that no person has: too small, too large, or too coarse.

    `inside` is an (X, Y, Z) brain mask, or what is not background.
    """
    widths = [axis.stop - axis.start for axis in bounding_box(inside) or (slice(0, 0),)]
    if min(widths) < MIN_VOXELS:
        raise InputError(
            "A brain is too coarse or too small to look for tumours in",
            file=file,
            why=f"it is {min(widths)} voxels wide along one axis, and {MIN_VOXELS} are needed",
            fix=_FIX,
        )
    litres = float(np.count_nonzero(inside)) * grid.voxel_ml / 1000
    if not MIN_LITRES <= litres <= MAX_LITRES:
        raise InputError(
            "An image does not have the size of a head",
            file=file,
            why=f"what is not background fills {litres:.3g} litres",
            fix=_FIX,
        )
