"""From a scan's arrays to region probabilities: the whole volume in one pass where it fits, else a sliding window."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor, nn
from torch.nn import functional

from annofree.networks.inputs import contrast_power, network_input, normalise


def _divisor(network: nn.Module) -> tuple[int, int, int]:
    found = network.settings.divisor  # type: ignore[union-attr]
    return (found, found, found) if isinstance(found, int) else tuple(found)  # type: ignore[arg-type, return-value]


def _logits(network: nn.Module, x: Tensor) -> Tensor:
    """Logits ``(1, R, X, Y, Z)`` of any size: padded with zeros to what the network needs and cropped back."""
    need = [(-size) % d for size, d in zip(x.shape[2:], _divisor(network), strict=True)]
    padded = functional.pad(x, [p for n in reversed(need) for p in (n // 2, n - n // 2)])
    out: Tensor = network(padded.contiguous(memory_format=torch.channels_last_3d))[0]
    crop = tuple(slice(n // 2, n // 2 + size) for n, size in zip(need, x.shape[2:], strict=True))
    return out[(slice(None), slice(None), *crop)]


def _starts(size: int, window: int, overlap: float) -> list[int]:
    if size <= window:
        return [0]
    step = max(1, round(window * (1.0 - overlap)))
    return sorted({*range(0, size - window, step), size - window})


def predict(network: nn.Module, x: Tensor, *, window: Sequence[int] | None = None, overlap: float = 0.5) -> Tensor:
    """Region probabilities of one network input.

    Args:
        network: Built by :func:`annofree.networks.build`, in evaluation mode.
        x: ``(C, X, Y, Z)`` channels of :func:`annofree.networks.inputs.network_input`.
        window: Size in voxels of the windows; the whole volume in one pass where None.
        overlap: Share of a window covered by the next, 0 to less than 1.

    Returns:
        ``(R, X, Y, Z)`` float32 probabilities.
    """
    with torch.inference_mode():
        if window is None:
            return torch.sigmoid(_logits(network, x[None])[0]).float()
        size = [min(w, s) for w, s in zip(window, x.shape[1:], strict=True)]
        ramps = [1.0 - (torch.linspace(-1, 1, n + 2)[1:-1]).abs() * 0.9 for n in size]
        bump = (ramps[0][:, None, None] * ramps[1][None, :, None] * ramps[2][None, None, :]).to(x.device)
        total, weight = None, torch.zeros(x.shape[1:], device=x.device)
        for corner in product(*(_starts(s, w, overlap) for s, w in zip(x.shape[1:], size, strict=True))):
            place = tuple(slice(c, c + n) for c, n in zip(corner, size, strict=True))
            part = torch.sigmoid(_logits(network, x[(slice(None), *place)][None])[0]).float()
            if total is None:
                total = torch.zeros((part.shape[0], *x.shape[1:]), device=x.device)
            total[(slice(None), *place)] += part * bump
            weight[place] += bump
        assert total is not None
        return total / weight


def predict_scan_array(
    network: nn.Module,
    images: Tensor,
    brain: Tensor,
    present: Tensor,
    *,
    flipped: bool = False,
    power: float = 1.0,
    window: Sequence[int] | None = None,
    margin: int = 2,
) -> Tensor:
    """Region probabilities of one scan on the grid the network was trained at.

    Args:
        network: In evaluation mode.
        images: ``(4, X, Y, Z)`` grey levels in the order T1, T1C, T2, FLAIR; zeros for absent sequences.
        brain: ``(X, Y, Z)`` boolean.
        present: ``(4,)`` boolean.
        flipped: Look at the scan with left and right swapped; the answer is swapped back.
        power: Bend the contrast of each normalised sequence by this power (see `contrast_power`).
        window: Size of sliding windows; the cropped brain in one pass where None.
        margin: Voxels kept around the brain.

    Returns:
        ``(R, X, Y, Z)`` probabilities, 0 outside the brain.
    """
    regions = int(network.settings.out_channels)  # type: ignore[union-attr, arg-type]
    out = torch.zeros((regions, *brain.shape), device=images.device)
    points = brain.nonzero()
    if points.shape[0] == 0:
        return out
    low, high = points.amin(0), points.amax(0) + 1
    box = tuple(
        slice(max(0, int(a) - margin), min(n, int(b) + margin)) for a, b, n in zip(low, high, brain.shape, strict=True)
    )
    inside, values = brain[box], images[(slice(None), *box)]
    if flipped:
        inside, values = inside.flip(0), values.flip(1)
    normalised = normalise(values, inside)
    if power != 1.0:
        normalised = contrast_power(normalised, torch.full((normalised.shape[0],), power)) * inside
    found = predict(network, network_input(normalised, inside, present), window=window) * inside
    out[(slice(None), *box)] = found.flip(1) if flipped else found
    return out
