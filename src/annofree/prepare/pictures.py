"""Small pictures of a preparation. Nothing beyond a rim around the brain is shown, so no face can be seen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from annofree.masks import bounding_box
from annofree.page import data_address

#: What is shown around the brain, and the height of a tile.
RIM_MM, _TILE_PX, _TILES = 8.0, 96, 6


def outline_picture(
    image: NDArray[np.float32], brain: NDArray[np.bool_], spacing_mm: tuple[float, float, float]
) -> str:
    """Axial slices of an image (X, Y, Z) through the brain with its outline in yellow, as a PNG data URI."""
    from PIL import Image
    from scipy import ndimage

    box = bounding_box(brain, [*(int(np.ceil(RIM_MM / spacing)) for spacing in spacing_mm[:2]), 0])
    if box is None:
        return ""
    levels = box[2].start + np.flatnonzero(brain[box].any(axis=(0, 1)))
    picks = levels[np.linspace(0, len(levels) - 1, _TILES + 2).round().astype(int)[1:-1]]
    low, high = np.quantile(image[brain][::7], (0.01, 0.99))
    shown = []
    for level in picks:
        inside = brain[box[:2]][:, :, level]
        grey = np.clip((image[box[:2]][:, :, level] - low) / max(float(high - low), 1e-6), 0, 1)
        near = ndimage.distance_transform_edt(~inside, sampling=spacing_mm[:2]) <= RIM_MM
        pixels = np.repeat((np.where(near, grey, 0) * 255).astype(np.uint8)[..., None], 3, axis=2)
        size = [
            max(1, round(n * s / (pixels.shape[1] * spacing_mm[1]) * _TILE_PX))
            for n, s in zip(pixels.shape, spacing_mm[:2], strict=False)
        ]
        picture = Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 0, 2)[::-1])).resize(size)
        mask = np.asarray(Image.fromarray(np.ascontiguousarray(inside.T[::-1])).resize(size))
        edge = mask & ~ndimage.binary_erosion(mask)
        coloured = np.array(picture)
        coloured[edge] = (255, 210, 0)
        shown.append(coloured)
    return data_address(Image.fromarray(np.concatenate(shown, axis=1)).quantize(48), optimize=True)
