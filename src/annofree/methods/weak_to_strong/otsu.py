"""The weak stage: masks from thresholds and morphology alone. Head or brain foreground in pictures, tumour in scans.

The published masks are the first kind and are called tumour there; figures show that they are brain and scalp. The
second kind is the step that was never taken: several Otsu levels inside the brain, of which the brightest is kept
where it is a compact finding rather than a layer of tissue.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from annofree.errors import InputError
from annofree.scan import Scan, Sequence

#: Where tumours are brightest first; T1C only shows what enhances and T1 shows tumours dark.
SEQUENCES = (Sequence.FLAIR, Sequence.T2)
_SQUARE = np.ones((5, 5), dtype=bool)


def foreground_mask(grey: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Head (or brain, after skull-stripping) foreground of a grey picture: Otsu, opening and closing with 5x5 ones.

    Args:
        grey: (H, W) grey levels.

    Returns:
        (H, W) boolean. **No tumour mask**: whatever is brighter than the background.

    Raises:
        InputError: The picture has one grey level only.
    """
    from skimage.filters import threshold_otsu

    if grey.min() == grey.max():
        raise InputError("A picture has one grey level everywhere", fix="Remove it from its class folder")
    bright = grey > threshold_otsu(grey)
    # Beyond the picture's edge nothing is known: repeating the edge keeps a head that touches it whole.
    padded = np.pad(bright, 4, mode="edge")
    closed = ndimage.binary_closing(ndimage.binary_opening(padded, _SQUARE), _SQUARE)
    mask: NDArray[np.bool_] = closed[4:-4, 4:-4]
    return mask


def tumour_mask(
    scan: Scan,
    brain: NDArray[np.bool_],
    *,
    classes: int = 4,
    sigma_mm: float = 1.5,
    open_mm: float = 5.0,
    min_ml: float = 2.0,
) -> NDArray[np.bool_]:
    """Tumour pseudo-mask of a scan: the brightest of several Otsu classes, opened, closed, its largest piece.

    FLAIR (else T2) is smoothed, its grey levels inside the brain are cut into classes by multi-level Otsu (Liao, Chen
    and Chung 2001), and the brightest class is kept. The brain's outermost 3 mm are left out, where partial volume and
    vessels lie. An opening by a ball of 5 mm across removes what is thinner than a gyrus, a closing of the same size
    heals the rest, and of the pieces only the largest stays, if it has at least 2 ml.

    Args:
        scan: With FLAIR or T2.
        brain: (X, Y, Z) boolean.
        classes: Number of Otsu classes: fluid, the two tissues, and what is brighter.
        sigma_mm: Smoothing.
        open_mm: Diameter of the ball.
        min_ml: Smallest volume that counts as a finding.

    Returns:
        (X, Y, Z) boolean; empty where nothing of that size is found.

    Raises:
        MissingSequence: The scan has neither FLAIR nor T2.
    """
    from skimage.filters import threshold_multiotsu

    sequence = next((s for s in SEQUENCES if s in scan.images), None)
    if sequence is None:
        scan.require(*SEQUENCES, why="the tumour pseudo-mask (one of the two is enough)")
    assert sequence is not None
    image = scan.images[sequence]
    spacing = np.asarray(scan.spacing_mm)
    inside = brain.astype(np.float32)
    sigma = sigma_mm / spacing
    # Normalised convolution: the dark outside does not darken the brain's edge.
    weight = ndimage.gaussian_filter(inside, sigma)
    smooth = ndimage.gaussian_filter(image * inside, sigma) / np.maximum(weight, 1e-6)
    depth = ndimage.distance_transform_edt(np.pad(brain, 1), sampling=spacing)[1:-1, 1:-1, 1:-1]
    deep = depth > 3.0
    levels = smooth[deep]
    if levels.size == 0 or np.ptp(levels) == 0:
        return np.zeros(brain.shape, dtype=bool)
    low, high = np.percentile(levels, (0.1, 99.9))
    threshold = threshold_multiotsu(np.clip(levels, low, high), classes=classes, nbins=128)[-1]
    bright = (smooth > threshold) & deep
    ball = _ball(open_mm / 2, spacing)
    healed = ndimage.binary_closing(ndimage.binary_opening(bright, ball), ball) & deep
    pieces, count = ndimage.label(healed)
    if count == 0:
        return np.zeros(brain.shape, dtype=bool)
    sizes = np.bincount(pieces.ravel())[1:]
    if sizes.max() * scan.voxel_ml < min_ml:
        return np.zeros(brain.shape, dtype=bool)
    mask: NDArray[np.bool_] = ndimage.binary_fill_holes(pieces == 1 + int(sizes.argmax()))
    return mask


def _ball(radius_mm: float, spacing_mm: NDArray[np.float64]) -> NDArray[np.bool_]:
    """A ball on an anisotropic grid; at least the 6-neighbour cross."""
    reach = np.maximum(1, np.floor(radius_mm / spacing_mm)).astype(int)
    axes = np.ogrid[tuple(slice(-r, r + 1) for r in reach)]
    distance = sum((axis * step) ** 2 for axis, step in zip(axes, spacing_mm, strict=True))
    return np.asarray(distance <= max(radius_mm, float(spacing_mm.max())) ** 2 + 1e-6)
