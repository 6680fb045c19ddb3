"""The weak stage: masks from thresholds and morphology alone. Head or brain foreground in pictures, tumour in scans.

The published masks are the first kind and are called tumour there; figures show that they are brain and scalp. The
second kind is the step that was never taken: several Otsu levels inside the brain, of which the brightest is kept
where it is a finding of one side rather than a layer of tissue.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from annofree.errors import InputError
from annofree.inference.channels import mirror_x
from annofree.intensity import otsu_cut
from annofree.masks import SmoothingInside, components
from annofree.scan import Modality, Scan
from annofree.volumes import reaches

#: Where tumours are brightest first; T1C only shows what enhances and T1 shows tumours dark.
SEQUENCES = (Modality.FLAIR, Modality.T2)
_SQUARE = np.ones((5, 5), dtype=bool)
#: Numbers of Otsu classes that are tried, in order; the smoothing; the diameter of the ball.
_CLASSES, _SIGMA_MM, _OPEN_MM = (4, 5, 6), 1.5, 5.0
#: Smallest finding; share of a piece that may be bright on the other side too; share of the brain that it may fill.
_MIN_ML, _TWO_SIDED, _MAX_SHARE = 2.0, 0.5, 0.2


def foreground_mask(grey: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Head (or brain, after skull-stripping) foreground of a grey picture (H, W): Otsu, opening and closing.

    **No tumour mask**: whatever is brighter than the background.

    Raises:
        InputError: The picture has one grey level only.
    """
    if grey.min() == grey.max():
        raise InputError("A picture has one grey level everywhere", fix="Remove it from its class folder")
    levels, counts = np.unique(grey, return_counts=True)
    bright = grey > otsu_cut(counts, levels)
    # Beyond the picture's edge nothing is known: repeating the edge keeps a head that touches it whole.
    padded = np.pad(bright, 4, mode="edge")
    closed = ndimage.binary_closing(ndimage.binary_opening(padded, _SQUARE), _SQUARE)
    mask: NDArray[np.bool_] = closed[4:-4, 4:-4]
    return mask


def tumour_mask(scan: Scan, brain: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tumour pseudo-mask (X, Y, Z) of a scan: the one-sided pieces of the brightest of several Otsu classes.

    FLAIR (else T2) is smoothed and its grey levels inside the brain are cut into classes by multi-level Otsu (Liao,
    Chen and Chung 2001); the brightest class is opened and closed by a ball of 5 mm, so that nothing thinner than a
    gyrus stays. Four classes are fluid, the two tissues, and what is brighter. Where there is no bright tumour, the
    brightest is grey matter instead: a layer that both sides have. Pieces of which more than half is bright on the
    other side too (within the ball) are therefore dropped, and so are those that fill a fifth of the brain, because
    larger findings are rare; when none is left, one class more is tried. What stays is the mask. The outermost 3 mm
    of the brain, partial volume and vessels, are left out. It is empty where there is no such piece, as in tumours that
    are as dark as brain.

    Raises:
        MissingSequence: The scan has neither FLAIR nor T2.
    """
    sequence = next((s for s in SEQUENCES if s in scan.images), None)
    if sequence is None:
        scan.require(*SEQUENCES, why="the tumour pseudo-mask (one of the two is enough)")
    assert sequence is not None
    spacing = np.asarray(scan.spacing_mm)
    nothing = np.zeros(brain.shape, dtype=bool)
    smooth = SmoothingInside(brain, _SIGMA_MM, scan.spacing_mm, least=1e-6)(scan.images[sequence])
    depth = ndimage.distance_transform_edt(np.pad(brain, 1), sampling=spacing)[1:-1, 1:-1, 1:-1]
    deep = depth > 3.0
    levels = smooth[deep]
    if levels.size == 0 or np.ptp(levels) == 0:
        return nothing
    levels = np.clip(levels, *np.percentile(levels, (0.1, 99.9)))
    ball = _ball(_OPEN_MM / 2, spacing)
    counts, edges = np.histogram(levels, bins=64)
    for count in _CLASSES:
        bright = (smooth > otsu_cut(counts, (edges[:-1] + edges[1:]) / 2, count)) & deep
        healed = ndimage.binary_closing(ndimage.binary_opening(bright, ball), ball) & deep
        pieces, found = components(healed, 6)
        if found == 0:
            continue
        number = np.arange(1, found + 1)
        voxels = np.bincount(pieces.ravel(), minlength=found + 1)[1:]
        ml = voxels * scan.voxel_ml
        small = ~reaches(voxels, scan.voxel_ml, _MIN_ML)
        opposite = ndimage.binary_dilation(mirror_x(bright[None].astype(np.float32), brain)[0] > 0.5, ball)
        shared = np.asarray(ndimage.mean(opposite, pieces, number))
        ml[small | (ml > _MAX_SHARE * brain.sum() * scan.voxel_ml) | (shared > _TWO_SIDED)] = 0.0
        if ml.max() > 0:
            mask: NDArray[np.bool_] = ndimage.binary_fill_holes(np.isin(pieces, number[ml > 0]))
            return mask
    return nothing


def _ball(radius_mm: float, spacing_mm: NDArray[np.float64]) -> NDArray[np.bool_]:
    """A ball on an anisotropic grid; at least the 6-neighbour cross."""
    reach = np.maximum(1, np.floor(radius_mm / spacing_mm)).astype(int)
    axes = np.ogrid[tuple(slice(-r, r + 1) for r in reach)]
    distance = sum((axis * step) ** 2 for axis, step in zip(axes, spacing_mm, strict=True))
    return np.asarray(distance <= max(radius_mm, float(spacing_mm.max())) ** 2 + 1e-6)
