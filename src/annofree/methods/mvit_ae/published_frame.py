"""What the published network is, and how it sees a scan: square slices, z over a volume of the size of BraTS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from annofree.errors import InputError
from annofree.methods.mvit_ae.frame import Frame, Map, frame
from annofree.scan import Modality, Scan

if TYPE_CHECKING:
    from annofree.methods.mvit_ae.network import ViTAESettings

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
