"""The tumour core once enhancing tumour is known: what that encloses, and what a reader can tell from oedema."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from annofree.borders import BORDERS
from annofree.grid import shared_part
from annofree.masks import away_mm, bounding_box, components, margin_for
from annofree.refine.appearance import Appearance
from annofree.refine.base import RefineContext
from annofree.refine.mirror import MirrorFilter
from annofree.scan import Modality, Scan
from annofree.volumes import reaches

#: Enhancing tumour of at least this volume says where the core is, if what it surrounds, itself included, is at least
#: this share of the networks' core. A rim surrounds its core; a nodule within it surrounds little but itself.
TELLING_ML = 0.5
TELLING_SHARE = 0.2
#: Gaps in enhancing tumour up to twice this width are closed, mm; what is then enclosed is core.
CLOSING_MM = 6.0
#: Parts of enhancing tumour that are smaller are vessels or noise, ml: they enclose nothing.
LEAST_PART_ML = 0.1
#: What loses more than this share of its view to enhancing tumour lies inside it. Outside of a convex surface it is at
#: most half, however near; the rest is for surfaces that are not.
AROUND = 0.65
#: Probability from which the networks' core is believed beyond what enhancing tumour encloses, where it can be told.
SURE_CORE = 0.8
#: From this volume on a note says how much of the networks' core is not believed, ml.
WORTH_SAYING_ML = 1.0
#: A part of the core is compared with the oedema so near to it, mm, as a reader compares what lies side by side.
NEAR_MM = 6.0
#: Least number of voxels that have a median worth comparing.
LEAST = 30
#: Score by which a part that is taken or doubted stays above or below one half.
NEGLIGIBLE = 0.01
#: How the border between core and oedema is drawn where enhancement does not tell it. Around a core lie oedema and the
#: hem of brain that networks call with it: two kinds. Where images say nothing the networks keep their word.
BORDER = Appearance(gap_mm=2.0, weight=0.25, even=0.5, certain_below=0.3, healthy_kinds=2)
#: Share of a finding from which it has a core. Whether it has one decides what `mirror` does with it.
HAS_CORE = MirrorFilter().core
#: Sequences that show core without enhancement. What contrast agent shows is enhancing tumour.
NATIVE = (Modality.T1, Modality.T2, Modality.FLAIR)


def core_around(
    core: NDArray[np.float32],
    whole: NDArray[np.bool_],
    enhancing: NDArray[np.bool_],
    scan: Scan,
    normal: Mapping[Modality, tuple[float, float]],
    notes: list[str] | None = None,
) -> NDArray[np.float32]:
    """Probability of the core once enhancing tumour is known, (X, Y, Z).

    Where tumour enhances, its core is what the enhancement encloses. Beyond that the networks' core counts only where
    they are sure, so that `SURE_CORE` becomes one half, and where it can be told from the oedema beside it: a made core
    is there whether or not anybody sees it. Without telling enhancement it is `drawn_core`. `normal` has middle and
    spread of healthy brain in each sequence of `NATIVE` that the scan has. `notes` is told how much of the networks'
    core enhancement speaks against.
    """
    if int(enhancing.sum()) * scan.voxel_ml < TELLING_ML:
        return drawn_core(core, whole, scan)
    inside = enclosed(enhancing, scan.spacing_mm)
    if int(inside.sum()) < TELLING_SHARE * int((core > 0.5).sum()):
        return drawn_core(core, whole, scan)
    doubted = core * np.float32(0.5 / SURE_CORE)
    beyond = (core >= SURE_CORE) & ~inside
    believed = np.where(beyond, np.float32(0.5 - NEGLIGIBLE), doubted)
    believed[inside] = 1.0
    box = bounding_box(beyond, margin_for(NEAR_MM, scan.spacing_mm))
    if box is not None:
        oedema = (whole & ~inside & ~enhancing)[box] & ~beyond[box]
        images = {modality: scan.images[modality][box] for modality in normal}
        told = told_from_oedema(beyond[box], oedema, images, normal, scan.spacing_mm)
        believed[box][told] = 0.5 + 0.5 * (core[box][told] - SURE_CORE) / (1 - SURE_CORE)
    doubted_ml = float(((core > 0.5) & whole & (believed <= 0.5)).sum()) * scan.voxel_ml
    if notes is not None and doubted_ml >= WORTH_SAYING_ML:
        notes.append(
            f"The core may be {doubted_ml:.0f} ml larger: the network takes so much more for it, but nothing enhances "
            "around that and it may be oedema"
        )
    return believed


def drawn_core(core: NDArray[np.float32], whole: NDArray[np.bool_], scan: Scan) -> NDArray[np.float32]:
    """Probability of the core with one half at the border that this scan's own images show, (X, Y, Z).

    What `annofree.refine.appearance` does for the whole tumour in the brain is done for the core in each finding: a
    network that never saw this tumour finds its core and may miss most of it. A finding that is too small to show
    both keeps the networks' word, and so does one that would gain or lose its core (`HAS_CORE`).
    """
    drawn = core.copy()
    findings, _ = components(whole)
    for finding, box in enumerate(ndimage.find_objects(findings), 1):
        within, given = findings[box] == finding, core[box]
        called, needed = within & (given > 0.5), HAS_CORE * within.sum()
        if called.sum() < needed:
            continue
        images = {modality: image[box] for modality, image in scan.images.items()}
        found = BORDER.apply(called, RefineContext(given, within, scan.spacing_mm, images, region="TC")) & within
        if found.sum() < needed:
            continue
        drawn[box][within & found] = np.maximum(given, 0.5 + NEGLIGIBLE)[within & found]
        drawn[box][within & ~found] = np.minimum(given, 0.5 - NEGLIGIBLE)[within & ~found]
    return drawn


def told_from_oedema(
    core: NDArray[np.bool_],
    oedema: NDArray[np.bool_],
    images: Mapping[Modality, NDArray[np.float32]],
    normal: Mapping[Modality, tuple[float, float]],
    spacing_mm: tuple[float, float, float],
) -> NDArray[np.bool_]:
    """Parts of the core that a reader can tell from the oedema beside them, (X, Y, Z).

    A part can be told where, in one sequence, its median differs from that of the oedema within `NEAR_MM` by more than
    the oedema itself varies and a reader needs (`annofree.borders`; as a share of what the lesion differs from healthy
    brain; `normal` has its middle and spread). A part with no oedema beside it can be told, one of a few voxels
    cannot.
    """
    parts, count = components(core)
    sizes = np.bincount(parts[core], minlength=count + 1)[1:]
    # voxels at an edge hold a bit of either side
    eroded = ndimage.binary_erosion(core)
    thin = np.append(False, np.bincount(parts[eroded], minlength=count + 1)[1:] < LEAST)
    inner = core & (eroded | thin[parts])
    # of the oedema's voxels: the part that is nearest, 0 where none is near, and whether they lie clear of it
    nearest = ndimage.distance_transform_edt(~core, sampling=spacing_mm, return_distances=False, return_indices=True)
    places = np.argwhere(oedema).T
    closest = nearest[(slice(None), *places)]
    away = np.sqrt((((closest - places) * np.asarray(spacing_mm)[:, None]) ** 2).sum(axis=0))
    beside = np.where(away <= NEAR_MM, parts[tuple(closest)], 0)
    clear = np.where(ndimage.binary_erosion(oedema)[tuple(places)] & (away > max(spacing_mm)), beside, 0)
    few = np.append(True, np.bincount(clear, minlength=count + 1)[1:] < LEAST)
    beside = np.where(few[beside], beside, clear)
    alone = np.bincount(beside, minlength=count + 1)[1:] < LEAST
    seen = np.zeros(count, dtype=bool)
    for modality, image in images.items():
        middle, spread = normal[modality]
        here = _medians(image[inner], parts[inner], count)
        outside = image[tuple(places)]
        there = np.where(alone, 0.0, _medians(outside, beside, count))
        strays = np.abs(outside - np.append(0.0, there)[beside])
        varies = 1.4826 * np.where(alone, 0.0, _medians(strays, beside, count))
        lesion = np.maximum(np.maximum(np.abs(here - middle), np.abs(there - middle)), 2.0 * spread)
        seen |= np.abs(here - there) > BORDERS["visible"].whole * lesion + varies
    told = np.append(False, (seen | alone) & (sizes >= LEAST))
    return np.asarray(told[parts])


def _medians(values: NDArray[np.floating], owner: NDArray[np.integer], count: int) -> NDArray[np.floating]:
    """Median of the values (N,) of each owner 1 to count, 0 where it has none."""
    order = np.argsort(owner, kind="stable")
    ends = np.cumsum(np.bincount(owner, minlength=count + 1))
    groups = np.split(values[order], ends[:-1])[1:]
    return np.array([np.median(group) if group.size else 0.0 for group in groups])


def enclosed(enhancing: NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> NDArray[np.bool_]:
    """Enhancing tumour with its gaps closed and with what lies inside it, (X, Y, Z).

    Rims are broken and end at slices, so holes do not show what lies inside. What counts is how much of its view a
    voxel loses to enhancing tumour: more than `AROUND` of the 26 directions of the grid. Parts of less than
    `LEAST_PART_ML` enclose nothing.
    """
    parts, count = components(enhancing)
    voxels = np.bincount(parts.ravel(), minlength=count + 1)
    rim = enhancing & reaches(voxels, float(np.prod(spacing_mm)) / 1000.0, LEAST_PART_ML)[parts]
    box = bounding_box(rim, margin_for(CLOSING_MM, spacing_mm))
    out = enhancing.copy()
    if box is None:
        return out
    padded = np.pad(rim[box], 2)
    grown = away_mm(padded, spacing_mm) <= CLOSING_MM
    # beyond the array the lesion is taken to go on: closing must not eat what touches the border
    closed = away_mm(~grown, spacing_mm)
    solid = (closed > CLOSING_MM) & grown | padded
    out[box] |= (solid | (surrounded(solid) > AROUND))[2:-2, 2:-2, 2:-2]
    return out


def surrounded(solid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Share of the 26 directions of the grid in which each voxel meets the mask, itself included, (X, Y, Z)."""
    meetings = np.zeros(solid.shape, dtype=np.float32)
    directions = [step for step in product((-1, 0, 1), repeat=3) if any(step)]
    for step in directions:
        axis = next(axis for axis in range(3) if step[axis])
        across = step[:axis] + step[axis + 1 :]
        meets = solid.copy()
        planes = np.moveaxis(meets, axis, 0)
        ahead, here = shared_part(across, planes.shape[1:], planes.shape[1:])
        # from the far end on, each plane takes over what the plane ahead of it meets
        order = range(len(planes) - 2, -1, -1) if step[axis] > 0 else range(1, len(planes))
        for place in order:
            planes[place][here] |= planes[place + step[axis]][ahead]
        meetings += meets
    return meetings / np.float32(len(directions))
