"""How sure the default's networks are of a whole tumour, and how often they are right, on made cases not learned from.

    python benchmarks/table_odds.py --labelmaps MAPS --carriers CARRIERS [--cases 36] [--model FOLDER]

CARRIERS are real tumour-free brains (`train_default.py` writes them); without them made brains alone are looked at. For
every set of sequences: the share of tumour among the voxels of a probability, the probability at which it is one half
(logistic fit), and the mean Dice of the network's mask at some thresholds, before any rule.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

import numpy as np

import annofree as af
from annofree.inference import predict_scan_array
from annofree.masks import dice
from annofree.methods.synthtumour.made_junior import JuniorSettings
from annofree.training.healthy import bank_of
from annofree.training.sources import MadeCases, PaintedCases

FIRST = 988_000_000
SEQUENCES = {"all four": (1, 1, 1, 1), "T1 and FLAIR": (1, 0, 0, 1), "FLAIR": (0, 0, 0, 1)}
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
EDGES = np.linspace(-6.0, 6.0, 49)
"""Of the classes that logits are sorted into."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labelmaps", help="folder; the MNI tissue maps where not given")
    parser.add_argument("--carriers", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--cases", type=int, default=36)
    given = parser.parse_args()
    fit = JuniorSettings()
    with tempfile.TemporaryDirectory() as folder:
        bank = bank_of(given.labelmaps, Path(folder) / "bank.npz")
    sources = {"made brains": MadeCases(bank, fit.synthesis, fit.spacing_mm)}
    if given.carriers is not None:
        files = sorted(given.carriers.glob("*.npz"))
        sources["real brains"] = PaintedCases(files, fit.synthesis, fit.spacing_mm, len(files))
    networks = [network for network, _ in af.Segmenter(given.model).method.networks]
    for brains, source in sources.items():
        tell(brains, source, networks, given.cases)


def tell(brains, source, networks, cases) -> None:
    """Print the table of one kind of brain."""
    counts = {name: np.zeros((2, len(EDGES) - 1)) for name in SEQUENCES}
    overlap = {name: {threshold: [] for threshold in THRESHOLDS} for name in SEQUENCES}
    for seed in range(FIRST, FIRST + cases):
        images, brain, labels = (part.numpy() for part in source(seed))
        truth, there = (labels > 0)[brain], (images != 0).any((1, 2, 3))
        if not truth.any():
            continue
        for name, wanted in SEQUENCES.items():
            present = np.array(wanted, bool) & there
            if not present.any():
                continue
            seen = images * present[:, None, None, None]
            # as the default looks: the first network as it is, the next flipped
            looks = [
                predict_scan_array(networks[i % len(networks)], seen, brain, present, flipped=bool(i))[0][brain]
                for i in (0, 1)
            ]
            odds = np.clip(np.mean(looks, axis=0, dtype=float), 1e-4, 1 - 1e-4)
            logits = np.log(odds / (1 - odds))
            counts[name] += [np.histogram(logits, EDGES)[0], np.histogram(logits[truth], EDGES)[0]]
            for threshold in THRESHOLDS:
                overlap[name][threshold].append(dice(odds > threshold, truth, empty=0.0))
    middles = (EDGES[1:] + EDGES[:-1]) / 2
    for name, (voxels, tumour) in counts.items():
        slope, offset = logistic(middles, voxels, tumour)
        print(f"{brains}, {name}: half are tumour at {chance(-offset / slope):.2f}")
        above_half = list(zip(middles, voxels, tumour, strict=True))[len(middles) // 2 :: 2]
        shares = [f"{chance(m):.2f} {t / v:.2f}" for m, v, t in above_half if v]
        print("  share of tumour at a probability:", ", ".join(shares))
        means = [f"{threshold} {statistics.fmean(values):.3f}" for threshold, values in overlap[name].items()]
        print("  mean Dice at a threshold:", ", ".join(means))


def logistic(middles, voxels, tumour) -> tuple[float, float]:
    """Slope and offset of the logistic curve through shares of tumour, by Newton's method."""
    design, weights = np.stack([middles, np.ones_like(middles)], axis=1), np.array([1.0, 0.0])
    for _ in range(50):
        expected = chance(design @ weights)
        bend = (design * (voxels * expected * (1 - expected))[:, None]).T @ design
        weights = weights + np.linalg.solve(bend, design.T @ (tumour - voxels * expected))
    return float(weights[0]), float(weights[1])


def chance(logit):
    """Probability of a logit."""
    return 1.0 / (1.0 + np.exp(-logit))


if __name__ == "__main__":
    main()
