"""Made brains with made tumours as lessons of the strong stage: labels that nobody drew and that are exact."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from annofree.methods.weak_to_strong.sizes import Size
from annofree.methods.weak_to_strong.volumes import Volume, volume_of, window_of
from annofree.scan import Modality, Scan
from annofree.training.stream import Batch, CaseMaker, KeptCases, StreamSettings

MADE_MM = 2.0
#: Validation cases have these seeds, training cases start far above.
VALIDATION_SEEDS = range(8)
FIRST_SEED = 1_000_000
#: Steps that one new case serves.
REUSE = 16


def made_volume(make: CaseMaker, spacing_mm: float, seed: int) -> Volume:
    """A made case of 2 mm as a volume on the strong stage's grid; its target is the whole tumour."""
    images, brain, labels = make(seed)
    there = {s: image.numpy() for s, image in zip(Modality, images, strict=True) if bool((image != 0).any())}
    scan = Scan(f"made-{seed}", there, np.diag([MADE_MM, MADE_MM, MADE_MM, 1.0]))
    return volume_of(scan, spacing_mm, brain.numpy(), (labels > 0).numpy())


class MadeWindows:
    """Windows of made cases, of which each lane of the batch remembers some; the seed decides windows and variation."""

    def __init__(self, volume: Callable[[int], Volume], size: Size, *, batch: int, seed: int, kept: int) -> None:
        self.size, self.seed = size, seed
        stream = StreamSettings(kept=kept, reuse=REUSE, first_seed=FIRST_SEED)
        self._cases = KeptCases(volume, stream, batch)

    def __call__(self, step: int, lane: int) -> Batch:
        """The sample of a step and a lane; it depends on these and the seed alone."""
        rng = np.random.default_rng([self.seed, 7, step, lane])
        return window_of(self._cases(step, lane, rng), self.size, rng)
