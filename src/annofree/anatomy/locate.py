"""Where each lesion lies: volume, centre, side, lobe. Runs after the mask is written and changes nothing in it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree.anatomy.align import Alignment, register_to_mni
from annofree.anatomy.atlas import Atlas, default_atlas
from annofree.anatomy.regions import Side
from annofree.anatomy.symmetry import MidsagittalPlane, midsagittal_plane
from annofree.errors import InputError
from annofree.formats.grids import on_grid
from annofree.grid import apply_affine
from annofree.labels import LABEL_NAMES, NESTED
from annofree.masks import bounding_box, components
from annofree.scan import Modality, Scan
from annofree.segmentation import REGIONS, Lesion, ScoreMap
from annofree.volumes import reaches

#: A lesion with at least twice as much on one side as on the other belongs to that side; any other crosses.
_SIDE_SHARE = 2.0 / 3.0
#: The midsagittal plane is known to about this; a lesion whose middle is nearer to it belongs to neither side.
_PLANE_ERROR_MM = 3.0


def locate(
    labels: NDArray[np.uint8],
    scan: Scan,
    *,
    scores: ScoreMap | None = None,
    with_lobes: bool = True,
    min_volume_ml: float = 0.05,
    atlas: Atlas | None = None,
    alignment: Callable[[], Alignment] | None = None,
    regions: Collection[str] = tuple(REGIONS),
) -> tuple[Lesion, ...]:
    """Describe the lesions of a segmentation.

    A lesion is a 26-connected part of the labels of at least `min_volume_ml` (the default is the 50 cubic millimetres
    below which the BraTS 2023 lesion-wise rule counts nothing). Its side is measured from the brain's own midsagittal
    plane: "left" or "right" where two thirds of its volume lie there, "midline" where it crosses with more than a
    third on either side, or where its middle is within 3 mm of the plane. Its lobe is the atlas lobe that holds most
    of it; None where the brain could not be aligned with the MNI template well enough to tell.

    Args:
        labels: Uint8 (X, Y, Z) on the scan's grid: 0 background, 1 core, 2 oedema, 3 enhancing.
        scan: The scan.
        scores: Whole-tumour scores; a probability map gives each lesion's confidence.
        with_lobes: Whether to align the brain with the atlas; without, lobes are None.
        min_volume_ml: Smaller parts are left out.
        atlas: An atlas of your own; annofree's lobes where None.
        alignment: Gives the alignment with the MNI template where somebody has begun it already.
        regions: The regions that the labels tell apart; lesions state volumes of their parts, of the whole alone none.

    Returns:
        Lesions, largest first.

    Raises:
        InputError: The labels are not on the scan's grid.
    """
    if labels.shape != scan.shape:
        raise InputError(f"Labels of shape {labels.shape} are not on the grid {scan.shape} of scan '{scan.id}'")
    found = _components(labels, scan, min_volume_ml)
    if not found:
        return ()
    scores = None if scores is None else on_grid(scores, scan.grid)
    plane = plane_of(scan)
    aligned = (alignment or partial(register_to_mni, scan))() if with_lobes else None
    told = [label for region, label in NESTED if region in regions] if len(regions) > 1 else []
    return tuple(
        _describe(number + 1, voxels, labels, told, scan, scores, plane, aligned, atlas)
        for number, voxels in enumerate(found)
    )


def plane_of(scan: Scan) -> MidsagittalPlane:
    """The midsagittal plane of a scan's brain, in its array's mm; worked out once (`annofree.anatomy.symmetry`)."""
    image = scan.images[next(s for s in Modality if s in scan.images)]
    brain = scan.foreground()
    return scan.once("midsagittal plane", lambda: midsagittal_plane(image[None], brain, scan.spacing_mm))


def side_of(distance_mm: NDArray[Any]) -> Side:
    """The side of a lesion from its voxels' signed distances (N,) from the midsagittal plane, positive on the right.

    Example:
        >>> side_of(np.array([-30.0, -20.0, 5.0])), side_of(np.array([-8.0, -6.0, 7.0, 9.0]))
        ('left', 'midline')
    """
    right = float((distance_mm > 0).mean())
    if abs(float(np.mean(distance_mm))) < _PLANE_ERROR_MM:
        return "midline"
    if right >= _SIDE_SHARE:
        return "right"
    return "left" if 1.0 - right >= _SIDE_SHARE else "midline"


def _components(labels: NDArray[np.uint8], scan: Scan, min_volume_ml: float) -> list[NDArray[np.intp]]:
    """Voxels (N, 3) of each lesion that is large enough, largest first."""
    mask = labels > 0
    box = bounding_box(mask)
    if box is None:
        return []
    parts, count = components(mask[box])
    start = np.array([axis.start for axis in box])
    inside = np.argwhere(parts)
    owner = parts[tuple(inside.T)]
    order = np.argsort(owner, kind="stable")
    groups = np.split(inside[order] + start, np.cumsum(np.bincount(owner, minlength=count + 1)[1:])[:-1])
    kept = [group for group in groups if reaches(len(group), scan.voxel_ml, min_volume_ml)]
    return sorted(kept, key=len, reverse=True)


def _describe(
    index: int,
    voxels: NDArray[np.intp],
    labels: NDArray[np.uint8],
    told: Collection[int],
    scan: Scan,
    scores: ScoreMap | None,
    plane: MidsagittalPlane,
    alignment: Alignment | None,
    atlas: Atlas | None,
) -> Lesion:
    at = tuple(voxels.T)
    points = apply_affine(scan.affine, voxels)
    x, y, z = (float(value) for value in points.mean(axis=0))
    distance = (voxels * np.asarray(scan.spacing_mm)) @ np.asarray(plane.normal) - plane.offset_mm
    lobe = None
    if alignment is not None and alignment.trusted:
        lobe = _main_lobe(apply_affine(alignment.affine, points), atlas or default_atlas())
    confidence = None
    if scores is not None and scores.unit == "probability":
        confidence = float(np.clip(scores.values[at].mean(), 0.0, 1.0))
    counts = np.bincount(labels[at], minlength=len(LABEL_NAMES))
    volumes = {name: float(counts[k] * scan.voxel_ml) for k, name in LABEL_NAMES.items() if k in told}
    return Lesion(
        index=index,
        volume_ml=len(voxels) * scan.voxel_ml,
        centre_mm=(x, y, z),
        side=side_of(distance),
        lobe=lobe,
        confidence=confidence,
        label_ml=volumes,
    )


def _main_lobe(mni_mm: NDArray[np.float64], atlas: Atlas) -> str | None:
    """The lobe that holds most of the points; None where none lies in the brain."""
    lobes = atlas.describe_values(atlas.sample(mni_mm), mni_mm[:, 0])["lobes"]
    return next(iter(lobes), None)
