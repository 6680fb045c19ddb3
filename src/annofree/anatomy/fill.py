"""Names for the voxels that an atlas leaves out: brainstem, corpus callosum, white matter, ventricles.

Cortical atlases label grey matter only, and most of a glioma is white matter.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from annofree.anatomy.regions import Region
from annofree.anatomy.template import template
from annofree.masks import components

BRAINSTEM = Region(1, "Brainstem", "midline", "Brainstem")
CALLOSUM = Region(2, "Corpus_callosum", "midline", "Corpus callosum")

#: Midbrain, pons and medulla as a chain of balls: MNI centre (x, y, z) and radius in mm, read off the template.
_BRAINSTEM_BALLS = (
    (0, -24, -8, 12),
    (0, -23, -16, 13),
    (0, -25, -26, 17),
    (0, -27, -35, 17),
    (0, -34, -46, 13),
    (0, -39, -56, 11),
    (0, -42, -66, 10),
)
_CALLOSUM_HALF_WIDTH_MM = 10.0
_DEEP_REACH_MM = 4.0
_STEP = 2


def fill_brain(labels: NDArray[np.int32], table: Iterable[Region]) -> NDArray[np.int32]:
    """Give every brain voxel of labels (X, Y, Z) on the template's grid, 0 where unknown, a label; 0 is outside.

    Labelled voxels keep theirs, unless a region of one side reaches across x = 0, where the symmetric template has its
    midline. Where the table has `BRAINSTEM` and `CALLOSUM`, unlabelled tissue there gets them. The rest takes the
    nearest label of its own side (or of an unpaired region), found on a 2 mm grid. White matter further than 4 mm from
    a deep grey nucleus takes the nearest other label, because the corona radiata belongs to the lobe that it serves.
    """
    brain, white, rows = template().brain, template().white, tuple(table)
    filled = np.where(brain, labels, np.int32(0)).astype(np.int32, copy=False)
    x_mm = template().affine[0, 3] + np.arange(brain.shape[0])
    halves: tuple[tuple[str | None, NDArray[np.bool_]], ...] = (("left", x_mm < 0), ("right", x_mm > 0))
    for side, columns in halves:
        of_this_side = _lookup(filled, [row for row in rows if row.side in (side, "midline")])
        filled[columns] = np.where(of_this_side[filled[columns]], filled[columns], 0)
    if BRAINSTEM in rows:
        filled[(filled == 0) & _brainstem(brain)] = BRAINSTEM.index
    if CALLOSUM in rows:
        _add_callosum(filled, white, x_mm)
    for side, columns in (*halves, (None, x_mm == 0)):
        seen = np.abs(x_mm) <= _STEP if side is None else columns
        usable = [row for row in rows if side is None or row.side in (side, "midline")]
        _fill_slab(filled, brain, white, seen, columns, usable)
    return filled


def _fill_slab(
    filled: NDArray[np.int32],
    brain: NDArray[np.bool_],
    white: NDArray[np.float32],
    seen: NDArray[np.bool_],
    columns: NDArray[np.bool_],
    rows: list[Region],
) -> None:
    """Fill the brain voxels of some columns of X from the labels in the columns seen, in place."""
    first, last = np.flatnonzero(seen)[[0, -1]]
    coarse = filled[first : last + 1 : _STEP, ::_STEP, ::_STEP]
    nearest = _nearest(coarse, white[first : last + 1 : _STEP, ::_STEP, ::_STEP] > 0.5, rows)
    own = np.flatnonzero(columns)
    shape = (len(own), *brain.shape[1:])
    picked = nearest[np.ix_(*((index // _STEP) for index in (own - first, np.arange(shape[1]), np.arange(shape[2]))))]
    slab = filled[columns]
    todo = brain[columns] & (slab == 0)
    slab[todo] = picked[todo]
    filled[columns] = slab


def _lookup(labels: NDArray[np.int32], rows: Iterable[Region]) -> NDArray[np.bool_]:
    """A table that says of each label value whether it is among the rows; background is."""
    rows = tuple(rows)
    table = np.zeros(max([int(labels.max()), *(row.index for row in rows)]) + 1, dtype=bool)
    table[[0, *(row.index for row in rows)]] = True
    return table


def _nearest(coarse: NDArray[np.int32], white: NDArray[np.bool_], rows: list[Region]) -> NDArray[np.int32]:
    """Nearest label of the given regions; white matter looks past deep grey that is not close."""
    seeds = np.where(_lookup(coarse, rows)[coarse], coarse, 0)
    out, distance = _nearest_seed(seeds)
    deep = _lookup(coarse, [row for row in rows if row.lobe == "Deep grey"])
    far = white & deep[out] & (distance * _STEP > _DEEP_REACH_MM)
    others = np.where(deep[seeds], 0, seeds)
    if far.any() and others.any():
        out = np.where(far, _nearest_seed(others)[0], out)
    return out


def _nearest_seed(seeds: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    if not seeds.any():
        return seeds, np.full(seeds.shape, np.inf)
    distance, index = ndimage.distance_transform_edt(seeds == 0, return_indices=True)
    return seeds[tuple(index)], distance


def _brainstem(brain: NDArray[np.bool_]) -> NDArray[np.bool_]:
    origin = template().affine[:3, 3]
    grids = np.ogrid[tuple(slice(0, n) for n in brain.shape)]
    x, y, z = (grid + start for grid, start in zip(grids, origin, strict=True))
    inside = np.zeros(brain.shape, dtype=bool)
    for cx, cy, cz, radius in _BRAINSTEM_BALLS:
        box = tuple(
            slice(int(max(0, c - o - radius)), int(c - o + radius + 1))
            for c, o in zip((cx, cy, cz), origin, strict=True)
        )
        inside[box] |= ((x[box[0]] - cx) ** 2 + (y[:, box[1]] - cy) ** 2 + (z[:, :, box[2]] - cz) ** 2) <= radius**2
    return inside & brain


def _add_callosum(filled: NDArray[np.int32], white: NDArray[np.float32], x_mm: NDArray[np.float64]) -> None:
    """White matter within 10 mm of the midline that hangs together through the midline plane, in place."""
    near = np.abs(x_mm) <= _CALLOSUM_HALF_WIDTH_MM
    slab = filled[near]
    parts, _ = components((white[near] > 0.5) & (slab == 0), 6)
    middle = parts[len(parts) // 2]
    sizes = np.bincount(middle[middle > 0])
    if sizes.size:
        slab[parts == int(np.argmax(sizes))] = CALLOSUM.index
        filled[near] = slab
