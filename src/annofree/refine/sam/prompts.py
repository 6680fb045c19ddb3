"""Box and points for an outline in a slice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from annofree.masks import Mask


@dataclass(frozen=True)
class Prompt:
    """What SAM is told about one outline.

    Attributes:
        box: (2, 2) lowest and highest corner in voxels of the slice, a voxel's centre at a whole number.
        points: (P, 2) voxels.
        positive: (P,) inside the outline, or outside it.
    """

    box: NDArray[np.float64]
    points: NDArray[np.float64]
    positive: NDArray[np.bool_]


def prompt_for(
    outline: Mask,
    score: NDArray[np.float32],
    brain: Mask,
    anything: Mask,
    *,
    positives: int,
    negatives: int,
    margin_mm: float,
    around_mm: float,
    spacing_mm: tuple[float, float],
    rng: np.random.Generator,
) -> Prompt:
    """Box and points for one island of a mask in a slice; all arrays are (M, N).

    The box is the outline's, widened. Positive points are drawn from the better-scoring half of the outline's inner
    voxels; negative ones from the worse-scoring half of the brain around the box (up to `around_mm`) that no outline
    covers, `anything` being the whole mask; none where there is no room.
    """
    inside = np.argwhere(outline)
    low, high = inside.min(axis=0) - 0.5, inside.max(axis=0) + 0.5
    margin = margin_mm / np.asarray(spacing_mm)
    box = np.stack([low - margin, high + margin])

    inner = ndimage.binary_erosion(outline)
    points = _drawn(inner if inner.any() else outline, score, positives, rng, best=True)

    room = around_mm / np.asarray(spacing_mm)
    first, second = (np.arange(n) for n in outline.shape)
    near = (first >= box[0, 0] - room[0]) & (first <= box[1, 0] + room[0])
    close = near[:, None] & ((second >= box[0, 1] - room[1]) & (second <= box[1, 1] + room[1]))[None, :]
    outside = _drawn(close & brain & ~ndimage.binary_dilation(anything), score, negatives, rng, best=False)

    everything = np.concatenate([points, outside])
    return Prompt(box, everything.astype(float), np.arange(len(everything)) < len(points))


def _drawn(
    where: Mask, score: NDArray[np.float32], count: int, rng: np.random.Generator, *, best: bool
) -> NDArray[np.intp]:
    """Voxels from the better or worse half of a region, with repeats where it has too few; none of an empty one."""
    voxels = np.argwhere(where)
    if not len(voxels) or count == 0:
        return np.zeros((0, 2), dtype=np.intp)
    values = score[where]
    half = values >= np.median(values) if best else values <= np.median(values)
    chosen = voxels[half]
    return chosen[rng.choice(len(chosen), size=count, replace=len(chosen) < count)]
