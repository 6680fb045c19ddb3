"""What each switch of the synthesis and each idea of the network buys, at one small budget.

Every variant trains the same small network for the same number of steps on cases of the same seeds, and is then asked:
whole-tumour Dice on phantoms (a generator that shares no code with the synthesis), Dice on made cases of the full
recipe, and falsely called volume in healthy scans and in further tumour-free scans with look-alikes. Cases are made at
2 mm and averaged to 4 mm, so that a variant takes minutes. Finished variants are kept in OUT and not done
again; the table is written from what is there.

    python benchmarks/ablate_junior.py OUT --labelmaps DIR --healthy DIR [--ms DIR] [--unlabelled DIR] [--seeds 2]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from annofree.formats import open_cohort, open_scan
from annofree.inference.torch_network import predict_tensors
from annofree.networks import ThinUNetSettings, build, load_network
from annofree.phantom import phantom_cohort
from annofree.prepare.resample import to_spacing
from annofree.scan import Modality, Scan
from annofree.synthesis import LabelMapBank, SynthesisSettings, make_case
from annofree.synthesis.carrier import Carrier
from annofree.synthesis.pseudo_healthy import pseudo_healthy
from annofree.synthesis.real_brain import paint_tumour_into
from annofree.synthesis.settings import Contrast, LookAlikes, Tumours
from annofree.training.loop import train
from annofree.training.losses import region_objective
from annofree.training.samples import SampleSettings
from annofree.training.settings import TrainSettings
from annofree.training.stream import Batch, CaseMaker, MadeSampler, StreamSettings, TrainingCase

SPACING_MM = 4.0
VOXEL_ML = SPACING_MM**3 / 1000.0
NETWORK = ThinUNetSettings(full=4, widths=(12, 24, 48), deep_supervision=1)
SAMPLE = SampleSettings(patch=(40, 48, 40), shift=2)
MIRRORED = slice(4, 8)
ALL = torch.ones(4, dtype=torch.bool)
NO_LOOK_ALIKES = LookAlikes(**dict.fromkeys(LookAlikes.model_fields, False))


@dataclass(frozen=True)
class Variant:
    """One row of the table.

    Attributes:
        made: What is made.
        mirrored: Whether the network sees the difference to the other side.
        real: Share of cases painted into pseudo-healthy brains of unlabelled patients.
    """

    made: SynthesisSettings = field(default_factory=SynthesisSettings)
    mirrored: bool = True
    real: float = 0.0


VARIANTS = {
    "full": Variant(),
    "no look-alikes": Variant(SynthesisSettings(look_alikes=NO_LOOK_ALIKES)),
    "no tumour-free cases": Variant(SynthesisSettings(tumours=Tumours(healthy_share=0.0))),
    "no mirrored channels": Variant(mirrored=False),
    "no growth, ellipsoids": Variant(SynthesisSettings(tumours=Tumours(growth=False))),
    "no physical contrast": Variant(SynthesisSettings(contrast=Contrast(free_share=1.0))),
    "half pseudo-healthy": Variant(real=0.5),
}


@dataclass
class Made:
    """Cases of a variant at 4 mm, by seed."""

    bank: LabelMapBank
    carriers: list[Carrier]
    variant: Variant

    def __call__(self, seed: int) -> TrainingCase:
        """Images, brain and labels of one case."""
        own = np.random.default_rng([seed, 4])
        if own.random() < self.variant.real:
            carrier = self.carriers[int(own.integers(len(self.carriers)))]
            case = paint_tumour_into(carrier, self.variant.made, seed)
        else:
            case = make_case(self.bank, self.variant.made, seed)
        return halved(case.images, case.brain, case.labels)


def halved(images: Tensor, brain: Tensor, labels: Tensor) -> TrainingCase:
    """Blocks of 2 x 2 x 2 voxels become one: mean brightness inside the brain, majority of the labels."""
    inside = functional.avg_pool3d(brain[None, None].float(), 2)[0]
    values = functional.avg_pool3d((images.float() * brain)[None], 2)[0] / inside.clamp_min(0.125)
    mask = inside[0] >= 0.5
    shares = functional.avg_pool3d(functional.one_hot(labels.long(), 4).permute(3, 0, 1, 2)[None].float(), 2)[0]
    whole = shares[1:].sum(0) >= 0.5
    found = torch.where(whole, shares[1:].argmax(0) + 1, 0).to(torch.uint8) * mask
    return values * mask, mask, found


class WithoutMirror:
    """A sampler whose samples lack the channels that compare both sides."""

    def __init__(self, sampler: MadeSampler) -> None:
        self.sampler = sampler

    def __call__(self, step: int, lane: int) -> Batch:
        """One sample."""
        batch = self.sampler(step, lane)
        batch["x"][MIRRORED] = 0
        return batch


class Blind(nn.Module):
    """A trained network that does not see the channels that compare both sides."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.settings = network, network.settings

    def forward(self, x: Tensor) -> list[Tensor]:
        """Logits as the network itself gives them."""
        x = x.clone()
        x[:, MIRRORED] = 0
        out: list[Tensor] = self.network(x)
        return out


