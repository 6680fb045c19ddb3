"""From a volume to tumour probabilities by sliding windows, weighted as MONAI's sliding window does."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from annofree.inference import Network
from annofree.inference.predict import sigmoid

Floats = NDArray[np.float32]

#: Overlap of windows, and whether the flipped volume is looked at too, by quality.
QUALITY: dict[str, tuple[float, bool]] = {"fast": (0.25, False), "default": (0.5, True), "best": (0.75, True)}
#: Width (sigma) of a window's weights as a share of its side, and the least weight as a share of the largest.
_SIGMA, _LEAST = 0.125, 1e-3


def probabilities(network: Network, images: Floats, brain: NDArray[np.bool_], *, quality: str = "default") -> Floats:
    """Tumour probabilities of one volume: sliding windows over the brain, as it is and flipped left to right.

    Args:
        network: A UNETR.
        images: (4, X, Y, Z) normalised.
        brain: (X, Y, Z) boolean.
        quality: "fast", "default" or "best", see :data:`QUALITY`.

    Returns:
        (X, Y, Z) float32, 0 outside the brain.
    """
    out = np.zeros(brain.shape, dtype=np.float32)
    points = np.argwhere(brain)
    if not len(points):
        return out
    box = tuple(slice(int(a), int(b)) for a, b in zip(points.min(0), points.max(0) + 1, strict=True))
    x = images[(slice(None), *box)]
    overlap, flip = QUALITY[quality]
    views = np.stack([x, x[:, ::-1]]) if flip else x[None]
    found = sigmoid(_slide(network, views, overlap))
    out[box] = (0.5 * (found[0] + found[1][::-1]) if flip else found[0]) * brain[box]
    return out


def _slide(network: Network, x: Floats, overlap: float) -> Floats:
    """Logits (B, X, Y, Z) of the first output channel, windows blended by a Gaussian."""
    window = tuple(int(n) for n in network.settings.window)
    short = [max(0, w - s) for w, s in zip(window, x.shape[2:], strict=True)]
    padded = np.pad(x, [(0, 0), (0, 0), *((n // 2, n - n // 2) for n in short)])
    weight = _bump(window)
    total = np.zeros((len(x), *padded.shape[2:]), dtype=np.float32)
    weights = np.zeros(padded.shape[2:], dtype=np.float32)
    for corner in product(*(_starts(s, w, overlap) for s, w in zip(padded.shape[2:], window, strict=True))):
        place = tuple(slice(c, c + n) for c, n in zip(corner, window, strict=True))
        total[(slice(None), *place)] += network(padded[(slice(None), slice(None), *place)])[:, 0] * weight
        weights[place] += weight
    crop = tuple(slice(n // 2, n // 2 + size) for n, size in zip(short, x.shape[2:], strict=True))
    total /= weights
    return total[(slice(None), *crop)]


def _starts(size: int, window: int, overlap: float) -> list[int]:
    """Equal steps from 0; the last window is moved back to end with the axis."""
    step = max(1, int(window * (1.0 - overlap)))
    return sorted({min(start, size - window) for start in range(0, size - window + step, step)})


def _bump(window: tuple[int, ...]) -> Floats:
    lines = []
    for side in window:
        place = np.arange(side) - (side - 1) / 2.0
        lines.append(np.exp(-0.5 * (place / (_SIGMA * side)) ** 2))
    bump = lines[0][:, None, None] * lines[1][None, :, None] * lines[2][None, None, :]
    weight: Floats = np.maximum(bump, max(float(bump.min()), _LEAST)).astype(np.float32)
    return weight
