"""Slices of a volume as square upright pictures, and masks on such pictures back as slices."""

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
