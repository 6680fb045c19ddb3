"""A scan as the networks take it: their spacing, four channels, the brain without holes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.prepare.brain import filled_brain
from annofree.scan import Modality, Scan

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[np.float32]

#: A brain in view that is thinner than this along any axis is refused, mm.
THINNEST_MM = 10.0


@dataclass(frozen=True, eq=False)
class Coarse:
    """A scan on the networks' grid.

    Attributes:
        scan: The resampled scan, with its brain.
        images: (4, X, Y, Z) float32 in the order T1, T1C, T2, FLAIR; zeros for absent sequences.
        brain: (X, Y, Z) boolean.
        present: (4,) boolean.
    """

    scan: Scan
    images: Floats
    brain: NDArray[np.bool_]
    present: NDArray[np.bool_]

    def tumour_free(self) -> tuple[Tensor, Tensor, Tensor]:
        """The scan as a training case with no tumour in it: images, brain, labels that are 0 everywhere."""
        import torch

        return torch.from_numpy(self.images), torch.from_numpy(self.brain), torch.zeros(self.brain.shape).byte()


def flair_alone(scan: Scan) -> Scan:
    """The scan with FLAIR and nothing else, which is what the published preset sees.

    Raises:
        MissingSequence: It has none.
    """
    scan.require(Modality.FLAIR, why="the published preset")
    return scan.replace(images={Modality.FLAIR: scan.images[Modality.FLAIR]})


def coarse_of(scan: Scan, spacing_mm: float, *, filled: bool = False) -> Coarse:
    """Resample a scan to the networks' spacing; `filled` says that its brain mask has no holes, as prepared ones'.

    Raises:
        InputError: There is no brain, or it is too thin for a network that looks in 3-D.
    """
    from annofree.prepare.resample import to_spacing

    small = to_spacing(scan if filled else scan.replace(brain=filled_brain(scan)), spacing_mm)
    assert small.brain is not None
    points = np.argwhere(small.brain)
    if not len(points):
        raise InputError(f"Scan '{scan.id}' has no brain", fix="Give a brain mask with --brain-mask")
    thinnest = float((np.ptp(points, axis=0) * small.spacing_mm).min())
    if thinnest < THINNEST_MM:
        raise InputError(
            f"The brain in scan '{scan.id}' is {thinnest:.0f} mm thick, too thin for a network that looks in 3-D",
            fix="Give the whole volume, or choose --method intensity",
        )
    present = np.array([sequence in small.images for sequence in Modality])
    return Coarse(small, small.stack(), small.brain.copy(), present)
