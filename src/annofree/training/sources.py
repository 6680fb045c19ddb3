"""Where cases come from: made brains, real brains with made tumours, and several sources that take turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from annofree.synthesis import LabelMapBank, SynthesisSettings, make_case
from annofree.synthesis.carrier import Carrier
from annofree.synthesis.real_brain import paint_tumour_into
from annofree.training.stream import Batch, Sampler, TrainingCase


@dataclass
class MadeCases:
    """From a seed to a made case, computed on a device; picklable, the anatomies travel once to each process."""

    bank: LabelMapBank
    settings: SynthesisSettings
    spacing_mm: float
    crop: Mapping[str, Any] = field(default_factory=dict)
    device: str = "cpu"

    def __call__(self, seed: int) -> TrainingCase:
        """Images, brain and labels of one case, or of what `crop` (of `make_case`) cuts out of it."""
        case = make_case(self.bank, self.settings, seed, device=self.device, spacing_mm=self.spacing_mm, **self.crop)
        return case.images.cpu(), case.brain.cpu(), case.labels.cpu()


class PaintedCases:
    """From a seed to a made tumour (or none) in a real tumour-free brain.

    Args:
        files: Carriers that `Carrier.save` wrote; each process reads them when it needs them.
        settings: What is made.
        spacing_mm: Of the cases, 1 or 2.
        held: Carriers kept in memory at a time.
        device: Where the cases are computed.
    """

    def __init__(
        self,
        files: Sequence[Path],
        settings: SynthesisSettings,
        spacing_mm: float,
        held: int = 8,
        device: str = "cpu",
    ) -> None:
        self.files, self.settings, self.spacing_mm, self.held = list(files), settings, spacing_mm, held
        self.device = device
        self._carriers: dict[Path, Carrier] = {}

    def __getstate__(self) -> dict[str, object]:
        """File names travel to another process, brains do not."""
        return {**self.__dict__, "_carriers": {}}

    def __call__(self, seed: int) -> TrainingCase:
        """Images, brain and labels of one case."""
        file = self.files[seed % len(self.files)]
        if file not in self._carriers:
            while len(self._carriers) >= self.held:
                del self._carriers[next(iter(self._carriers))]
            self._carriers[file] = Carrier.load(file)
        made = paint_tumour_into(
            self._carriers[file], self.settings, seed, device=self.device, spacing_mm=self.spacing_mm
        )
        return made.images.cpu(), made.brain.cpu(), made.labels.cpu()


class Turns:
    """Samples from several samplers in turn; lanes begin at different ones.

    Args:
        samplers: Each is asked for steps of its own, 0, 1, 2 ..., so that what it keeps is used as if it were alone.
    """

    def __init__(self, samplers: Sequence[Sampler]) -> None:
        self.samplers = list(samplers)

    def __call__(self, step: int, lane: int) -> Batch:
        """The sample of one step and lane."""
        count = len(self.samplers)
        position = step + lane * max(1, count // 2)
        return self.samplers[position % count](position // count, lane)
