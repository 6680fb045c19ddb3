"""From a scan's arrays to region probabilities: the whole volume in one pass where it fits, else a sliding window."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree.inference.channels import contrast_power, network_input, normalise
from annofree.inference.network import Network
from annofree.masks import Mask

Floats = NDArray[np.float32]


def sigmoid(logits: NDArray[Any]) -> Floats:
    """Probabilities of logits, float32."""
    out: Floats = np.negative(logits, dtype=np.float32)
    np.exp(np.minimum(out, np.float32(80.0), out=out), out=out)
    out += np.float32(1.0)
    np.reciprocal(out, out=out)
    return out


def _logits(network: Network, x: Floats) -> Floats:
    """Logits (R, X, Y, Z) of any size: padded with zeros to what the network needs and cropped back."""
    divisor = np.broadcast_to(network.settings.divisor, 3)
    need = [int(-size % d) for size, d in zip(x.shape[1:], divisor, strict=True)]
    padded = np.pad(x, [(0, 0), *((n // 2, n - n // 2) for n in need)])
    crop = tuple(slice(n // 2, n // 2 + size) for n, size in zip(need, x.shape[1:], strict=True))
    found: Floats = network(padded[None])[0][(slice(None), *crop)]
    return found


def starts(size: int, window: int, overlap: float) -> list[int]:
    """First voxels of windows along an axis that together cover it."""
    if size <= window:
        return [0]
    step = max(1, round(window * (1.0 - overlap)))
    return sorted({*range(0, size - window, step), size - window})


def predict(network: Network, x: Floats, *, window: Sequence[int] | None = None, overlap: float = 0.5) -> Floats:
    """Region probabilities of one network input.

    Args:
        network: That answers with logits.
        x: (C, X, Y, Z) channels of `annofree.inference.channels.network_input`.
        window: Size in voxels of the windows; the whole volume in one pass where None.
        overlap: Share of a window covered by the next, 0 to less than 1.

    Returns:
        (R, X, Y, Z) float32 probabilities.
    """
    if window is None:
        return sigmoid(_logits(network, x))
    size = [min(w, s) for w, s in zip(window, x.shape[1:], strict=True)]
    ramps = [1.0 - np.abs(np.linspace(-1, 1, n + 2)[1:-1]) * 0.9 for n in size]
    bump = (ramps[0][:, None, None] * ramps[1][None, :, None] * ramps[2][None, None, :]).astype(np.float32)
    total: Floats | None = None
    weight = np.zeros(x.shape[1:], dtype=np.float32)
    for corner in product(*(starts(s, w, overlap) for s, w in zip(x.shape[1:], size, strict=True))):
        place = tuple(slice(c, c + n) for c, n in zip(corner, size, strict=True))
        part = sigmoid(_logits(network, x[(slice(None), *place)]))
        if total is None:
            total = np.zeros((len(part), *x.shape[1:]), dtype=np.float32)
        total[(slice(None), *place)] += part * bump
        weight[place] += bump
    assert total is not None
    return total / weight


def predict_scan_array(
    network: Network,
    images: Floats,
    brain: Mask,
    present: Mask,
    *,
    flipped: bool = False,
    power: float = 1.0,
    window: Sequence[int] | None = None,
    margin: int = 2,
) -> Floats:
    """Region probabilities of one scan on the grid the network was trained at.

    Args:
        network: That answers with logits.
        images: (4, X, Y, Z) grey levels in the order T1, T1C, T2, FLAIR; zeros for absent sequences.
        brain: (X, Y, Z) boolean.
        present: (4,) boolean.
        flipped: Look at the scan with left and right swapped; the answer is swapped back.
        power: Bend the contrast of each normalised sequence by this power (see `contrast_power`).
        window: Size of sliding windows; the cropped brain in one pass where None.
        margin: Voxels kept around the brain.

    Returns:
        (R, X, Y, Z) probabilities, 0 outside the brain.
    """
    out = np.zeros((int(network.settings.out_channels), *brain.shape), dtype=np.float32)
    if not brain.any():
        return out
    box = []
    for axis, size in enumerate(brain.shape):
        hit = np.flatnonzero(brain.any(axis=tuple(a for a in range(3) if a != axis)))
        box.append(slice(max(0, int(hit[0]) - margin), min(size, int(hit[-1]) + 1 + margin)))
    inside, values = brain[tuple(box)], images[(slice(None), *box)]
    if flipped:
        inside, values = inside[::-1], values[:, ::-1]
    normalised = normalise(values, inside)
    if power != 1.0:
        normalised = contrast_power(normalised, power) * inside
    found = predict(network, network_input(normalised, inside, present), window=window) * inside
    out[(slice(None), *box)] = found[:, ::-1] if flipped else found
    return out