def arrays(scan: Scan) -> tuple[Tensor, Tensor, Tensor]:
    """Images (4, X, Y, Z), brain and presence of a scan at 4 mm."""
    coarse = to_spacing(scan.replace(brain=np.array(scan.foreground())), SPACING_MM)
    images = np.zeros((4, *coarse.shape), np.float32)
    for channel, sequence in enumerate(Modality):
        if sequence in coarse.images:
            images[channel] = coarse.images[sequence]
    assert coarse.brain is not None
    present = torch.tensor([sequence in coarse.images for sequence in Modality])
    return torch.from_numpy(images), torch.from_numpy(coarse.brain.copy()), present


@dataclass
class Yardsticks:
    """What every trained network is asked."""

    phantoms: list[tuple[Tensor, ...]]
    made: list[tuple[Tensor, ...]]
    healthy: list[tuple[Tensor, ...]]
    ms: list[tuple[Tensor, ...]]

    def __call__(self, network: nn.Module) -> dict[str, float]:
        """Numbers of one network, by column."""
        phantoms = [dice(network, images, brain, truth) for images, brain, truth in self.phantoms]
        out = {"phantom": mean(phantoms)}
        tumours = [case for case in self.made if bool((case[2] > 0).any())]
        free = [case for case in self.made if not bool((case[2] > 0).any())]
        out["made"] = mean([dice(network, images, brain, labels > 0) for images, brain, labels in tumours])
        out["made false ml"] = mean([called(network, i, b, ALL) for i, b, _ in free])
        out["healthy false ml"] = mean([called(network, *scan) for scan in self.healthy])
        if self.ms:
            out["ms ml"] = mean([called(network, *scan) for scan in self.ms])
        return out


def dice(network: nn.Module, images: Tensor, brain: Tensor, truth: Tensor) -> float:
    found = predict_tensors(network, images, brain, ALL)[0] > 0.5
    return float(2 * (found & truth).sum() / (found.sum() + truth.sum()).clamp_min(1))


def called(network: nn.Module, images: Tensor, brain: Tensor, present: Tensor) -> float:
    return float((predict_tensors(network, images, brain, present)[0] > 0.5).sum()) * VOXEL_ML


def mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


def kept(file: Path, make: Callable[[], list[tuple[Tensor, ...]]]) -> list[tuple[Tensor, ...]]:
    """Tuples of arrays, made once and read the next time."""
    if not file.exists():
        arrays = {f"{i}/{j}": a.numpy() for i, row in enumerate(make()) for j, a in enumerate(row)}
        np.savez_compressed(file.with_suffix(".part.npz"), **arrays)
        file.with_suffix(".part.npz").replace(file)
    with np.load(file) as held:
        rows: dict[int, list[Tensor]] = {}
        for key in held.files:
            rows.setdefault(int(key.split("/")[0]), []).append(torch.from_numpy(held[key]))
    return [tuple(row) for row in rows.values()]


def yardsticks(make: CaseMaker, healthy: Path, ms: Path | None, n: int, folder: Path) -> Yardsticks:
    def phantoms() -> list[tuple[Tensor, ...]]:
        subjects = phantom_cohort(n, seed=90, spacing_mm=SPACING_MM, healthy_fraction=0.0)
        return [(*arrays(s.scan)[:2], torch.from_numpy(s.labels > 0)) for s in subjects]

    def scans() -> list[tuple[Tensor, ...]]:
        return [arrays(scan) for scan in open_cohort(healthy, brain_mask="*_DLMUSE.nii.gz")]

    return Yardsticks(
        kept(folder / "phantoms.npz", phantoms),
        kept(folder / "made.npz", lambda: [make(seed) for seed in range(16)]),
        kept(folder / "healthy.npz", scans),
        kept(folder / "ms.npz", lambda: [arrays(open_scan(ms))]) if ms is not None else [],
    )


