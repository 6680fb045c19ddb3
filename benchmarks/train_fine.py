"""Train a network at 1 mm that draws anew, around a finding, what the default's networks found at 2 mm.

    python benchmarks/train_fine.py OUT --labelmaps MAPS --carriers FOLDER --model annofree/weights/synthtumour

Each case is made twice from one seed: the whole brain at 2 mm, which a network of the model looks at, and a cube of it
at 1 mm, which is what the new network learns on. Made brains and real tumour-free ones (`train_default.py` writes them
as OUT/carriers) take turns. No mask of a patient is read. None ships: after 8500 steps the rules that work at the
scan's own voxels draw as well or better (docs/trainings.md).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from annofree.inference import load_network, predict_scan_array
from annofree.inference.channels import CLIP, SEQUENCES, contrast_power
from annofree.intensity import robust_level
from annofree.masks import Mask
from annofree.networks.build import build
from annofree.networks.unet import ThinUNetSettings
from annofree.segmentation import REGIONS
from annofree.synthesis import LabelMapBank, SynthesisSettings, make_case
from annofree.synthesis.carrier import Carrier
from annofree.synthesis.generator import MadeCase, Window
from annofree.synthesis.real_brain import paint_tumour_into
from annofree.training.checkpoint import STATE
from annofree.training.healthy import bank_of
from annofree.training.loop import train
from annofree.training.losses import region_objective, regions_of
from annofree.training.samples import SampleSettings, draw_present
from annofree.training.settings import TrainSettings
from annofree.training.sources import Turns
from annofree.training.stream import Batch, KeptCases, StreamSettings

SIZE = 96
SPACING_MM, COARSE_MM = 1.0, 2.0
CHANNELS = 2 * SEQUENCES + 3
Floats = NDArray[np.float32]


def levelled(images: Floats, brain: Mask, whole: Floats, whole_brain: Mask) -> Floats:
    """Robust z (4, X, Y, Z) of a part of a scan by the levels of the whole one, 0 outside the brain."""
    out = np.zeros(images.shape, dtype=np.float32)
    for image, levels, target in zip(images, whole, out, strict=True):
        if levels.any():
            middle, spread = robust_level(levels[whole_brain])
            target[brain] = np.clip((image[brain] - middle) / spread, -CLIP, CLIP)
    return out


def fine_input(values: Floats, odds: Floats, brain: Mask, present: Mask) -> Floats:
    """The channels (11, X, Y, Z): four sequences as z, four masks of presence, the odds of three regions at 2 mm."""
    there = np.asarray(present, dtype=np.float32)[:, None, None, None]
    return np.concatenate([values * there, there * brain, odds * brain]).astype(np.float32, copy=False)


@dataclass(frozen=True)
class FineCase:
    """A cube at 1 mm: grey levels (4, N, N, N) as z, odds of the networks at 2 mm (3, N, N, N), brain, labels 0..3."""

    values: Tensor
    odds: Tensor
    brain: Tensor
    labels: Tensor
    present: Tensor


@dataclass
class FineCases:
    """From a seed to a case; picklable, networks and carriers are read in the process that uses them."""

    model: Path
    settings: SynthesisSettings
    bank: LabelMapBank | None = None
    carriers: Sequence[Path] = ()
    sample: SampleSettings = field(default_factory=SampleSettings)
    _held: dict[Any, Any] = field(default_factory=dict)

    def __getstate__(self) -> dict[str, Any]:
        """What was read stays where it was read."""
        return {**self.__dict__, "_held": {}}

    def __call__(self, seed: int) -> FineCase:
        """One case."""
        rng = np.random.default_rng([seed, 7])
        coarse, fine = (self._made(seed, around, mm) for around, mm in (("brain", COARSE_MM), ("lesion", SPACING_MM)))
        images, brain = coarse.images.numpy(), coarse.brain.numpy()
        there = images.any(axis=(1, 2, 3))
        present = draw_present(rng, self.sample).numpy() & there
        present = present if present.any() else there
        shown = images * present[:, None, None, None]
        network = self._network(int(rng.integers(2)))
        odds = predict_scan_array(network, shown, brain, present, flipped=bool(rng.integers(2)))
        values = levelled(fine.images.numpy(), fine.brain.numpy(), images, brain)
        return FineCase(
            torch.from_numpy(values).half(),
            Window.of(fine).zoom(torch.from_numpy(odds)).half(),
            fine.brain,
            fine.labels,
            torch.from_numpy(present),
        )

    def _made(self, seed: int, around: str, spacing_mm: float) -> MadeCase:
        how: dict[str, Any] = {"spacing_mm": spacing_mm, "around": around, "size": SIZE}
        if not self.carriers:
            assert self.bank is not None
            return make_case(self.bank, self.settings, seed, **how)
        file = self.carriers[seed % len(self.carriers)]
        if file not in self._held:
            self._held[file] = Carrier.load(file)
        return paint_tumour_into(self._held[file], self.settings, seed, **how)

    def _network(self, number: int) -> Any:
        folders = sorted((self.model / "networks").glob("*/"))
        folder = folders[number % len(folders)]
        if folder not in self._held:
            self._held[folder] = load_network(folder)[0]
        return self._held[folder]


class FineSampler:
    """Patches of cases, each time cut and varied anew."""

    def __init__(self, cases: FineCases, stream: StreamSettings, *, batch: int, patch: int, seed: int) -> None:
        self.patch, self.seed, self.sample = patch, seed, cases.sample
        self._cases = KeptCases(cases, stream, batch)

    def __call__(self, step: int, lane: int) -> Batch:
        """Input ``x`` (11, *patch), ``labels`` (*patch) and ``brain`` (*patch)."""
        rng = np.random.default_rng([self.seed, step, lane])
        case, side = self._cases(step, lane, rng), self.patch
        spots = case.labels.nonzero()
        if len(spots) and rng.random() < 0.85:
            middle = spots[int(rng.integers(len(spots)))].numpy() + rng.integers(-side // 4, side // 4 + 1, 3)
        else:
            middle = rng.integers(0, SIZE, 3)
        first = np.clip(middle - side // 2, 0, SIZE - side)
        box = tuple(slice(int(f), int(f) + side) for f in first)
        values, odds = case.values[(slice(None), *box)].float().numpy(), case.odds[(slice(None), *box)].float().numpy()
        brain, labels = case.brain[box].numpy(), case.labels[box].numpy()
        if rng.random() < 0.5:
            values, odds, brain, labels = values[:, ::-1], odds[:, ::-1], brain[::-1], labels[::-1]
        power = np.exp(rng.normal(0, self.sample.gamma, SEQUENCES)).astype(np.float32)
        scale = np.exp(rng.normal(0, self.sample.contrast, SEQUENCES)).astype(np.float32)
        offset = rng.normal(0, self.sample.contrast, SEQUENCES).astype(np.float32)
        values = contrast_power(values, power) * scale[:, None, None, None] + offset[:, None, None, None]
        x = fine_input(np.clip(values, -8, 12) * brain, odds, brain, case.present.numpy())
        parts = (np.ascontiguousarray(part) for part in (x, labels, brain))
        return dict(zip(("x", "labels", "brain"), map(torch.from_numpy, parts), strict=True))


class FineValidation:
    """Dice on whole cubes, beside that of the odds at 2 mm."""

    def __init__(self, sources: Sequence[tuple[FineCases, Sequence[int]]]) -> None:
        self.sources = sources
        self._cases: list[FineCase] | None = None

    def __call__(self, network: nn.Module) -> dict[str, float]:
        """Numbers of a network in evaluation mode, with ``score``."""
        if self._cases is None:
            self._cases = [cases(seed) for cases, seeds in self.sources for seed in seeds]
        found: dict[str, list[float]] = {}
        for case in self._cases:
            truth = regions_of(case.labels[None])[0].bool()
            arrays = (case.values.float().numpy(), case.odds.float().numpy(), case.brain.numpy(), case.present.numpy())
            logits = network(torch.from_numpy(fine_input(*arrays))[None])[0][0]
            for region, name in enumerate(REGIONS):
                if int(truth[region].sum()) < 500:
                    continue
                for what, called in (("fine", logits[region] > 0), ("coarse", case.odds[region] > 0.5)):
                    called = called & case.brain
                    both = int((called & truth[region]).sum())
                    dice = 2 * both / max(1, int(called.sum()) + int(truth[region].sum()))
                    found.setdefault(f"{what}_{name}", []).append(dice)
        out = {name: sum(values) / len(values) for name, values in sorted(found.items())}
        return {"score": sum(out[f"fine_{name}"] for name in REGIONS) / 3, **out}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--labelmaps")
    parser.add_argument("--carriers", type=Path)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=9000)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--patch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--seed", type=int, default=90)
    parser.add_argument("--first-case", type=int, default=900_000_000)
    parser.add_argument("--reuse", type=int, default=8)
    parser.add_argument("--validate-every", type=int, default=1000)
    parser.add_argument("--validation-cases", type=int, default=16, help="of each source")
    parser.add_argument("--tumour-free", type=float, default=0.08)
    parser.add_argument("--widths", type=int, nargs="+", default=[16, 32, 64, 128])
    given = parser.parse_args()
    torch.set_num_threads(1)

    plain = SynthesisSettings()
    settings = plain.model_copy(
        update={"tumours": plain.tumours.model_copy(update={"healthy_share": given.tumour_free})}
    )
    sources = [FineCases(given.model, settings, bank_of(given.labelmaps, given.out / "bank.npz"))]
    if given.carriers is not None:
        sources.append(FineCases(given.model, settings, carriers=sorted(given.carriers.glob("*.npz"))))
    samplers = []
    for number, source in enumerate(sources):
        first = given.first_case + number * 500_000_000
        stream = StreamSettings(first_seed=first, reuse=given.reuse, kept=2 * given.reuse)
        samplers.append(FineSampler(source, stream, batch=given.batch, patch=given.patch, seed=given.seed))
    # the seeds that validate are never reached by training
    held_out = [(source, range(5_000, 5_000 + given.validation_cases)) for source in sources]
    torch.manual_seed(given.seed)
    network = build(ThinUNetSettings(in_channels=CHANNELS, widths=tuple(given.widths)))
    done = train(
        network,
        Turns(samplers) if len(samplers) > 1 else samplers[0],
        region_objective,
        given.out,
        settings=TrainSettings(
            steps=given.steps,
            batch=given.batch,
            learning_rate=given.rate,
            seed=given.seed,
            validate_every=given.validate_every,
            ema=0.999,
            ahead=40,  # cases are made in bursts
        ),
        validate=FineValidation(held_out),
        extra={"spacing_mm": SPACING_MM, "regions": list(REGIONS)},
    )
    print(f"step {done.step}, best score {done.best_score}; goes on from {given.out / STATE}")


if __name__ == "__main__":
    main()
