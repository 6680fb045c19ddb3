"""Whether an image repeats itself: stripes, ringing, ghosts of motion."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np
from numpy import fft
from numpy.typing import NDArray

from annofree.trust.check import Check
from annofree.trust.view import View

#: Largest autocorrelation of the fine structure that is usual (49 real scans: 0.26 and 0.16 at most).
MOST_REPEATED = 0.28
#: Structure repeats at no less than so many voxels' distance; nearer than that everything is alike.
_NEAREST_VOX = 5
_SHEETS = 8


def repetition(view: View) -> Check:
    """How much fine structure comes again at a fixed distance along an axis, in the worst sequence."""
    scan = view.scan
    brain = scan.foreground()
    worst, where = 0.0, next(iter(scan.images))
    for sequence, image in scan.images.items():
        for axis in (0, 1):
            if (found := _repeated(image, brain, axis)) > worst:
                worst, where = found, sequence
    return Check.measured(
        "stripes",
        worst,
        (-inf, MOST_REPEATED),
        "largest autocorrelation of fine structure beyond 5 voxels, worst sequence",
        f"{where} repeats itself in stripes: motion, ringing or a disturbance of the scanner; look at the image",
    )


def _repeated(image: NDArray[np.float32], brain: NDArray[np.bool_], axis: int) -> float:
    """Peak of the normalised autocorrelation of second differences along an axis, on some axial slices."""
    height = image.shape[2]
    chosen = np.linspace(0.35 * height, 0.7 * height, _SHEETS).astype(int)
    sheets = np.moveaxis(image[:, :, chosen], axis, -1).astype(np.float32)
    inside = np.moveaxis(brain[:, :, chosen], axis, -1)
    length = sheets.shape[-1]
    if length < 8 * _NEAREST_VOX:
        return 0.0
    fine = np.zeros_like(sheets)
    fine[..., 1:-1] = sheets[..., 1:-1] - 0.5 * (sheets[..., 2:] + sheets[..., :-2])
    valid = np.zeros_like(inside)
    valid[..., 3:-3] = inside[..., 3:-3] & inside[..., :-6] & inside[..., 6:]
    if not valid.any():
        return 0.0
    limit = np.percentile(np.abs(fine[valid]), 98)
    fine = np.clip(fine, -limit, limit) * valid
    repeated = _autocorrelation(fine, length) / np.maximum(_autocorrelation(valid.astype(np.float32), length), 1.0)
    return float(np.abs(repeated[_NEAREST_VOX:]).max() / max(float(repeated[0]), 1e-12))


def _autocorrelation(rows: NDArray[np.float32], length: int) -> NDArray[Any]:
    """Summed over all rows, for distances up to a third of them."""
    spectrum = (np.abs(fft.rfft(rows, 2 * length, axis=-1)) ** 2).sum(axis=(0, 1))
    return np.asarray(fft.irfft(spectrum)[: length // 3])