def run(variant: Variant, make: CaseMaker, folder: Path, *, seed: int, steps: int) -> nn.Module:
    torch.manual_seed(seed)
    stream = StreamSettings(kept=200, reuse=8, first_seed=1_000_000 * (seed + 1))
    plain = MadeSampler(make, stream, SAMPLE, batch=2, seed=seed)
    settings = TrainSettings(
        steps=steps,
        batch=2,
        learning_rate=4e-3,
        warmup=10,
        ema=0.9,
        seed=seed,
        validate_every=steps,
        ahead=0,
        precision="fp32",
    )
    sampler: Callable[[int, int], Batch] = plain if variant.mirrored else WithoutMirror(plain)
    train(build(NETWORK), sampler, region_objective, folder, settings=settings, quiet=True)
    network, _ = load_network(folder / "last")
    return network if variant.mirrored else Blind(network).eval()


def table(results: dict[str, dict[str, dict[str, float]]]) -> str:
    """Means over seeds, with the two seeds' difference, as Markdown."""
    columns = list(next(iter(next(iter(results.values())).values())))
    lines = ["| variant | seeds | " + " | ".join(columns) + " |", "|---" * (len(columns) + 2) + "|"]
    for name, seeds in results.items():
        cells = []
        for column in columns:
            values = [row[column] for row in seeds.values()]
            digits = 1 if column.endswith("ml") else 3
            spread = f" ({min(values):.{digits}f} to {max(values):.{digits}f})" if len(values) > 1 else ""
            cells.append(f"{np.mean(values):.{digits}f}{spread}")
        lines.append(f"| {name} | {len(seeds)} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--labelmaps", type=Path, required=True, help="folder of label maps")
    parser.add_argument("--cache", type=Path, help="bank of the label maps, read or written")
    parser.add_argument("--healthy", type=Path, required=True, help="healthy scans with *_DLMUSE.nii.gz masks")
    parser.add_argument("--ms", type=Path, help="one scan without tumour but with lesions")
    parser.add_argument("--unlabelled", type=Path, help="patients whose better half becomes a brain")
    parser.add_argument("--only", nargs="*", help="variants; all by default")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--phantoms", type=int, default=24)
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.out.mkdir(parents=True, exist_ok=True)
    file = given.out / "results.json"
    results = json.loads(file.read_text()) if file.exists() else {}
    bank = LabelMapBank.from_folder(given.labelmaps, cache=given.cache)
    started = time.process_time()
    asked = yardsticks(Made(bank, [], Variant()), given.healthy, given.ms, given.phantoms, given.out)
    print(f"yardsticks: {len(asked.phantoms)} phantoms, {time.process_time() - started:.0f} s", flush=True)
    carriers: list[Carrier] | None = None
    for seed in range(given.seeds):
        for name in given.only or VARIANTS:
            variant = VARIANTS[name]
            if str(seed) in results.get(name, {}) or (variant.real and given.unlabelled is None):
                continue
            if variant.real and carriers is None:
                # a mirrored brain whose own checks say that it still shows disease is not used
                found = [pseudo_healthy(scan) for scan in open_cohort(given.unlabelled)]
                carriers = [carrier for carrier in found if carrier.usable]
                print(f"{len(carriers)} of {len(found)} patients give a usable brain", flush=True)
            started = time.process_time()
            make = Made(bank, carriers or [], variant)
            folder = given.out / f"{name.replace(' ', '-').replace(',', '')}-{seed}"
            network = run(variant, make, folder, seed=seed, steps=given.steps)
            trained = time.process_time() - started
            numbers = asked(network)
            results.setdefault(name, {})[str(seed)] = numbers
            file.write_text(json.dumps(results, indent=1))
            shown = ", ".join(f"{key} {value:.3f}" for key, value in numbers.items())
            spent = time.process_time() - started
            print(f"{name}, seed {seed}: {shown} ({trained:.0f} s of training, {spent:.0f} s in all)", flush=True)
    if results:
        shown = table({name: results[name] for name in VARIANTS if name in results})
        (given.out / "table.md").write_text(shown, encoding="utf-8")
        print(shown)


if __name__ == "__main__":
    main()
