"""SynthTumour's second stage: a network that goes on from the first on real images that nobody labelled.

Its samples come in turn from several sources: made brains, made tumours in real tumour-free brains, real patients with
partial pseudo-labels, their tumours in healthy people's scans, and healthy scans as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from torch import nn

from annofree.formats.outfolder import write_json
from annofree.methods.synthtumour.cases import read_case
from annofree.methods.synthtumour.partial import PartialSampler, partial_objective
from annofree.segmentation import REGIONS
from annofree.training.loop import Trained, Validate, train
from annofree.training.losses import CALIBRATED
from annofree.training.samples import SampleSettings
from annofree.training.settings import TrainSettings
from annofree.training.sources import Turns
from annofree.training.stream import CaseMaker, MadeSampler, Sampler, StreamSettings, TrainingCase

#: The loop where it goes on from a trained network: few steps at a low rate.
GOING_ON = TrainSettings(steps=400, batch=2, learning_rate=4e-4, warmup=20, ema=0.99, validate_every=100)
#: How many samples one made case serves.
_REUSE = 2


class HeldCases:
    """Cases that exist already, in turn: a case maker whose seed is a place in the list.

    They are held in memory, or folders from which `cases.read_case` reads them.
    """

    def __init__(self, cases: Sequence[TrainingCase | Path]) -> None:
        self.cases = list(cases)

    def __call__(self, seed: int) -> TrainingCase:
        """The case at a seed, from the start again after the last."""
        case = self.cases[seed % len(self.cases)]
        return read_case(case) if isinstance(case, Path) else case


def fit_senior(
    network: nn.Module,
    sources: Mapping[str, CaseMaker],
    folder: Path,
    settings: TrainSettings,
    *,
    spacing_mm: float,
    validate: Validate,
) -> Trained:
    """Train a senior from the junior, or fresh weights; the network to use is ``folder/best``.

    Sources are case makers by name, with partial labels (see `partial.py`), that take turns.
    """
    samplers: list[Sampler] = []
    for number, make in enumerate(sources.values()):
        held = isinstance(make, HeldCases)
        stream = StreamSettings(
            kept=1 if held else 24, reuse=1 if held else _REUSE, first_seed=(2 + number) * 10_000_000
        )
        seed = settings.seed + number
        samplers.append(MadeSampler(make, stream, SampleSettings(), batch=settings.batch, seed=seed))
    write_json(folder / "recipe.json", settings)
    return train(
        network,
        PartialSampler(Turns(samplers)),
        partial(partial_objective, mix=CALIBRATED),
        folder,
        settings=settings,
        validate=validate,
        extra={"spacing_mm": spacing_mm, "regions": list(REGIONS)},
    )
