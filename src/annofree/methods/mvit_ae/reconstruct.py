"""From a framed scan to the healthy brain that the autoencoder takes it for."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn

from annofree.methods.mvit_ae.frame import Frame
from annofree.methods.mvit_ae.network import MaskedViTAE, patches

#: Slices that go through the network at once.
_TOGETHER = 32
#: Residuals are smoothed by this (voxels) before patches are ranked by them.
_SMOOTH = 1.0


def reconstruct(
    network: MaskedViTAE, framed: Frame, shown: NDArray[np.bool_], *, rounds: int, hide_share: float
) -> NDArray[np.float32]:
    """The reconstruction of every sequence, (4, Z, X, Y) robust z.

    In the first round the network sees all patches of the sequences that are shown. In each further round the patches
    of the volume that it explained worst are hidden, so that a tumour has no say in what should be there.

    Args:
        network: In evaluation mode.
        framed: The scan.
        shown: (4,) boolean, sequences that the network sees.
        rounds: How often it looks; 1 hides nothing.
        hide_share: Share of the brain's patches that a further round hides.
    """
    settings = network.settings
    count = settings.tokens[0] * settings.tokens[1]
    depth = len(framed.height)
    hidden = torch.from_numpy(np.broadcast_to(~shown[:, None], (depth, len(shown), count)).copy())
    blind = hidden.clone()
    found = _predict(network, framed, hidden)
    for _ in range(rounds - 1):
        worst = _worst(framed, found, shown, settings.patch, hide_share)
        hidden = blind | worst[:, None]
        found = _predict(network, framed, hidden)
    return found


def reconstruct_slices(network: nn.Module, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the published network makes of whole slices, (4, Z, X, Y) to the same."""
    device = next(network.parameters()).device
    slices = torch.from_numpy(images.transpose(1, 0, 2, 3).copy())
    with torch.inference_mode():
        parts = [
            network(slices[first : first + _TOGETHER].to(device)).float().cpu()
            for first in range(0, len(slices), _TOGETHER)
        ]
    out: NDArray[np.float32] = torch.cat(parts).numpy().transpose(1, 0, 2, 3)
    return out


def _predict(network: MaskedViTAE, framed: Frame, hidden: Tensor) -> NDArray[np.float32]:
    images = torch.from_numpy(framed.images.transpose(1, 0, 2, 3).copy())
    brain = torch.from_numpy(framed.brain.astype(np.float32))
    height = torch.from_numpy(framed.height)
    device = next(network.parameters()).device
    parts = []
    with torch.inference_mode():
        for first in range(0, len(height), _TOGETHER):
            some = slice(first, first + _TOGETHER)
            given = (part[some].to(device) for part in (images, brain, hidden, height))
            parts.append(network(*given).float().cpu())
    out: NDArray[np.float32] = torch.cat(parts).numpy().transpose(1, 0, 2, 3)
    return out * framed.brain


def _worst(framed: Frame, found: NDArray[np.float32], shown: NDArray[np.bool_], side: int, share: float) -> Tensor:
    """(Z, N) boolean: the patches with the largest mean residual over the sequences shown, a share of the brain's."""
    error = np.zeros(framed.brain.shape, dtype=np.float32)
    for channel in np.flatnonzero(shown):
        error += np.abs(ndimage.gaussian_filter((framed.images[channel] - found[channel]) * framed.brain, _SMOOTH))
    stack = torch.from_numpy(np.stack([error * framed.brain, framed.brain.astype(np.float32)], axis=1))
    sums = patches(stack, side).sum(dim=-1)
    inside = sums[..., 1] >= 0.25 * side * side
    mean = torch.where(inside, sums[..., 0] / sums[..., 1].clamp_min(1.0), torch.zeros(()))
    if not bool(inside.any()):
        return inside
    edge = torch.quantile(mean[inside], 1.0 - share)
    return inside & (mean > edge)
