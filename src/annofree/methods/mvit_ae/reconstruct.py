"""From a framed scan to the healthy brain that the autoencoder takes it for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from annofree.inference.network import Network, by_parts
from annofree.methods.mvit_ae.frame import Frame

#: Slices that go through the network at once.
_TOGETHER = 32
#: Residuals are smoothed by this (voxels) before patches are ranked by them.
_SMOOTH = 1.0

Map = NDArray[np.float32]


def reconstruct(network: Network, framed: Frame, shown: NDArray[np.bool_], *, rounds: int, hide_share: float) -> Map:
    """The reconstruction of every sequence by a `MaskedViTAE`, (4, Z, X, Y) robust z.

    In the first of the rounds the network sees all patches of the sequences that are shown, (4,) boolean. In each
    further round a share of the brain's patches, those that it explained worst, are hidden, so that a tumour has no say
    in what should be there.
    """
    settings = network.settings
    count = settings.tokens[0] * settings.tokens[1]
    blind = np.broadcast_to(~shown[:, None], (len(framed.height), len(shown), count))
    found = _predict(network, framed, blind)
    for _ in range(rounds - 1):
        worst = _worst(framed, found, shown, settings.patch, hide_share)
        found = _predict(network, framed, blind | worst[:, None])
    return found


def reconstruct_slices(network: Network, images: Map) -> Map:
    """What the published network makes of whole slices, (4, Z, X, Y) to the same."""
    return by_parts(network, images.transpose(1, 0, 2, 3), together=_TOGETHER).transpose(1, 0, 2, 3)


def _predict(network: Network, framed: Frame, hidden: NDArray[np.bool_]) -> Map:
    given = (framed.images.transpose(1, 0, 2, 3), framed.brain.astype(np.float32), hidden, framed.height)
    return np.asarray(by_parts(network, *given, together=_TOGETHER).transpose(1, 0, 2, 3) * framed.brain)


def _worst(framed: Frame, found: Map, shown: NDArray[np.bool_], side: int, share: float) -> NDArray[np.bool_]:
    """(Z, N) boolean: the patches with the largest mean residual over the sequences shown, a share of the brain's."""
    error = np.zeros(framed.brain.shape, dtype=np.float32)
    for channel in np.flatnonzero(shown):
        error += np.abs(ndimage.gaussian_filter((framed.images[channel] - found[channel]) * framed.brain, _SMOOTH))
    sums, voxels = (_patch_sums(stack, side) for stack in (error * framed.brain, framed.brain.astype(np.float32)))
    inside = voxels >= 0.25 * side * side
    if not inside.any():
        return inside
    mean = np.where(inside, sums / np.maximum(voxels, 1.0), np.float32(0.0))
    worst: NDArray[np.bool_] = inside & (mean > np.quantile(mean[inside], 1.0 - share))
    return worst


def _patch_sums(stack: Map, side: int) -> Map:
    """(Z, X, Y) to the sums over patches, (Z, N), in the order of the slice's rows."""
    depth, x, y = stack.shape
    sums: Map = stack.reshape(depth, x // side, side, y // side, side).sum(axis=(2, 4)).reshape(depth, -1)
    return sums
