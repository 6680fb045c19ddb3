"""Whether the head moved while lines of k-space were taken: ghosts along the phase-encoding axis, inside the brain.

What motion puts outside of the head is gone in a stripped scan. Inside, each edge comes again along the phase-encoding
axis, weakly and at many distances, so that places without structure vary more along that axis than across it.
"""

from __future__ import annotations

from math import inf

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from annofree.masks import bounding_box, margin_for
from annofree.trust.check import Check
from annofree.trust.view import View

#: Logarithm of variation from front to back over that from side to side, at quiet places; brains lie below 0, since
#: they are longer than wide (35 real scans of four sequences: -0.27 to -0.11; 42 phantoms: -0.21 to -0.07).
MOST_ALONG = -0.06
#: One sequence or two vary too much by themselves.
_LEAST_SEQUENCES = 3
#: Distance over which grey levels are compared, edge of the places looked at, and their depth below the surface, mm.
_LAG_MM, _PLACE_MM, _DEEP_MM = 6.0, 14.0, 12.0
#: Share of the places, those with the least structure.
_QUIET = 0.3
#: Slices no closer than this, mm; slices whose brain is smaller than this part of the largest are left out.
_EVERY_MM, _LEAST_AREA = 6.0, 0.4
#: Fewer voxels say nothing.
_FEWEST = 500


def motion(view: View) -> Check | None:
    """How much more quiet places vary from front to back than from side to side, mean of three sequences or more.

    Motion with phase encoding from side to side lowers the number, within what is usual: it is not found.
    """
    scan = view.scan
    if len(scan.images) < _LEAST_SEQUENCES:
        return None
    x, y, z = scan.spacing_mm
    # a deep voxel's neighbours, as far as they are looked at, lie hardly beyond the brain
    box = bounding_box(scan.foreground(), margin_for(_LAG_MM + _PLACE_MM, (x, y, z)))
    assert box is not None
    brain = scan.foreground()[box]
    area = brain.sum(axis=(0, 1))
    chosen = np.flatnonzero(area > _LEAST_AREA * area.max())[:: max(1, round(_EVERY_MM / z))]
    inside = np.pad(brain[:, :, chosen], ((1, 1), (1, 1), (0, 0)))
    sheets = range(inside.shape[2])
    depth = [ndimage.distance_transform_edt(inside[:, :, sheet], sampling=(x, y))[1:-1, 1:-1] for sheet in sheets]
    deep = np.stack(depth, axis=-1) > _DEEP_MM
    if np.count_nonzero(deep) < _FEWEST:
        return None
    found = [_along(image[box][:, :, chosen], deep, (x, y)) for image in scan.images.values()]
    return Check.measured(
        "motion",
        float(np.mean(found)),
        (-inf, MOST_ALONG),
        "logarithm of variation from front to back over that from side to side, at quiet places of the brain",
        "quiet places vary from front to back as they do when the head moves during the scan; look at the images",
    )


def _along(sheets: NDArray[np.float32], deep: NDArray[np.bool_], spacing_mm: tuple[float, float]) -> float:
    """The same for one sequence on some axial slices (X, Y, S)."""
    size = [max(3, round(_PLACE_MM / edge)) for edge in spacing_mm]
    across, along = (
        ndimage.uniform_filter(_fine(sheets, axis, max(1, round(_LAG_MM / spacing_mm[axis]))), (*size, 1))[deep]
        for axis in (0, 1)
    )
    total = across + along
    quiet = total < np.quantile(total, _QUIET)
    tiny = 1e-6 * float(total.max()) + 1e-12
    return float(np.median(np.log((along[quiet] + tiny) / (across[quiet] + tiny)))) if quiet.any() else 0.0


def _fine(sheets: NDArray[np.float32], axis: int, lag: int) -> NDArray[np.float32]:
    """Absolute second differences along an axis, over a lag in voxels."""
    near = 0.5 * (np.roll(sheets, lag, axis) + np.roll(sheets, -lag, axis))
    return np.abs(sheets.astype(np.float32) - near.astype(np.float32))
