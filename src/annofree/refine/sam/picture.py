"""Slices of a volume as square upright pictures with their prompts, and masks on such pictures back as slices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from annofree.masks import Box, Mask

#: Room around the brain in a picture, as a share of its extent.
_ROOM = 0.05


@dataclass(frozen=True)
class Plane:
    """One set of parallel slices and how they become pictures.

    A picture is square in mm, whatever the voxels: its first row is the top (superior or anterior), its columns run
    from low to high along the slice's first axis.

    Attributes:
        axis: Of the volume, across the slices: 0 sagittal, 1 coronal, 2 axial.
        start_vox: First voxel of the brain's box along the slice's two axes.
        size_vox: Voxels of the box along them.
        spacing_mm: Voxel size along them.
        side_mm: Side of the picture.
        pixels: Side of the picture.
    """

    axis: int
    start_vox: tuple[int, int]
    size_vox: tuple[int, int]
    spacing_mm: tuple[float, float]
    side_mm: float
    pixels: int

    @classmethod
    def across(cls, axis: int, box: Box, spacing_mm: tuple[float, float, float], pixels: int) -> Plane:
        """The slices across an axis, cut to a box that holds the brain."""
        first, second = (a for a in range(3) if a != axis)
        start = box[first].start, box[second].start
        size = box[first].stop - start[0], box[second].stop - start[1]
        spacing = spacing_mm[first], spacing_mm[second]
        side = max(n * mm for n, mm in zip(size, spacing, strict=True)) * (1 + 2 * _ROOM)
        return cls(axis, start, size, spacing, side, pixels)

    def cut(self, volume: NDArray[np.generic], index: int) -> NDArray[np.generic]:
        """Slice `index` of a volume, cut to the box."""
        (a, b), (m, n) = self.start_vox, self.size_vox
        part: NDArray[np.generic] = np.take(volume, index, axis=self.axis)[a : a + m, b : b + n]
        return part

    def paste(self, volume: Mask, index: int, part: Mask) -> None:
        """Put a slice that `cut` gave the shape of back into a volume."""
        (a, b), (m, n) = self.start_vox, self.size_vox
        where: list[slice | int] = [slice(a, a + m), slice(b, b + n)]
        where.insert(self.axis, index)
        volume[tuple(where)] = part

    def shares(self, voxels: NDArray[np.floating]) -> NDArray[np.float32]:
        """Positions (..., 2) in voxels of the cut slice, a voxel's centre at a whole number, as shares of the picture.

        Returns:
            (..., 2) x from the left and y from the top, 0 to 1.
        """
        mm = (voxels - (np.array(self.size_vox) - 1) / 2) * np.array(self.spacing_mm)
        x, y = 0.5 + mm[..., 0] / self.side_mm, 0.5 - mm[..., 1] / self.side_mm
        return np.stack([x, y], axis=-1).astype(np.float32)

    def picture(self, part: NDArray[np.floating]) -> NDArray[np.uint8]:
        """A cut slice with levels 0 to 1 as a picture of grey levels, black where there is none."""
        step = self.side_mm / self.pixels
        centres = (np.arange(self.pixels) + 0.5) * step - self.side_mm / 2
        first = centres / self.spacing_mm[0] + (self.size_vox[0] - 1) / 2
        second = -centres / self.spacing_mm[1] + (self.size_vox[1] - 1) / 2
        grid = np.meshgrid(first, second)
        levels = ndimage.map_coordinates(part.astype(np.float32), grid, order=1, mode="constant", cval=0.0)
        grey: NDArray[np.uint8] = np.rint(np.clip(levels, 0.0, 1.0) * 255).astype(np.uint8)
        return grey

    def back(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits (s, s) over the whole picture at the voxels of the cut slice."""
        m, n = self.size_vox
        indices = np.stack(np.meshgrid(np.arange(m), np.arange(n), indexing="ij"), axis=-1).astype(float)
        shares = self.shares(indices) * logits.shape[-1] - 0.5
        found: NDArray[np.float32] = ndimage.map_coordinates(
            logits, [shares[..., 1], shares[..., 0]], order=1, mode="nearest"
        )
        return found


def grey_levels(image: NDArray[np.float32], brain: Mask) -> NDArray[np.float32]:
    """An image on 0 to 1: the brain's 0.5th percentile to its 99.5th, 0 outside the brain."""
    low, high = np.percentile(image[brain], (0.5, 99.5))
    levels: NDArray[np.float32] = np.clip((image - low) / max(float(high - low), 1e-6), 0.0, 1.0).astype(np.float32)
    return np.where(brain, levels, np.float32(0.0))


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
