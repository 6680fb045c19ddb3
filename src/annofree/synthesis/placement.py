"""Where a published tumour may lie: a hemisphere, tissue that can be resected, grey matter, from the MNI template."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import ndimage

from annofree.errors import InputError
from annofree.grid import apply_affine
from annofree.masks import Mask, largest_component
from annofree.scan import Scan

Side = Literal["left", "right"]

#: Lobes that nobody resects, and those in whose grey matter no tumour is centred.
_NOT_RESECTED = ("Brainstem", "Cerebellum")
_NO_CENTRE = (*_NOT_RESECTED, "Deep grey", "Corpus callosum")
#: Bridges thinner than twice this are cut, and the surface is smoothed over so much, mm.
_OPENED_MM, _SMOOTHED_MM = 3.0, 2.0


@dataclass(frozen=True, eq=False)
class Tissue:
    """The tissue of a healthy scan, boolean (X, Y, Z) each, on the scan's grid.

    Attributes:
        left: The left half of the brain.
        right: The right half.
        resectable: Either hemisphere without cerebellum and brainstem.
        grey: Cerebral grey matter without the deep nuclei.
        white: White matter of what can be resected.
    """

    left: Mask
    right: Mask
    resectable: Mask
    grey: Mask
    white: Mask

    def half(self, side: Side) -> Mask:
        """The brain on one side."""
        return self.left if side == "left" else self.right


def tissue_of(scan: Scan) -> Tissue:
    """The tissue of a scan, by its affine to the MNI template and the template's tissue maps and lobes.

    Raises:
        InputError: The brain cannot be aligned with the template well enough.
    """
    from annofree.anatomy import default_atlas, register_to_mni, template

    found = register_to_mni(scan)
    if not found.trusted:
        raise InputError(
            f"Hemispheres and tissue of scan '{scan.id}' cannot be told",
            why=f"its brain does not fit the MNI template (overlap {found.overlap:.2f})",
            fix="Leave the settings hemisphere, centre, tissue and halo as they are, or give a whole upright brain",
        )
    brain = scan.foreground()
    inside = np.nonzero(brain)
    to_mni = found.affine @ scan.affine
    points = apply_affine(to_mni, np.stack(inside, axis=1))
    maps = template()
    from_mni = np.linalg.inv(maps.affine)
    where = apply_affine(from_mni, points).T
    grey, white, fluid = (ndimage.map_coordinates(m, where, order=1) for m in (maps.grey, maps.white, maps.csf))
    atlas = default_atlas()
    lobes = np.zeros(brain.shape, np.int32)
    lobes[inside] = atlas.sample(points)
    # what the template does not cover, such as a cortex that lies further out, belongs to what is near
    lobes = lobes[tuple(ndimage.distance_transform_edt(lobes == 0, return_distances=False, return_indices=True))]

    def on_grid(values: Mask) -> Mask:
        whole = np.zeros(brain.shape, bool)
        whole[inside] = values
        return whole

    def lying_in(names: tuple[str, ...]) -> Mask:
        return np.isin(lobes, [row.index for row in atlas.table if row.lobe in names])

    left = on_grid(points[:, 0] < 0)
    right = brain & ~left
    taken = brain & ~lying_in(_NOT_RESECTED)
    resectable = _smooth(taken & left, scan.spacing_mm) & left | _smooth(taken & right, scan.spacing_mm) & right
    return Tissue(
        left,
        right,
        resectable,
        on_grid((grey > white) & (grey > fluid)) & ~lying_in(_NO_CENTRE),
        on_grid((white > grey) & (white > fluid)) & resectable,
    )


def _smooth(mask: Mask, spacing_mm: tuple[float, float, float]) -> Mask:
    """Its largest part after thin bridges are cut, with a smooth surface."""
    padded = np.pad(mask, 1)
    core = largest_component(ndimage.distance_transform_edt(padded, sampling=spacing_mm) > _OPENED_MM, 6)
    opened = ndimage.distance_transform_edt(~core, sampling=spacing_mm) <= _OPENED_MM if core.any() else core
    sigma = _SMOOTHED_MM / np.asarray(spacing_mm)
    soft = ndimage.gaussian_filter(opened.astype(np.float32), sigma)
    return np.asarray(soft[1:-1, 1:-1, 1:-1] > 0.5)
