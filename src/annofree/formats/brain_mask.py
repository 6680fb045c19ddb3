"""Brain masks given by users: read as what they are, and refused where they are no brain of this scan.

A mask may be binary, a label map of the whole brain, a stripped image, or soft: probabilities, a blurred mask, one that
a spline carried to another grid. Soft masks are cut at one half. What comes out must have a brain's volume, hang
together, and lie where the scan's head or brain lies; a tumour mask, an inverted or a shifted one does not.

Without a mask a whole head is told from a brain that was taken out of its skull. A stripped brain lies in one constant
background and fills 0.8 to 2 litres; the largest adult brains with their cerebrospinal fluid stay below 2.1 litres
(MNI's mask, itself large, has 1.9). A whole head fills 2.3 litres and more, and the air around it is noise unless
somebody cleaned it. Grey levels, their scale and their sign do not matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.formats.contents import has_few_values
from annofree.formats.grids import resample
from annofree.formats.nifti import read_labels
from annofree.masks import Mask, bounding_box, components, faces, largest_component
from annofree.scan import Grid, Modality, Scan, canonical_grid, foreground, to_canonical

#: Litres of the smallest brain that is believed: a newborn's in part. Masks of all but the largest tumours stay below.
MIN_BRAIN_L = 0.2
#: A brain is at least this part of the head around it; a tumour is less.
MIN_OF_HEAD = 0.2
#: A brain is one piece; specks beside it may be this part of it at most.
MAX_LOOSE = 0.2
#: Mask and stripped brain share at least this part of either.
MIN_SHARED = 0.7
#: A tight mask lies inside the stripped brain and a loose one covers it; of a shifted or turned one neither is so.
MIN_EITHER = 0.85
#: Inside a head: part of the mask that may lie in the air, and how far its middle may be off the head's (left-right).
MAX_IN_AIR, MAX_OFF_MM = 0.1, 20.0
#: From the head's top, back and front to the brain's (mm); 0 to 16, 7 to 36 and 20 to 48 in twelve heads.
MAX_TO_TOP_MM, MAX_TO_BACK_MM, MAX_TO_FRONT_MM = 35.0, 48.0, 75.0
#: A mask that fills less of its own outline than this is a tissue, not a brain.
MIN_SOLID = 0.6
#: A rim above this part of the top is a step; a deep inside whose 10th and 90th percentiles have this ratio is flat.
_STEP, _ALIKE = 0.25, 0.85
_COARSE_MM = 4.0
_FIX = "Give the mask of this scan's whole brain: non-zero inside the brain, 0 outside"


def is_pattern(mask: str | Path) -> bool:
    """Whether it names a mask in each patient's folder instead of one file.

    Raises:
        InputError: It is neither a name nor a path.
    """
    if not isinstance(mask, str | Path):
        fix = "Give its file; open_scan also takes an array on the scan's grid"
        raise InputError(f"A {type(mask).__name__} is no brain mask", fix=fix)
    return any(sign in str(mask) for sign in "*?")


def mask_file(given: str | Path | None, folder: Path, own: Path | None) -> Path | None:
    """The file that a mask or a pattern stands for in a patient's folder; the one that was found there where none does.

    Raises:
        InputError: The pattern fits several files, or none and the folder has no mask of its own.
    """
    if given is None:
        return own
    if not is_pattern(given):
        return Path(given)
    found = sorted(folder.glob(str(given)))
    if not found and own is not None:
        return own
    if len(found) != 1:
        raise InputError(
            f"The brain mask pattern '{given}' fits {len(found)} files",
            file=folder,
            fix="It has to fit exactly one file in each patient's folder",
        )
    return found[0]


def open_brain_mask(
    mask: Path | NDArray[Any], scan_id: str, grid: Grid, images: Mapping[Modality, NDArray[Any]]
) -> tuple[NDArray[np.bool_], str | None]:
    """A brain mask, boolean (X, Y, Z) on a scan's canonical grid, and what was done to it in words.

    The mask is a file on any grid of the same world, or an array on the scan's; the images tell where its brain lies.

    Raises:
        InputError: It is no brain mask of this scan.
    """
    file = None if isinstance(mask, np.ndarray) else mask
    if isinstance(mask, np.ndarray):
        if mask.dtype.kind not in "biuf":
            raise _refusal(scan_id, None, f"it holds no plain numbers but {mask.dtype}")
        if mask.shape != tuple(grid.shape):
            raise InputError(
                f"The brain mask has shape {mask.shape}, scan '{scan_id}' {tuple(grid.shape)}",
                fix="Give a mask on the scan's canonical grid, or a file",
            )
        brain, note = _indicator(mask)
    else:
        values, native = read_labels(mask)
        if values.ndim != 3:
            raise InputError("A brain mask is 4-D", file=mask, fix="Give one 3-D mask")
        own = canonical_grid(native)
        brain, note = _indicator(np.ascontiguousarray(to_canonical(values, native)))
        if not own.same_as(grid):
            brain = _carried(brain, own, grid, scan_id, mask)
    share = float(brain.mean())
    if not 0 < share < 1:
        raise _refusal(scan_id, file, f"it covers {'nothing' if share == 0 else 'every voxel'} of it")
    if why := why_no_brain(brain, grid, images):
        raise _refusal(scan_id, file, why)
    return brain, note


def _refusal(scan_id: str, file: Path | None, why: str) -> InputError:
    return InputError(f"The brain mask of scan '{scan_id}' is none of its brain", file=file, why=why, fix=_FIX)


def _indicator(values: NDArray[Any]) -> tuple[NDArray[np.bool_], str | None]:
    """Which voxels of a mask are brain, and what was done in words."""
    inside = values > 0
    if values.dtype == bool or not inside.any() or has_few_values(values):
        return inside, None
    top = float(np.percentile(values[inside], 95))
    unit = top <= 1.5 and bool((values != np.round(values)).any())
    sharp, flat = _edge_and_inside(values, top)
    if flat or (unit and not sharp):
        half = 0.5 if unit else top / 2
        return values >= half, f"the mask was soft ({values.min():.3g} to {values.max():.3g}) and was cut at {half:.3g}"
    return inside if values.min() >= 0 else foreground(values.astype(np.float32)), None


def _edge_and_inside(values: NDArray[Any], top: float) -> tuple[bool, bool]:
    """Whether a mask's values begin with a step at its rim, and whether they are all alike deep inside.

    A soft mask rises slowly to a plateau; a label map or a stripped image begins with a step and differs inside.
    """
    from scipy import ndimage

    inside = values > 0.02 * top
    rim = inside & ~ndimage.binary_erosion(inside, border_value=1)
    coarse = tuple(slice(None, None, max(1, n // 60)) for n in values.shape)
    depth = ndimage.distance_transform_edt(inside[coarse])
    deep = values[coarse][depth >= 0.6 * depth.max()]
    low, high = np.percentile(deep, (10, 90))
    return bool(rim.any() and np.median(values[rim]) > _STEP * top), bool(low >= _ALIKE * high)


def _carried(brain: NDArray[np.bool_], own: Grid, grid: Grid, scan_id: str, file: Path) -> NDArray[np.bool_]:
    """The mask on the scan's grid: its indicator is resampled linearly and cut at one half, which keeps its volume."""
    values = resample(brain.astype(np.float32), own, grid, 1)
    # Halfway points are many where one grid is a multiple of the other: every second one counts.
    even = np.indices(values.shape, sparse=True)
    carried = np.asarray((values > 0.5) | ((values == 0.5) & (sum(even) % 2 == 0)))
    before, after = brain.sum() * own.voxel_ml, carried.sum() * grid.voxel_ml
    if before and after < 0.5 * before:
        raise _refusal(scan_id, file, f"{1 - after / before:.0%} of it lies outside the images")
    return carried


