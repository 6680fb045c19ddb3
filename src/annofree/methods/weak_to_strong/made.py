"""Made brains with made tumours as lessons of the strong stage: labels that nobody drew and that are exact."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from annofree.methods.weak_to_strong.sizes import Size
from annofree.methods.weak_to_strong.volumes import Volume, volume_of, window_of
from annofree.scan import Grid, Scan, Sequence
from annofree.training.samples import SampleSettings
from annofree.training.stream import Batch, CaseMaker, MadeSampler, StreamSettings

MADE_MM = 2.0
#: Validation cases have these seeds, training cases start far above.
VALIDATION_SEEDS = range(8)


@dataclass(frozen=True)
class MadeVolumes:
    """From a seed to a made case on the strong stage's grid; picklable.

    Attributes:
        make: From a seed to images (4, X, Y, Z), brain and labels at 2 mm.
        spacing_mm: Of the strong stage.
    """

    make: CaseMaker
    spacing_mm: float

    def volume(self, seed: int) -> Volume:
        """The made case as a volume; its target is the whole tumour."""
        images, brain, labels = self.make(seed)
        present = [bool((image != 0).any()) for image in images]
        scan = Scan(
            f"made-{seed}",
            {s: image.numpy() for s, image, there in zip(Sequence, images, present, strict=True) if there},
            np.diag([MADE_MM, MADE_MM, MADE_MM, 1.0]),
        )
        return volume_of(scan, self.spacing_mm, brain.numpy(), (labels > 0).numpy())

    def __call__(self, seed: int) -> tuple[Tensor, Tensor, Tensor]:
        """Normalised images, brain and target of :meth:`volume`."""
        volume = self.volume(seed)
        return volume.images, volume.brain, volume.target


class MadeWindows:
    """Windows of made cases; a case serves several steps, each time in another window.

    Args:
        volumes: Makes the cases.
        size: Window and variation.
        batch: Samples a step.
        seed: Decides reuse, windows and variation.
        stream: How cases are kept and reused.
    """

    def __init__(self, volumes: MadeVolumes, size: Size, *, batch: int, seed: int, stream: StreamSettings) -> None:
        self.size = size
        self.cases = MadeSampler(volumes, stream, SampleSettings(), batch=batch, seed=seed)

    def __call__(self, step: int, lane: int) -> Batch:
        """The sample of a step and a lane."""
        (images, brain, target), rng = self.cases.draw(step, lane)
        grid = Grid((brain.shape[0], brain.shape[1], brain.shape[2]), np.eye(4))
        return window_of(Volume("made", images, brain, target, grid), self.size, rng)
