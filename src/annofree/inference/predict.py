"""From a scan's arrays to region probabilities: the whole volume in one pass where it fits, else a sliding window."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.inference.channels import contrast_power, network_input, normalise
from annofree.inference.network import Network
from annofree.masks import Mask, bounding_box
from annofree.progress import stage

Floats = NDArray[np.float32]

#: Width (sigma) of a window's weights as a share of its side, and the least weight as a share of the largest.
_SIGMA, _LEAST = 0.125, 1e-3
#: Copies of its finest level that a network holds at most (measured: 2.4 of the ThinUNet, 5.4 of a DynUNet).
_HELD = 6.0
#: Share of the free memory that a pass may take, and sides of the windows that are tried where it does not fit.
_SHARE, _WINDOWS = 0.8, (160, 128, 96, 64)


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


def slide(network: Network, x: Floats, window: Sequence[int], overlap: float) -> Floats:
    """Logits (B, R, X, Y, Z) of volumes (B, C, X, Y, Z) by windows, blended by a Gaussian as MONAI does.

    Volumes are padded with zeros where they are shorter than a window, whose sides the network can halve; `overlap` is
    the share of a window covered by the next.
    """
    short = [max(0, w - s) for w, s in zip(window, x.shape[2:], strict=True)]
    padded = np.pad(x, [(0, 0), (0, 0), *((n // 2, n - n // 2) for n in short)])
    weight = _bump(window)
    total: Floats | None = None
    weights = np.zeros(padded.shape[2:], dtype=np.float32)
    for corner in product(*(_starts(s, w, overlap) for s, w in zip(padded.shape[2:], window, strict=True))):
        place = tuple(slice(c, c + n) for c, n in zip(corner, window, strict=True))
        part = network(padded[(slice(None), slice(None), *place)]) * weight
        if total is None:
            total = np.zeros((*part.shape[:2], *padded.shape[2:]), dtype=np.float32)
        total[(slice(None), slice(None), *place)] += part
        weights[place] += weight
    assert total is not None
    crop = tuple(slice(n // 2, n // 2 + size) for n, size in zip(short, x.shape[2:], strict=True))
    total /= weights
    return total[(slice(None), slice(None), *crop)]


def _starts(size: int, window: int, overlap: float) -> list[int]:
    """Equal steps from 0; the last window is moved back to end with the axis."""
    step = max(1, int(window * (1.0 - overlap)))
    return sorted({min(start, size - window) for start in range(0, size - window + step, step)})


def _bump(window: Sequence[int]) -> Floats:
    x, y, z = (np.exp(-0.5 * ((np.arange(n) - (n - 1) / 2.0) / (_SIGMA * n)) ** 2) for n in window)
    bump = x[:, None, None] * y[None, :, None] * z[None, None, :]
    weight: Floats = np.maximum(bump, max(float(bump.min()), _LEAST)).astype(np.float32)
    return weight


def predict(network: Network, x: Floats, notes: list[str] | None = None) -> Floats:
    """Region probabilities (R, X, Y, Z), in one pass, or by windows where the memory is too short for that.

    The input is that of `annofree.inference.channels.network_input`. `notes` gets a sentence where windows were taken;
    the answer then differs a little near their borders.

    Raises:
        InputError: Not even the smallest window fits.
    """
    shape = x.shape[1:]
    if _bytes(network, shape) < _SHARE * free_bytes():
        try:
            return sigmoid(_logits(network, x))
        except MemoryError:  # a graphics card tells only then
            stage("windows, for want of memory")
    divisor = np.broadcast_to(network.settings.divisor, 3)
    for side in _WINDOWS:
        window = [int(-(-min(side, n) // d) * d) for n, d in zip(shape, divisor, strict=True)]
        if side == _WINDOWS[-1] or _bytes(network, window) < _SHARE * free_bytes():
            try:
                found = sigmoid(slide(network, x[None], window, 0.5)[0])
            except MemoryError:
                continue
            if notes is not None:
                notes.append(f"Memory was short: a network saw the brain by windows of {max(window)} voxels a side.")
            return found
    raise InputError(
        "A network needs more memory than is free",
        why=f"not even {_WINDOWS[-1]} voxels a side fit",
        fix="Give fewer --workers, close other programs, or try --device cpu",
    )


def _bytes(network: Network, shape: Sequence[int]) -> float:
    """Memory of a pass: the finest level's channels several times over, as was measured for both 3-D U-Nets."""
    settings = network.settings
    finest = getattr(settings, "full", None) or max(getattr(settings, "filters", (settings.in_channels,))[:1])
    return float(_HELD * 4.0 * finest * np.prod(shape))


def free_bytes() -> float:
    """Main memory that is free."""
    return float(import_module("psutil").virtual_memory().available)


def predict_scan_array(
    network: Network,
    images: Floats,
    brain: Mask,
    present: Mask,
    *,
    flipped: bool = False,
    power: float = 1.0,
    margin: int = 2,
    notes: list[str] | None = None,
) -> Floats:
    """Region probabilities of one scan on the grid the network was trained at.

    Images are (4, X, Y, Z) in the order T1, T1C, T2, FLAIR, zeros where absent. `flipped` looks at the scan with left
    and right swapped and swaps the answer back; `power` bends the contrast of each sequence (`contrast_power`); so many
    voxels are kept around the brain; `notes` as in `predict`.

    Returns:
        (R, X, Y, Z) probabilities, 0 outside the brain.
    """
    out = np.zeros((int(network.settings.out_channels), *brain.shape), dtype=np.float32)
    box = bounding_box(brain, margin)
    if box is None:
        return out
    inside, values = brain[box], images[(slice(None), *box)]
    if flipped:
        inside, values = inside[::-1], values[:, ::-1]
    normalised = normalise(values, inside)
    if power != 1.0:
        normalised = contrast_power(normalised, power) * inside
    found = predict(network, network_input(normalised, inside, present), notes) * inside
    out[(slice(None), *box)] = found[:, ::-1] if flipped else found
    return out