def why_no_brain(brain: NDArray[np.bool_], grid: Grid, images: Mapping[Modality, NDArray[Any]]) -> str | None:
    """Why an (X, Y, Z) mask cannot be the brain of these images on its canonical grid, or None."""
    litres = float(brain.sum()) * grid.voxel_ml / 1000
    if litres < MIN_BRAIN_L:
        return f"it measures {litres * 1000:.3g} ml, and the smallest brains {MIN_BRAIN_L * 1000:.0f}"
    if litres > MAX_BRAIN_L:
        turned = "; it looks inverted" if faces(brain).mean() > 0.5 else ""
        return f"it measures {litres:.3g} litres, more than any brain{turned}"
    steps = [max(1, round(_COARSE_MM / edge)) for edge in grid.spacing_mm]
    view = tuple(slice(None, None, step) for step in steps)
    coarse = brain[view]
    spacing = np.asarray(grid.spacing_mm) * steps
    return _why_in_pieces(coarse) or _why_elsewhere(coarse, spacing, grid, images, view)


def _why_in_pieces(brain: NDArray[np.bool_]) -> str | None:
    from scipy import ndimage

    parts, count = components(brain)
    sizes = np.bincount(parts.ravel())[1:]
    if sizes.max() < (1 - MAX_LOOSE) * sizes.sum():
        return f"it falls into {count} pieces, and the largest has {sizes.max() / sizes.sum():.0%} of it"
    full = ndimage.binary_fill_holes(ndimage.binary_closing(np.pad(brain, 4), iterations=3))[4:-4, 4:-4, 4:-4]
    solid = float(brain.sum() / max(1, full.sum()))
    return None if solid >= MIN_SOLID else f"it fills only {solid:.0%} of its own outline, like one tissue of a brain"


