"""Small pictures of a preparation. Nothing beyond a rim around the brain is shown, so no face can be seen."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray

#: What is shown around the brain, and the height of a tile.
RIM_MM, _TILE_PX, _TILES = 8.0, 96, 6


def outline_picture(
    image: NDArray[np.float32], brain: NDArray[np.bool_], spacing_mm: tuple[float, float, float], tiles: int = _TILES
) -> str:
    """Axial slices through the brain with its outline in yellow, as a PNG data URI.

    Args:
        image: (X, Y, Z).
        brain: (X, Y, Z).
        spacing_mm: Voxel edges.
        tiles: Slices shown.
    """
    from PIL import Image
    from scipy import ndimage

    levels = np.flatnonzero(brain.any(axis=(0, 1)))
    if not len(levels):
        return ""
    picks = levels[np.linspace(0, len(levels) - 1, tiles + 2).round().astype(int)[1:-1]]
    columns = [np.flatnonzero(brain.any(axis=tuple(a for a in range(3) if a != axis)))[[0, -1]] for axis in (0, 1)]
    rims = [int(np.ceil(RIM_MM / spacing)) for spacing in spacing_mm[:2]]
    box = tuple(slice(max(0, low - rim), high + rim + 1) for (low, high), rim in zip(columns, rims, strict=True))
    low, high = np.quantile(image[brain][::7], (0.01, 0.99))
    shown = []
    for level in picks:
        inside = brain[box][:, :, level]
        grey = np.clip((image[box][:, :, level] - low) / max(float(high - low), 1e-6), 0, 1)
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
    buffer = io.BytesIO()
    whole = Image.fromarray(np.concatenate(shown, axis=1)).quantize(48)
    whole.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
