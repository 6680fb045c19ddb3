"""A scan as the autoencoder sees it: axial slices of fixed size around the brain, robust z, and the way back.

And from there to the healthy brain that the autoencoder takes it for. The published network has a frame of its own:
square slices, z over a volume of the size of BraTS.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from annofree.errors import InputError
from annofree.grid import shared_part
from annofree.inference.channels import along
from annofree.inference.network import Network, by_parts
from annofree.intensity import Normalisation
from annofree.masks import Mask
from annofree.prepare.resample import back, to_spacing
from annofree.scan import Grid, Modality, Scan

if TYPE_CHECKING:
    from annofree.methods.mvit_ae.network import ViTAESettings

#: Robust z beyond this is cut: one bright voxel shall not decide a loss.
CLIP = 8.0

Map = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Frame:
    """Slices of one scan.

    Attributes:
        images: (4, Z, X, Y) float32 robust z in the order T1, T1C, T2, FLAIR; 0 outside the brain and where absent.
        brain: (Z, X, Y) boolean.
        height: (Z,) float32, height of each slice in the brain, about -1 to 1.
        present: (4,) boolean, which sequences are there.
        grid: The grid that the slices were cut from.
        start: Index in that grid of the frame's first voxel, (x, y, z); may be negative.
    """

    images: Map
    brain: Mask
    height: Map
    present: Mask
    grid: Grid
    start: tuple[int, int, int]

    def to_grid(self, values: Map) -> Map:
        """Slices (Z, X, Y) on the grid that they were cut from, 0 beyond the frame."""
        out, framed = np.zeros(self.grid.shape, dtype=np.float32), values.transpose(1, 2, 0)
        there, here = shared_part(self.start, framed.shape, out.shape)
        out[there] = framed[here]
        return out

    def to_scan(self, values: Map, scan: Scan) -> Map:
        """Slices (Z, X, Y) on the scan's own grid, linearly."""
        placed = self.to_grid(values)
        return placed if self.grid.same_as(scan.grid) else back(placed, self.grid, scan.grid)


def frame(
    scan: Scan, size: tuple[int, int], spacing_mm: float, clip: float = CLIP
) -> tuple[Frame, dict[Modality, Normalisation]]:
    """Cut a scan with its brain mask into slices, and the normalisation of each sequence.

    The slices are `spacing_mm` wide and thick; a brain that is larger than the frame is seen at a coarser spacing.
    `size` is a slice in voxels, left-right and back-front; robust z beyond `clip` is cut.

    Raises:
        InputError: The scan has no brain, or a sequence has no contrast in it.
    """
    assert scan.brain is not None
    points = np.argwhere(scan.brain)
    if not len(points):
        raise InputError(f"Scan '{scan.id}' has no brain", fix="Give a brain mask with --brain-mask")
    extent = (np.ptp(points, axis=0) + 1) * scan.spacing_mm
    coarse = to_spacing(scan, max(spacing_mm, extent[0] / (size[0] - 2), extent[1] / (size[1] - 2)))
    brain = coarse.brain
    assert brain is not None
    points = np.argwhere(brain)
    if not len(points):
        raise InputError(f"The brain of scan '{scan.id}' vanishes at {spacing_mm:g} mm", fix="Give the whole volume")
    low, high = points.min(axis=0), points.max(axis=0) + 1
    middle = (low + high) / 2
    start = (int(np.floor(middle[0] - size[0] / 2)), int(np.floor(middle[1] - size[1] / 2)), int(low[2]))
    rules = {s: Normalisation.fit(image, brain) for s, image in coarse.images.items()}
    shape = (int(high[2] - low[2]), *size)
    images = np.zeros((len(Modality), *shape), dtype=np.float32)
    for channel, sequence in enumerate(Modality):
        if sequence in rules:
            z = np.clip(rules[sequence](coarse.images[sequence]), -clip, clip) * brain
            images[channel] = _cut(z, start, shape)
    cut = _cut(brain, start, shape)
    height = along(cut.sum(axis=(1, 2)))
    present = np.array([s in rules for s in Modality])
    return Frame(images, cut, height, present, coarse.grid, start), rules


def _cut(volume: NDArray[Any], start: tuple[int, int, int], shape: tuple[int, int, int]) -> NDArray[Any]:
    out = np.zeros(shape, dtype=volume.dtype)
    framed = out.transpose(1, 2, 0)
    there, here = shared_part(start, framed.shape, volume.shape)
    framed[here] = volume[there]
    return out


#: Slices that go through the network at once.
_TOGETHER = 32
#: Residuals are smoothed by this (voxels) before patches are ranked by them.
_SMOOTH = 1.0


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


#: Volume that grey levels are normalised over: the published z-score takes the background in, so that its constants
#: mean something in the frame of BraTS only, 240 x 240 x 155 mm.
BRATS_MM3 = 240.0 * 240.0 * 155.0


def network_settings(size: Literal["published", "narrow"]) -> ViTAESettings:
    """Shape of the network: the published one, or the same 10 x 10 patches of 24 mm at 3 mm and narrower."""
    from annofree.methods.mvit_ae.network import SEQUENCES, ViTAESettings

    if size == "published":
        return ViTAESettings()
    decoder = ((16, 11, 2, 0), (16, 11, 2, 1), (8, 11, 1, 0), (SEQUENCES, 14, 1, 0))
    return ViTAESettings(image=80, patch=8, dim=64, mlp=128, latent=256, decoder=decoder)


def whole_volume_z(scan: Scan, sequence: Modality) -> tuple[Map, tuple[float, float]]:
    """A sequence in z over a BraTS-sized volume whose background is 0, and the mean and deviation used.

    What lies outside the scan's brain mask counts as 0.

    Raises:
        InputError: The sequence has no contrast.
    """
    assert scan.brain is not None
    inside = scan.images[sequence][scan.brain].astype(np.float64)
    number = max(BRATS_MM3 / (1000.0 * scan.voxel_ml), float(inside.size))
    mean = float(inside.sum()) / number
    deviation = float(np.sqrt(max((inside**2).sum() / number - mean**2, 0.0)))
    if deviation <= 0:
        raise InputError(f"{sequence} of scan '{scan.id}' has no contrast", fix="Check that the file holds an MRI")
    z = (np.where(scan.brain, scan.images[sequence], np.float32(0.0)) - mean) / deviation
    return z.astype(np.float32), (mean, deviation)


def published_frame(scan: Scan, network: ViTAESettings) -> Frame:
    """All slices of a scan with its brain mask as the published network sees them: square, 240 mm wide."""
    framed, rules = frame(scan, (network.image, network.image), 240.0 / network.image, clip=float("inf"))
    images = np.empty_like(framed.images)
    for channel, sequence in enumerate(Modality):
        if sequence not in rules:
            images[channel] = 0.0
            continue
        _, (mean, deviation) = whole_volume_z(scan, sequence)
        grey = np.where(framed.brain, rules[sequence].back(framed.images[channel]), np.float32(0.0))
        images[channel] = (grey - mean) / deviation
    return Frame(images, framed.brain, framed.height, framed.present, framed.grid, framed.start)
