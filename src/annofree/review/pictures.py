"""Slices as small pictures, in radiological convention: the patient's right is on the picture's left."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree.page import data_address
from annofree.review.volumes import Brain
from annofree.segmentation import REGIONS

#: One colour a region, told apart with any colour vision (Okabe and Ito's palette, lightened): outermost first.
COLOURS = {"WT": (86, 180, 233), "TC": (240, 126, 72), "ET": (246, 205, 76)}
#: Labels take the colour of the innermost region that holds them: oedema WT, core TC, enhancing ET.
LABEL_COLOURS = {2: COLOURS["WT"], 1: COLOURS["TC"], 3: COLOURS["ET"]}
#: Axes across and down a picture, for slices along x, y, z.
_PLANES = {0: (1, 2), 1: (0, 2), 2: (0, 1)}
PLANE_NAMES = {2: "axial", 1: "coronal", 0: "sagittal"}
#: What a picture's left and right edge mean in radiological convention.
EDGES = {2: ("R", "L"), 1: ("R", "L"), 0: ("A", "P")}


@dataclass(frozen=True)
class Tile:
    """One slice: pictures by sequence (JPEG) and the regions' outlines (transparent PNG) on top, as data addresses.

    It cuts `axis` at `index` of the brain's box, `position_mm` in scanner mm; its size is width and height in pixels.
    """

    axis: int
    index: int
    position_mm: float
    images: Mapping[str, str]
    outlines: str
    size: tuple[int, int]


def key_voxel(brain: Brain) -> tuple[int, int, int]:
    """A voxel inside the largest cross-sections of the mask; the brain's middle where nothing was found."""
    mask = brain.labels > 0
    where = mask if mask.any() else brain.inside
    x, y, z = (int(where.sum(axis=tuple(a for a in range(3) if a != axis)).argmax()) for axis in range(3))
    return x, y, z


def axial_levels(brain: Brain, number: int) -> list[int]:
    """Slice indices from the base to the vertex, one of them through the largest cross-section of the mask."""
    area = brain.inside.sum(axis=(0, 1))
    shown = np.flatnonzero(area >= 0.2 * area.max())
    levels = np.rint(np.linspace(shown[0], shown[-1], number)).astype(int)
    if (brain.labels > 0).any():
        key = key_voxel(brain)[2]
        levels[int(np.abs(levels - key).argmin())] = key
    return sorted({int(level) for level in levels})


#: What is drawn over a slice of labels (rows, columns) on a picture of a width and height: (height, width, 4).
Overlay = Callable[[NDArray[np.uint8], tuple[int, int]], NDArray[np.uint8]]


def make_tile(
    brain: Brain, axis: int, index: int, *, height: int, sequences: Iterable[str], overlay: Overlay | None = None
) -> Tile:
    """Draw one slice.

    The axis is the one that the slice cuts: 0 sagittal, 1 coronal, 2 axial. The width in pixels follows from the brain.
    Without an overlay outlines of the regions are drawn.
    """
    shape, (across, down) = brain.labels.shape, _PLANES[axis]
    size = _size((shape[across], shape[down]), (brain.spacing_mm[across], brain.spacing_mm[down]), height)
    images = {
        str(name): _jpeg(_resized(_slice(image, axis, index), size))
        for name, image in brain.images.items()
        if str(name) in set(sequences)
    }
    centre = np.array([n / 2 for n in shape])
    centre[axis] = index
    position = float(brain.affine[axis, :3] @ centre + brain.affine[axis, 3])
    over = (overlay or outline_picture)(_slice(brain.labels, axis, index), size)
    return Tile(axis, index, position, images, _address(over, "PNG"), size)


def thumbnail(brain: Brain) -> str:
    """A small axial picture through the largest cross-section, outlines drawn in."""
    from PIL import Image

    index = key_voxel(brain)[2]
    size = _size(brain.labels.shape, brain.spacing_mm, 144)
    grey = Image.fromarray(_resized(_slice(next(iter(brain.images.values())), 2, index), size)).convert("RGBA")
    grey.alpha_composite(Image.fromarray(outline_picture(_slice(brain.labels, 2, index), size)))
    return _jpeg(np.asarray(grey.convert("RGB")))


def outlined_slice(
    grey: NDArray[np.uint8],
    masks: Iterable[tuple[NDArray[np.bool_], tuple[int, int, int]]],
    spacing_mm: tuple[float, float],
) -> str:
    """An axial slice with outlines of masks, as a data address.

    Grey is uint8 (X, Y), masks are boolean, each with its colour, later ones on top.
    """
    size = _size(grey.shape, spacing_mm, 300)
    picture = np.repeat(_resized(np.ascontiguousarray(grey.T[::-1, ::-1]), size)[..., None], 3, axis=2)
    for mask, colour in masks:
        picture[_outline(np.ascontiguousarray(mask.T[::-1, ::-1]), size, 2)] = colour
    return _jpeg(picture)


def _size(shape: Sequence[int], spacing_mm: Sequence[float], height: int) -> tuple[int, int]:
    """Width and height in pixels of a picture across the first and down the second axis."""
    return max(1, round(height * (shape[0] * spacing_mm[0]) / (shape[1] * spacing_mm[1]))), height


def _outline(mask: NDArray[np.bool_], size: tuple[int, int], width: int) -> NDArray[np.bool_]:
    from scipy.ndimage import binary_erosion

    large = _resized((mask * 255).astype(np.uint8), size) > 127
    line: NDArray[np.bool_] = large & ~binary_erosion(large, iterations=width)
    return line


def outline_picture(labels: NDArray[np.uint8], size: tuple[int, int], width: int = 2) -> NDArray[np.uint8]:
    """Outlines of the regions of a slice.

    Labels are uint8 (rows, columns) as shown; size is width and height in pixels. The picture is uint8 (height, width,
    4), transparent beside the lines.
    """
    picture = np.zeros((size[1], size[0], 4), dtype=np.uint8)
    for region, members in REGIONS.items():
        mask = np.isin(labels, members)
        if not mask.any() or (region != "WT" and not np.isin(labels, (1, 3)).any()):
            continue
        picture[_outline(mask, size, width)] = (*COLOURS[region], 255)
    return picture


def filled_picture(
    codes: NDArray[np.uint8], size: tuple[int, int], colours: Mapping[int, tuple[int, int, int]], alpha: int = 140
) -> NDArray[np.uint8]:
    """Areas in half-transparent colours by code, uint8 (height, width, 4); codes without a colour stay clear."""
    from PIL import Image

    picture = np.zeros((size[1], size[0], 4), dtype=np.uint8)
    large = np.asarray(Image.fromarray(codes).resize(size, Image.Resampling.NEAREST))
    for code, colour in colours.items():
        picture[large == code] = (*colour, alpha)
    return picture


def _slice(volume: NDArray[np.uint8], axis: int, index: int) -> NDArray[np.uint8]:
    """A slice as it is shown: superior or anterior up; the patient's right, or the front, to the left.

    The arrays are RAS+, so the first axis grows towards the patient's right; the second towards the front.
    """
    plane = np.take(volume, index, axis=axis)
    return np.ascontiguousarray(plane.T[::-1, ::-1])


def _resized(plane: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    from PIL import Image

    return np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BICUBIC))


def _jpeg(picture: NDArray[np.uint8]) -> str:
    return _address(picture, "JPEG", quality=84, subsampling=0)


def _address(picture: NDArray[np.uint8], kind: str, **options: Any) -> str:
    from PIL import Image

    return data_address(Image.fromarray(picture), kind, **options)
