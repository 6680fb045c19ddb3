"""Whether an image repeats itself: stripes, ringing, ghosts of motion."""

from __future__ import annotations

from dataclasses import dataclass
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
    for axis in (0, 1):
        places = _Places.of(brain, axis)
        for sequence, image in scan.images.items():
            if places is not None and (found := places.repeated(image)) > worst:
                worst, where = found, sequence
    return Check.measured(
        "stripes",
        worst,
        (-inf, MOST_REPEATED),
        "largest autocorrelation of fine structure beyond 5 voxels, worst sequence",
        f"{where} repeats itself in stripes: motion, ringing or a disturbance of the scanner; look at the image",
    )


@dataclass(frozen=True, eq=False)
class _Places:
    """Rows along an axis on some axial slices of a brain.

    Attributes:
        axis: 0 or 1.
        slices: Their indices.
        rows: Which rows of those slices, (S, R), hold a voxel that counts.
        valid: Voxels of those rows, (N, L), that count: what their second differences need lies inside the brain.
        pairs: How many valid voxels lie at each distance from another one.
    """

    axis: int
    slices: NDArray[np.int_]
    rows: NDArray[np.bool_]
    valid: NDArray[np.bool_]
    pairs: NDArray[Any]

    @classmethod
    def of(cls, brain: NDArray[np.bool_], axis: int) -> _Places | None:
        """None where the rows are too short, or the brain too small."""
        height, length = brain.shape[2], brain.shape[axis]
        if length < 8 * _NEAREST_VOX:
            return None
        chosen = np.linspace(0.35 * height, 0.7 * height, _SHEETS).astype(int)
        inside = _rows(brain, chosen, axis)
        valid = np.zeros_like(inside)
        valid[..., 3:-3] = inside[..., 3:-3] & inside[..., :-6] & inside[..., 6:]
        rows: NDArray[np.bool_] = np.any(valid, axis=-1)
        if not rows.any():
            return None
        pairs = np.maximum(_autocorrelation(valid[rows].astype(np.float32)), 1.0)
        return cls(axis, chosen, rows, valid[rows], pairs)

    def repeated(self, image: NDArray[np.float32]) -> float:
        """Peak of the normalised autocorrelation of second differences along the axis."""
        sheets = _rows(image, self.slices, self.axis)[self.rows].astype(np.float32)
        fine = np.zeros_like(sheets)
        fine[..., 1:-1] = sheets[..., 1:-1] - 0.5 * (sheets[..., 2:] + sheets[..., :-2])
        limit = np.percentile(np.abs(fine[self.valid]), 98)
        repeated = _autocorrelation(np.clip(fine, -limit, limit) * self.valid) / self.pairs
        return float(np.abs(repeated[_NEAREST_VOX:]).max() / max(float(repeated[0]), 1e-12))


def _rows(volume: NDArray[Any], slices: NDArray[np.int_], axis: int) -> NDArray[Any]:
    return np.moveaxis(np.moveaxis(volume[:, :, slices], axis, -1), 1, 0)


def _autocorrelation(rows: NDArray[np.float32]) -> NDArray[Any]:
    """Summed over all rows (N, L), for distances up to a third of them."""
    length = rows.shape[-1]
    spectrum = (np.abs(fft.rfft(rows, 2 * length, axis=-1)) ** 2).sum(axis=0)
    return np.asarray(fft.irfft(spectrum)[: length // 3])