def _why_elsewhere(
    brain: NDArray[np.bool_],
    spacing: NDArray[Any],
    grid: Grid,
    images: Mapping[Modality, NDArray[Any]],
    view: tuple[slice, ...],
) -> str | None:
    stripped = np.zeros_like(brain)
    head = np.zeros_like(brain)
    for image in images.values():
        if why_whole_head(image, grid):
            head |= _body(image[view])
        else:
            stripped |= foreground(image[view])
    if stripped.any() and not head.any():
        shared = float((brain & stripped).sum())
        covers, inside = shared / stripped.sum(), shared / brain.sum()
        if min(covers, inside) < MIN_SHARED or max(covers, inside) < MIN_EITHER:
            return (
                f"it covers {covers:.0%} of the stripped brain, and {inside:.0%} of it lies inside that brain"
                f"{'; it looks shifted or turned' if abs(covers - inside) < 0.1 else ''}"
            )
        return None
    if not head.any():
        return None
    if (part := float(brain.sum() / head.sum())) < MIN_OF_HEAD:
        return f"it is {part:.0%} of the head around it"
    air = 1 - float((brain & head).sum() / brain.sum())
    if air > MAX_IN_AIR:
        return f"{air:.0%} of it lies outside the head"
    off = abs(float(np.nonzero(brain)[0].mean() - np.nonzero(head)[0].mean())) * spacing[0]
    if off > MAX_OFF_MM:
        return f"its middle lies {off:.0f} mm beside the middle of the head"
    whole, inner = bounding_box(head), bounding_box(brain)
    assert whole is not None
    assert inner is not None
    gaps = (
        ("top", (whole[2].stop - inner[2].stop) * spacing[2], MAX_TO_TOP_MM),
        ("back", (inner[1].start - whole[1].start) * spacing[1], MAX_TO_BACK_MM),
        ("front", (whole[1].stop - inner[1].stop) * spacing[1], MAX_TO_FRONT_MM),
    )
    far = next(((side, gap) for side, gap, most in gaps if gap > most), None)
    return None if far is None else f"it ends {far[1]:.0f} mm from the {far[0]} of the head"


def _body(image: NDArray[Any]) -> NDArray[np.bool_]:
    """The head in a coarse picture: what is brighter than air, in one piece, its cavities filled."""
    low, high = np.percentile(image, (1, 99))
    return largest_body(image > low + 0.1 * (high - low))


#: Litres; above any brain, below any adult head.
MAX_BRAIN_L = 2.2
#: A field of view this small holds neither (litres).
MIN_VIEW_L = 0.5
#: Part of the voxels (and of the faces) that has the one background value at least, when a brain was stripped.
MIN_CONSTANT = 0.2


def head_in(scan: Scan) -> str | None:
    """Why an image of a scan without a brain mask looks like a whole head, or None; known since it was read."""
    whys = (why_whole_head(image, scan.grid) for image in scan.images.values())
    return scan.once("whole head", lambda: next((why for why in whys if why), None))


def why_whole_head(image: NDArray[Any], grid: Grid) -> str | None:
    """Why an image looks like a head with its skull, or None for a stripped brain.

    Grey levels (X, Y, Z) may be of any scale.
    """
    spacing = np.asarray(grid.spacing_mm)
    view_l = grid.voxel_ml * image.size / 1000
    if view_l < MIN_VIEW_L:
        return None
    steps = np.maximum(1, np.round(_COARSE_MM / spacing).astype(int))
    coarse = image[:: steps[0], :: steps[1], :: steps[2]]
    outer = faces(image)
    values, counts = np.unique(outer, return_counts=True)
    background = values[np.argmax(counts)]
    on_faces, inside = counts.max() / outer.size, float((coarse == background).mean())
    if min(on_faces, inside) < MIN_CONSTANT:
        return f"only {min(on_faces, inside):.0%} of it is constant background, so the air was not removed"
    low, high = np.percentile(coarse, (0.5, 99.5))
    body = largest_body(np.abs(coarse - background) > 0.02 * (high - low))
    litres = int(body.sum()) * float(np.prod(spacing * steps)) / 1e6
    if litres > MAX_BRAIN_L:
        return f"what is not background fills {litres:.1f} litres, more than any brain"
    return None


def largest_body(bright: Mask) -> Mask:
    """The largest connected thing in a coarse (X, Y, Z) mask, with its cavities."""
    from scipy import ndimage

    body = largest_component(ndimage.binary_opening(bright), 6)
    body = ndimage.binary_closing(np.pad(body, 4), iterations=3)[4:-4, 4:-4, 4:-4]
    return np.asarray(np.stack([ndimage.binary_fill_holes(body[:, :, z]) for z in range(body.shape[2])], axis=2))
