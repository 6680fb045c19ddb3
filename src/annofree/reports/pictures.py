"""Pictures of regions in three planes, as PNG inside a page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from annofree.masks import Mask
from annofree.page import data_address

#: Colours of a report's regions, in order; told apart in the common forms of colour blindness (Okabe and Ito 2008).
COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#d55e00", "#cc79a7", "#0072b2", "#999999")
#: What the left and right edge of each plane are, as drawn: the patient's right and left, front and back.
EDGES = (("A", "P"), ("R", "L"), ("R", "L"))
PLANES = ("sagittal", "coronal", "axial")


def planes(
    labels: NDArray[np.int32],
    layers: Sequence[tuple[str, Mask]],
    heat: NDArray[np.float32] | None,
    at: tuple[int, int, int],
) -> list[str]:
    """Three PNG data addresses: sagittal, coronal and axial through one voxel.

    The patient's right is on the left of the picture, as radiologists look at it. Grey lines are the borders of the
    atlas.

    Args:
        labels: (X, Y, Z) atlas labels, RAS+.
        layers: colour "#rrggbb" and (X, Y, Z) mask, painted in order.
        heat: (X, Y, Z) map in 0..1 painted over all in red, or None.
        at: the voxel.
    """
    from PIL import Image

    top = float(heat.max()) if heat is not None and heat.max() > 0 else 1.0
    pictures = []
    for axis in range(3):
        plane = np.take(labels, at[axis], axis=axis)
        colours = np.where(plane[..., None] > 0, np.where(_borders(plane)[..., None], 130.0, 70.0), 20.0)
        colours = np.repeat(colours, 3, axis=2)
        for colour, mask in layers:
            where = np.take(mask, at[axis], axis=axis)
            colours[where] = 0.45 * colours[where] + 0.55 * np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
        if heat is not None:
            weight = (np.take(heat, at[axis], axis=axis) / top)[..., None]
            colours = (1 - weight) * colours + weight * np.array([255.0, 40.0, 40.0])
        # second axis up; the first to the left, so that the patient's right and the front are on the picture's left
        pixels = colours.astype(np.uint8).transpose(1, 0, 2)[::-1, ::-1]
        picture = Image.fromarray(np.ascontiguousarray(pixels)).quantize(64)
        pictures.append(data_address(picture, optimize=True))
    return pictures


def _borders(plane: NDArray[np.int32]) -> Mask:
    edge = np.zeros(plane.shape, dtype=bool)
    edge[:-1] |= plane[:-1] != plane[1:]
    edge[:, :-1] |= plane[:, :-1] != plane[:, 1:]
    return edge
