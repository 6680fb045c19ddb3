"""Does the distribution-shifted validation task choose a better checkpoint than cases like the training's?

The published first stage is trained on healthy FLAIR, real and made; at regular steps the network is measured on
held-out brains with tumours like the training's, on their distribution-shifted twins, and on the FLAIR of phantoms,
which choose nothing. Tumours are put in at 2 mm and averaged to 4 mm. A stopped run goes on where it was.

    python benchmarks/published_selection.py OUT --labelmaps DIR --healthy DIR [--seeds 2] [--picture FILE]
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from ablate_junior import kept
from scipy.stats import spearmanr
from torch import Tensor, nn

from annofree.formats import open_cohort
from annofree.inference.torch_network import predict_tensors
from annofree.methods.synthtumour.published_junior import PublishedCases, fit_flair_junior, shifted_validation
from annofree.networks import ThinUNetSettings
from annofree.phantom import phantom_cohort
from annofree.prepare.resample import to_spacing
from annofree.scan import Modality, Scan
from annofree.synthesis import LabelMapBank, SynthesisSettings, make_case
from annofree.synthesis.settings import Tumours
from annofree.training.samples import FLAIR, SampleSettings
from annofree.training.settings import TrainSettings
from annofree.training.stream import TrainingCase

FINE_MM, BLOCKS = 2.0, 2
SAMPLE = SampleSettings(patch=(40, 48, 40), shift=2)
DARK = ("isointense", "hypointense")
RULES = {
    "Dice, shifted twins": ("dice_shifted", 1),
    "Dice, like the training's": ("dice_alike", 1),
    "loss, shifted twins": ("loss_shifted", -1),
    "loss, like the training's": ("loss_alike", -1),
}


def flair_of(scan: Scan, spacing_mm: float) -> tuple[Tensor, Tensor]:
    """Four channels with FLAIR alone, and the brain."""
    coarse = to_spacing(scan.replace(brain=np.array(scan.foreground())), spacing_mm)
    images = torch.zeros((4, *coarse.shape))
    images[FLAIR] = torch.from_numpy(np.array(coarse.images[Modality.FLAIR]))
    assert coarse.brain is not None
    return images, torch.from_numpy(coarse.brain.copy())


def healthy_brains(
    labelmaps: Path, cache: Path | None, healthy: Path, made: int, folder: Path
) -> tuple[list[TrainingCase], list[TrainingCase]]:
    """Hosts to teach with and others to check with: two thirds and one third of the real and of the made brains."""

    def real() -> list[tuple[Tensor, ...]]:
        return [flair_of(scan, FINE_MM) for scan in open_cohort(healthy, brain_mask="*_DLMUSE.nii.gz")]

    def drawn() -> list[tuple[Tensor, ...]]:
        bank = LabelMapBank.from_folder(labelmaps, cache=cache)
        settings = SynthesisSettings(tumours=Tumours(healthy_share=1.0))
        cases = [make_case(bank, settings, 5_000_000 + seed) for seed in range(made)]
        flair_alone = torch.tensor([0.0, 0.0, 0.0, 1.0]).view(4, 1, 1, 1)
        return [(case.images * flair_alone, case.brain) for case in cases]

    teach: list[TrainingCase] = []
    check: list[TrainingCase] = []
    for group in (kept(folder / "real.npz", real), kept(folder / "drawn.npz", drawn)):
        for number, (images, brain) in enumerate(group):
            (check if number % 3 == 2 else teach).append((images, brain, brain.byte() * 0))
    return teach, check


@dataclass
class OnPhantoms:
    """FLAIR Dice on phantoms, all of them and those whose tumour is bright."""

    cases: list[tuple[Tensor, ...]]

    def __call__(self, network: nn.Module) -> dict[str, float]:
        """Mean Dice."""
        present = torch.tensor([False, False, False, True])
        scores = []
        for images, brain, truth, _ in self.cases:
            found = predict_tensors(network, images, brain, present)[0] > 0.5
            scores.append(float(2 * (found & truth).sum() / (found.sum() + truth.sum()).clamp_min(1)))
        bright = [s for s, case in zip(scores, self.cases, strict=True) if bool(case[3])]
        return {"phantom": float(np.mean(scores)), "phantom_bright": float(np.mean(bright))}


def phantoms(n: int, folder: Path) -> OnPhantoms:
    def make() -> list[tuple[Tensor, ...]]:
        cases = []
        for subject in phantom_cohort(n, seed=91, spacing_mm=FINE_MM * BLOCKS, healthy_fraction=0.0):
            images, brain = flair_of(subject.scan, FINE_MM * BLOCKS)
            cases.append((images, brain, torch.from_numpy(subject.labels > 0), torch.tensor(subject.kind not in DARK)))
        return cases

    return OnPhantoms(kept(folder / "phantoms.npz", make))


def checks_of(folder: Path) -> list[dict[str, float]]:
    records = [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    return [record for record in records if "phantom" in record]


def report(runs: list[list[dict[str, float]]]) -> str:
    """For every rule: rank correlation with the phantoms, and the phantom Dice of the checkpoint that it chooses."""
    lines = [
        "| chosen by | rank correlation with phantoms | step | phantoms | bright phantoms |",
        "|---|---|---|---|---|",
    ]

    def row(name: str, chosen: list[dict[str, float]], correlation: list[float]) -> None:
        cells = [" / ".join(f"{c:+.2f}" for c in correlation) or "", " / ".join(f"{c['step']:.0f}" for c in chosen)]
        cells += [" / ".join(f"{c[key]:.3f}" for c in chosen) for key in ("phantom", "phantom_bright")]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")

    for name, (key, sign) in RULES.items():
        chosen = [max(run, key=lambda c: sign * c[key]) for run in runs]
        ranks = [float(spearmanr([sign * c[key] for c in run], [c["phantom"] for c in run]).statistic) for run in runs]
        row(name, chosen, ranks)
    row("the last one", [run[-1] for run in runs], [])
    row("phantoms themselves (not allowed)", [max(run, key=lambda c: c["phantom"]) for run in runs], [])
    return "\n".join(lines) + "\n"


def draw(runs: list[list[dict[str, float]]], file: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * len(runs), 5.2), layout="constrained")
    grid = figure.subplots(2, len(runs), squeeze=False, sharex=True)
    colours = {"alike": "tab:blue", "shifted": "tab:orange"}
    names = {"alike": "like the training's", "shifted": "shifted twins"}
    for column, run in enumerate(runs):
        steps = [c["step"] for c in run]
        above, below = grid[0][column], grid[1][column]
        for kind, colour in colours.items():
            above.plot(steps, [c[f"dice_{kind}"] for c in run], color=colour, label=names[kind])
            below.plot(steps, [c[f"loss_{kind}"] for c in run], color=colour, label=names[kind])
            best = max(run, key=lambda c: c[f"dice_{kind}"])
            above.plot(best["step"], best["phantom"], "o", color=colour, markersize=7, markerfacecolor="none")
        above.plot(steps, [c["phantom"] for c in run], color="black", label="phantoms (circles: chosen)")
        above.set_title(f"seed {column}", fontsize=9)
        below.set_xlabel("step")
        below.set_yscale("log")
        if column == 0:
            above.set_ylabel("Dice")
            below.set_ylabel("validation loss")
            above.legend(fontsize=7)
        for axes in (above, below):
            axes.grid(alpha=0.3)
            axes.tick_params(labelsize=8)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=80)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--labelmaps", type=Path, required=True, help="folder of label maps")
    parser.add_argument("--cache", type=Path, help="bank of the label maps, read or written")
    parser.add_argument("--healthy", type=Path, required=True, help="healthy scans with FLAIR")
    parser.add_argument("--made", type=int, default=7, help="made healthy brains")
    parser.add_argument("--phantoms", type=int, default=40)
    parser.add_argument("--steps", type=int, default=260)
    parser.add_argument("--every", type=int, default=20, help="steps between two measurements")
    parser.add_argument("--cases", type=int, default=8, help="validation cases of each kind")
    parser.add_argument("--full", type=int, default=4, help="the network's channels at full resolution")
    parser.add_argument("--widths", type=int, nargs="+", default=[12, 24, 48], help="and below")
    parser.add_argument("--rate", type=float, default=2e-3, help="learning rate")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--picture", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    network = ThinUNetSettings(full=given.full, widths=tuple(given.widths), deep_supervision=1)
    folders = [given.out / f"seed-{seed}" for seed in range(given.seeds)]
    given.out.mkdir(parents=True, exist_ok=True)
    teach, check = healthy_brains(given.labelmaps, given.cache, given.healthy, given.made, given.out)
    print(f"{len(teach)} brains to teach with, {len(check)} to check with", flush=True)
    watch = phantoms(given.phantoms, given.out)
    for seed, folder in enumerate(folders):
        settings = TrainSettings(
            steps=given.steps,
            learning_rate=given.rate,
            warmup=10,
            schedule="poly",
            ema=0.0,
            seed=seed,
            validate_every=given.every,
            checkpoint_minutes=1.0,
            ahead=0,
            precision="fp32",
        )
        chosen = shifted_validation(check, FINE_MM, given.cases, blocks=BLOCKS)
        fit_flair_junior(
            PublishedCases(teach, FINE_MM, blocks=BLOCKS),
            lambda module, chosen=chosen: {**chosen(module), **watch(module)},
            folder,
            settings,
            spacing_mm=FINE_MM * BLOCKS,
            network=network,
            sample=SAMPLE,
        )
        runs = [run for run in map(checks_of, folders[: seed + 1]) if run]
        if runs:
            (given.out / "table.md").write_text(report(runs), encoding="utf-8")
            print(report(runs), flush=True)
            draw(runs, given.picture or given.out / "curves.png")


if __name__ == "__main__":
    main()
