"""A scan as the autoencoder sees it: axial slices of fixed size around the brain, robust z, and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.intensity import Normalisation
from annofree.masks import Mask
from annofree.prepare.resample import back, to_spacing
from annofree.scan import Grid, Modality, Scan

#: Robust z beyond this is cut: one bright voxel shall not decide a loss.
CLIP = 8.0

Map = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Frame:
    """Slices of one scan.

    Attributes:
        images: (4, Z, X, Y) float32 robust z in the order T1, T1C, T2, FLAIR; 0 outside the brain and where absent.
        brain: (Z, X, Y) boolean.
        height: (Z,) float32, height of each slice in the brain, about -1 to 1.
        present: (4,) boolean, which sequences are there.
        grid: The grid that the slices were cut from.
        start: Index in that grid of the frame's first voxel, (x, y, z); may be negative.
    """

    images: Map
    brain: Mask
    height: Map
    present: Mask
    grid: Grid
    start: tuple[int, int, int]

    def to_grid(self, values: Map) -> Map:
        """Slices (Z, X, Y) on the grid that they were cut from, 0 beyond the frame."""
        out = np.zeros(self.grid.shape, dtype=np.float32)
        inside, there = [], []
        for start, size, limit in zip(self.start, np.asarray(values.shape)[[1, 2, 0]], self.grid.shape, strict=True):
            low, high = max(0, start), min(limit, start + int(size))
            there.append(slice(low, high))
            inside.append(slice(low - start, high - start))
        out[tuple(there)] = values.transpose(1, 2, 0)[tuple(inside)]
        return out

    def to_scan(self, values: Map, scan: Scan) -> Map:
        """Slices (Z, X, Y) on the scan's own grid, linearly."""
        placed = self.to_grid(values)
        return placed if self.grid.same_as(scan.grid) else back(placed, self.grid, scan.grid)


def frame(
    scan: Scan, size: tuple[int, int], spacing_mm: float, clip: float = CLIP
) -> tuple[Frame, dict[Modality, Normalisation]]:
    """Cut a scan with its brain mask into slices, and the normalisation of each sequence.

    The slices are `spacing_mm` wide and thick; a brain that is larger than the frame is seen at a coarser spacing.
    `size` is a slice in voxels, left-right and back-front; robust z beyond `clip` is cut.

    Raises:
        InputError: The scan has no brain, or a sequence has no contrast in it.
    """
    assert scan.brain is not None
    points = np.argwhere(scan.brain)
    if not len(points):
        raise InputError(f"Scan '{scan.id}' has no brain", fix="Give a brain mask with --brain-mask")
    extent = (np.ptp(points, axis=0) + 1) * scan.spacing_mm
    coarse = to_spacing(scan, max(spacing_mm, extent[0] / (size[0] - 2), extent[1] / (size[1] - 2)))
    brain = coarse.brain
    assert brain is not None
    points = np.argwhere(brain)
    if not len(points):
        raise InputError(f"The brain of scan '{scan.id}' vanishes at {spacing_mm:g} mm", fix="Give the whole volume")
    low, high = points.min(axis=0), points.max(axis=0) + 1
    middle = (low + high) / 2
    start = (int(np.floor(middle[0] - size[0] / 2)), int(np.floor(middle[1] - size[1] / 2)), int(low[2]))
    rules = {s: Normalisation.fit(image, brain) for s, image in coarse.images.items()}
    shape = (int(high[2] - low[2]), *size)
    images = np.zeros((len(Modality), *shape), dtype=np.float32)
    for channel, sequence in enumerate(Modality):
        if sequence in rules:
            z = np.clip(rules[sequence](coarse.images[sequence]), -clip, clip) * brain
            images[channel] = _cut(z, start, shape)
    cut = _cut(brain, start, shape)
    count = cut.sum(axis=(1, 2)).astype(np.float64)
    line = np.arange(len(count))
    centre = (line * count).sum() / count.sum()
    spread = max(1.0, float(np.sqrt(((line - centre) ** 2 * count).sum() / count.sum())))
    height = ((line - centre) / (2.0 * spread)).astype(np.float32)
    present = np.array([s in rules for s in Modality])
    return Frame(images, cut, height, present, coarse.grid, start), rules


def _cut(volume: NDArray[Any], start: tuple[int, int, int], shape: tuple[int, int, int]) -> NDArray[Any]:
    out = np.zeros(shape, dtype=volume.dtype)
    slices = [slice(max(0, s), s + n) for s, n in zip(start, (shape[1], shape[2], shape[0]), strict=True)]
    part = volume[tuple(slices)].transpose(2, 0, 1)
    x, y = max(0, -start[0]), max(0, -start[1])
    out[:, x : x + part.shape[1], y : y + part.shape[2]] = part
    return out
