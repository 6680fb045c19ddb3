"""The brain's own midsagittal plane, and images mirrored across it.

The head is never quite straight in the scanner, so flipping an array is not mirroring a brain. The plane is found by
maximising the brain's similarity with its own mirror image (Prima, Ourselin and Ayache, IEEE TMI 21(2), 2002, doi
10.1109/42.993131), with a saturating cost, because a tumour is an asymmetry that must not pull the plane.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from annofree.anatomy.coarse import block_box, block_factor, block_mean
from annofree.errors import InputError
from annofree.intensity import robust_level
from annofree.masks import bounding_box

_COARSE_MM = 5.0
#: So many coarse voxels around the brain are looked at; the smoothing reaches less far.
_MARGIN_BLOCKS = 3
_POINTS = 2000
#: About so many voxels tell the level of a brain.
_SAMPLE = 60_000
_STARTS_DEG = (-14.0, 0.0, 14.0)
_MIN_BRAIN_VOXELS = 64
#: Degrees and mm.
_FIRST_STEP, _LAST_STEP = 4.0, 0.06


@dataclass(frozen=True)
class MidsagittalPlane:
    """The points `p` with `normal . p = offset_mm`, `p` being voxel index times spacing (array millimetres).

    Attributes:
        normal: Unit vector towards the right of the array (+X).
        offset_mm: Distance of the plane from voxel (0, 0, 0) along the normal.
        similarity: 1 where the brain equals its mirror image, 0 where nothing agrees.
    """

    normal: tuple[float, float, float]
    offset_mm: float
    similarity: float

    def reflection(self, spacing_mm: tuple[float, float, float]) -> NDArray[np.float64]:
        """The (4, 4) map from a voxel to the voxel that mirrors it; its own inverse."""
        n, spacing = np.asarray(self.normal), np.asarray(spacing_mm, dtype=float)
        reflect = np.eye(3) - 2.0 * np.outer(n, n)
        matrix = np.eye(4)
        matrix[:3, :3] = reflect * spacing[None, :] / spacing[:, None]
        matrix[:3, 3] = 2.0 * self.offset_mm * n / spacing
        return matrix

    def within(self, box: tuple[slice, slice, slice], spacing_mm: tuple[float, float, float]) -> MidsagittalPlane:
        """The same plane seen from the first voxel of a part of the array."""
        start = sum(n * axis.start * step for n, axis, step in zip(self.normal, box, spacing_mm, strict=True))
        return MidsagittalPlane(self.normal, self.offset_mm - float(start), self.similarity)


def midsagittal_plane(
    images: NDArray[np.float32], brain: NDArray[np.bool_], spacing_mm: tuple[float, float, float]
) -> MidsagittalPlane:
    """The plane across which a brain (X, Y, Z) looks most like itself on images (C, X, Y, Z), X to the right.

    Deterministic. Tilts of up to about 25 degrees are found.

    Raises:
        InputError: Shapes disagree.
    """
    if images.ndim != 4 or images.shape[1:] != brain.shape:
        raise InputError(
            f"Images of shape {images.shape} and a brain mask of shape {brain.shape} do not fit",
            why="images are (C, X, Y, Z) and the mask (X, Y, Z)",
        )
    spacing = np.asarray(spacing_mm, dtype=float)
    middle = (np.asarray(brain.shape) - 1) / 2.0 * spacing
    unknown = MidsagittalPlane((1.0, 0.0, 0.0), float(middle[0]), 0.0)
    if int(brain.sum()) < _MIN_BRAIN_VOXELS:
        return unknown
    coarse, step, corner = _coarse(images, brain, spacing)
    if not (coarse[0] > 0.5).any():  # a film of brain, thinner than the voxels that it is looked at in
        return unknown
    inside = np.argwhere(ndimage.binary_dilation(coarse[0] > 0.5)).astype(float)
    points = inside[:: max(1, len(inside) // _POINTS)] * step
    centre = np.argwhere(coarse[0] > 0.5).mean(axis=0) * step
    here = np.stack([_sample(channel, points, step) for channel in coarse])

    def cost(parameters: NDArray[np.float64]) -> float:
        normal, offset = _plane(parameters, centre)
        there = points - 2.0 * (points @ normal - offset)[:, None] * normal
        squared = sum((_sample(c, there, step) - h) ** 2 for c, h in zip(coarse, here, strict=True)) / len(coarse)
        return float(np.mean(squared / (squared + 0.25)))

    starts = [np.array([yaw, roll, 0.0]) for yaw in _STARTS_DEG for roll in _STARTS_DEG]
    best, least = _descend(cost, min(starts, key=cost))
    normal, offset = _plane(best, centre)
    x, y, z = (float(n) for n in normal)
    return MidsagittalPlane((x, y, z), float(offset + normal @ corner), float(np.clip(1.0 - least, 0.0, 1.0)))


def _descend(
    cost: Callable[[NDArray[np.float64]], float], start: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """The lowest point that steps along one parameter at a time lead to, and its cost.

    Pattern search (Hooke and Jeeves, JACM 8(2), 1961): steps are halved where none leads down. Loading the optimizers
    of scipy takes longer than the whole search.
    """
    best, least, step = start, cost(start), _FIRST_STEP
    while step >= _LAST_STEP:
        before = best
        for axis in range(len(start)):
            for tried in (best + step * np.eye(len(start))[axis], best - step * np.eye(len(start))[axis]):
                if (value := cost(tried)) < least:
                    best, least = tried, value
                    break
        if best is before:
            step /= 2.0
        elif (value := cost(2.0 * best - before)) < least:
            best, least = 2.0 * best - before, value
    return best, least


def mirrored(
    images: NDArray[np.float32],
    brain: NDArray[np.bool_],
    spacing_mm: tuple[float, float, float],
    plane: MidsagittalPlane | None = None,
) -> tuple[NDArray[np.float32], MidsagittalPlane]:
    """Images (C, X, Y, Z), in RAS+ order, reflected across the brain's own midsagittal plane, on their own grid.

    Voxel `v` holds what lies opposite `v` (linear interpolation); outside the brain, and where the opposite point lies
    outside the array, 0. The plane, found from the images where none is given, comes back with them.

    Example:
        >>> image = np.zeros((1, 9, 5, 5), np.float32); image[0, 1] = 1
        >>> plane = MidsagittalPlane((1.0, 0.0, 0.0), 4.0, 1.0)
        >>> there, _ = mirrored(image, np.ones((9, 5, 5), bool), (1.0, 1.0, 1.0), plane)
        >>> there[0, :, 0, 0].tolist()
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    """
    plane = plane or midsagittal_plane(images, brain, spacing_mm)
    out = np.zeros(images.shape, dtype=np.float32)
    box = bounding_box(brain)
    if box is None:
        return out, plane
    matrix = plane.reflection(spacing_mm)
    start = np.array([axis.start for axis in box], dtype=float)
    offset = matrix[:3, :3] @ start + matrix[:3, 3]
    for channel, target in zip(images, out, strict=True):
        patch = ndimage.affine_transform(
            np.asarray(channel, dtype=np.float32),
            matrix[:3, :3],
            offset,
            output_shape=tuple(axis.stop - axis.start for axis in box),
            order=1,
            mode="constant",
        )
        target[box] = np.where(brain[box], patch, 0.0)
    return out, plane


def _coarse(
    images: NDArray[np.float32], brain: NDArray[np.bool_], spacing: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
    """Brain mask (channel 0) and robustly scaled images in voxels of about 5 mm, their spacing and first centre."""
    factor = block_factor(spacing, _COARSE_MM)
    box = block_box(brain, factor, _MARGIN_BLOCKS)
    brain, images = brain[box], images[(slice(None), *box)]
    mask = block_mean(brain.astype(np.float32), factor)
    channels = [2.0 * mask]
    for image in images:
        inside = image[brain]
        middle, spread = robust_level(inside[:: max(1, inside.size // _SAMPLE)])
        scaled = np.where(brain, np.clip((image - middle) / spread, -3.0, 3.0), 0.0).astype(np.float32)
        averaged = block_mean(scaled, factor) / np.maximum(mask, 0.25)
        channels.append(ndimage.gaussian_filter(averaged, 0.6))
    stack = np.stack(channels)
    stack[0] = ndimage.gaussian_filter(stack[0], 0.6)
    return stack, spacing * factor, spacing * ([axis.start for axis in box] + (factor - 1) / 2.0)


def _sample(
    channel: NDArray[np.float32], points_mm: NDArray[np.float64], step: NDArray[np.float64]
) -> NDArray[np.float32]:
    return np.asarray(ndimage.map_coordinates(channel, (points_mm / step).T, order=1, mode="constant"))


def _plane(parameters: NDArray[np.float64], centre: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Normal and offset from (yaw in degrees, roll in degrees, shift in mm from the brain's centre)."""
    yaw, roll = np.deg2rad(parameters[:2])
    normal = np.array([np.cos(yaw) * np.cos(roll), np.sin(yaw) * np.cos(roll), np.sin(roll)])
    return normal, float(normal @ centre + parameters[2])
