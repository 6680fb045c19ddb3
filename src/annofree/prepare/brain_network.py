"""The probability of brain in every voxel of a head, by deepbet's two networks.

Fisch et al., deepbet: Fast brain extraction of T1-weighted MRI using convolutional neural networks, Computers in
Biology and Medicine 179 (2024) 108845. Trained on T1 of healthy adults; other sequences work nearly as well. The first
network finds the brain on the whole image stretched to a cube of 128 voxels; the second outlines it on the brain's box,
a tenth of its size added on every side, stretched to a cube of 256. `tools/convert_deepbet.py` made the weights.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.masks import largest_component

if TYPE_CHECKING:
    from annofree.inference import OnnxNetwork

_WEIGHTS = Path(__file__).resolve().parents[1] / "weights" / "brain"
_FIND, _OUTLINE = "find.onnx", "outline.onnx"
_FIND_SIZE, _OUTLINE_SIZE = 128, 256
#: Both networks learned on grey levels clipped at these quantiles and scaled to this mean and deviation.
_CLIP = (0.005, 0.995)
_MEAN, _DEVIATION = 0.449, 0.226
#: Planes with less brain than this do not count for the box, and the box grows by this part of its size on each side.
_MIN_PLANE, _MARGIN = 0.02, 0.1


def brain_probability(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probability of brain, (X, Y, Z), 0 outside the box in which the first network saw it.

    The image is a whole head in closest-canonical RAS+ order; grey levels of any scale, voxels of any shape. The answer
    does not depend on the number of threads.

    Raises:
        InputError: The networks see no brain.
    """
    small = _stretched(image, (_FIND_SIZE,) * 3)
    found = largest_part(_run(_FIND, _grey_levels(small)) > 0.5)
    box = _box(found, image.shape)
    inside = _stretched(image[box], (_OUTLINE_SIZE,) * 3)
    outline = _run(_OUTLINE, _grey_levels(inside))
    probability = np.zeros(image.shape, dtype=np.float32)
    probability[box] = _stretched(outline, probability[box].shape)
    return probability


def largest_part(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest 26-connected part of a mask. Raises `InputError`: the mask is empty."""
    if not mask.any():
        raise InputError("No brain was found in the image", fix="Give a brain mask with --brain-mask FILE")
    return largest_component(mask)


def _stretched(image: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The image at another shape: for each new voxel the old one that holds its centre."""
    sizes = zip(image.shape, shape, strict=True)
    picks = [np.minimum(((np.arange(new) + 0.5) * old / new).astype(int), old - 1) for old, new in sizes]
    return np.ascontiguousarray(image[np.ix_(*picks)])


def _grey_levels(image: NDArray[np.float32]) -> NDArray[np.float32]:
    low, high = np.quantile(image, _CLIP)
    scaled = np.clip((image - np.float32(low)) / np.float32(max(float(high - low), 1e-12)), 0.0, 1.0)
    scaled -= scaled.mean()
    scaled *= np.float32(_DEVIATION / max(float(scaled.std(ddof=1)), 1e-12))
    scaled += np.float32(_MEAN)
    found: NDArray[np.float32] = scaled
    return found


def _box(found: NDArray[np.bool_], shape: tuple[int, ...]) -> tuple[slice, ...]:
    slices = []
    for axis, length in enumerate(shape):
        others = tuple(other for other in range(3) if other != axis)
        planes = np.flatnonzero(found.mean(axis=others) > _MIN_PLANE)
        if not len(planes):
            raise InputError("No brain was found in the image", fix="Give a brain mask with --brain-mask FILE")
        scale = length / found.shape[axis]
        centre = round((planes[-1] + 1 + planes[0]) / 2 * scale)
        half = round((1 + 2 * _MARGIN) * scale * (planes[-1] + 1 - planes[0])) / 2
        slices.append(slice(max(0, int(centre - half)), min(length, int(centre + half))))
    return tuple(slices)


def _run(name: str, image: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(_network(name)(image[None, None])[0, 0])


@cache
def _network(name: str) -> OnnxNetwork:
    from annofree.inference import OnnxNetwork

    return OnnxNetwork(_WEIGHTS / name, _WEIGHTS, device="cpu", keep_memory=False)
