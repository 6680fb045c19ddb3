"""Made brains with made tumours as lessons of the strong stage: labels that nobody drew and that are exact."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from annofree.methods.weak_to_strong.sizes import Size
from annofree.methods.weak_to_strong.volumes import Volume, volume_of, window_of
from annofree.scan import Modality, Scan
from annofree.training.stream import Batch, CaseMaker

MADE_MM = 2.0
#: Validation cases have these seeds, training cases start far above.
VALIDATION_SEEDS = range(8)
FIRST_SEED = 1_000_000
#: Steps that one new case serves.
REUSE = 16


@dataclass(frozen=True)
class MadeVolumes:
    """From a seed to a made case of 2 mm on the strong stage's grid; picklable."""

    make: CaseMaker
    spacing_mm: float

    def volume(self, seed: int) -> Volume:
        """The made case as a volume; its target is the whole tumour."""
        images, brain, labels = self.make(seed)
        present = [bool((image != 0).any()) for image in images]
        scan = Scan(
            f"made-{seed}",
            {s: image.numpy() for s, image, there in zip(Modality, images, present, strict=True) if there},
            np.diag([MADE_MM, MADE_MM, MADE_MM, 1.0]),
        )
        return volume_of(scan, self.spacing_mm, brain.numpy(), (labels > 0).numpy())


class MadeWindows:
    """Windows of made cases; making a case costs several times what a step does, so each serves several steps.

    Each lane of the batch remembers some cases; the seed decides reuse, windows and variation.
    """

    def __init__(self, volumes: MadeVolumes, size: Size, *, batch: int, seed: int, kept: int) -> None:
        self.volumes, self.size, self.batch, self.seed, self.kept = volumes, size, batch, seed, kept
        self._memory: dict[int, Volume] = {}

    def __getstate__(self) -> dict[str, object]:
        """Settings travel to another process, cases do not."""
        return {**self.__dict__, "_memory": {}}

    def __call__(self, step: int, lane: int) -> Batch:
        """The sample of a step and a lane; it depends on these and the seed alone."""
        rng = np.random.default_rng([self.seed, 7, step, lane])
        newest = step // REUSE
        oldest = max(0, newest - self.kept + 1)
        number = newest if step % REUSE == 0 else int(rng.integers(oldest, newest + 1))
        seed = FIRST_SEED + number * self.batch + lane
        if seed not in self._memory:
            self._memory[seed] = self.volumes.volume(seed)
        for old in [known for known in self._memory if known < FIRST_SEED + oldest * self.batch]:
            del self._memory[old]
        return window_of(self._memory[seed], self.size, rng)
