"""Learn a model's expected Dice and volume interval on made tumours, and see how well they hold on others.

    python benchmarks/calibrate_expectation.py MODEL --labelmaps ../shared/data/labelmaps [--rows FILE]

Learns from 100 phantoms and 60 made cases, writes MODEL/expectation.json, then tests on 80 further phantoms. About
2 s of processor time a case. `--rows FILE` keeps what was measured, by weights and rules, so that a stopped run goes
on and a repeated one only learns again. Run it after every change of weights, thresholds or refiners.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree import methods
from annofree.formats.grids import on_grid
from annofree.methods.base import Method
from annofree.phantom import phantom_subject
from annofree.pipeline import segment_scan
from annofree.scan import Modality, Scan
from annofree.synthesis import LabelMapBank, SynthesisSettings, make_case
from annofree.synthesis.generator import affine_of
from annofree.synthesis.settings import Tumours
from annofree.trust.calibrations import weights_fingerprint
from annofree.trust.expectation import Expectation, Judged
from annofree.trust.marks import marks_of

#: First seeds: to learn from, and of those that nobody chose on.
LEARN, MADE, TEST = 610000, 620000, 650000
SUBSETS = (tuple(Modality), (Modality.T1, Modality.FLAIR), (Modality.FLAIR,), tuple(Modality))
BINS = 10


def cases(bank: LabelMapBank | None, phantoms: int, made: int, test: int) -> Iterator[tuple[str, str, Any]]:
    """Part, id, and what gives scan and labels."""
    for seed in range(LEARN, LEARN + phantoms):
        yield "learn", f"phantom-{seed}", lambda seed=seed: _phantom(seed)
    for seed in range(MADE, MADE + made):
        yield "learn", f"made-{seed}", lambda seed=seed: _made(bank, seed)
    for seed in range(TEST, TEST + test):
        yield "test", f"phantom-{seed}", lambda seed=seed: _phantom(seed)


def _phantom(seed: int) -> tuple[Scan, NDArray[Any]]:
    subject = phantom_subject(seed)
    return _some(subject.scan, seed), subject.labels


def _made(bank: LabelMapBank | None, seed: int) -> tuple[Scan, NDArray[Any]]:
    assert bank is not None
    case = make_case(bank, SynthesisSettings(tumours=Tumours(healthy_share=0.0)), seed=seed)
    images = dict(zip(Modality, case.images.numpy(), strict=True))
    return _some(Scan(f"made-{seed}", images, affine_of(case), brain=case.brain.numpy()), seed), case.labels.numpy()


def _some(scan: Scan, seed: int) -> Scan:
    """The scan with one of the usual sets of sequences."""
    kept = SUBSETS[np.random.default_rng(seed).integers(len(SUBSETS))]
    return scan.replace(images={name: image for name, image in scan.images.items() if name in kept})


def measured(method: Method, scan: Scan, labels: NDArray[Any]) -> dict[str, Any]:
    """Marks of the answer beside what it is worth, and how often a probability is right."""
    result = segment_scan(scan, method, locate=False)
    mask, truth = result.mask("WT"), labels > 0
    odds = on_grid(result.scores["WT"], result.grid).values[scan.foreground()]
    place = np.minimum((odds * BINS).astype(int), BINS - 1)
    hit = truth[scan.foreground()]
    return {
        "marks": marks_of(result, scan),
        "dice": 2 * float((mask & truth).sum()) / max(float(mask.sum() + truth.sum()), 1.0),
        "said_ml": float(mask.sum()) * scan.voxel_ml,
        "true_ml": float(truth.sum()) * scan.voxel_ml,
        "sequences": len(scan.images),
        "voxels": np.bincount(place, minlength=BINS).tolist(),
        "right": np.bincount(place[hit], minlength=BINS).tolist(),
    }


def main() -> None:
    """Measure, learn, write, test."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--labelmaps", type=Path, default=None)
    parser.add_argument("--phantoms", type=int, default=100)
    parser.add_argument("--made", type=int, default=60)
    parser.add_argument("--test", type=int, default=80)
    parser.add_argument("--rows", type=Path, default=None)
    told = parser.parse_args()
    method = methods.load(told.model)
    now = {"weights": weights_fingerprint(told.model), "rules": method.deciding}
    known: dict[str, dict[str, Any]] = {}
    if told.rows is not None and told.rows.exists():
        rows = [json.loads(line) for line in told.rows.read_text().splitlines()]
        known = {row["id"]: row for row in rows if {name: row[name] for name in now} == now}
    bank = _bank(told.labelmaps) if told.made else None
    rows = []
    for part, name, make in cases(bank, told.phantoms, told.made, told.test):
        if name not in known:
            known[name] = {"id": name, "part": part, **now, **measured(method, *make())}
            if told.rows is not None:
                with told.rows.open("a") as file:
                    file.write(json.dumps(known[name]) + "\n")
        row = known[name]
        rows.append(row)
        print(name, f"Dice {row['dice']:.3f}, {row['said_ml']:.1f} of {row['true_ml']:.1f} ml", flush=True)
    learned = Expectation.learn([_judged(row) for row in rows if row["part"] == "learn"], now["rules"], now["weights"])
    print("written to", learned.write(told.model))
    test = [row for row in rows if row["part"] == "test"]
    for title, group in (
        ("all", test),
        ("four sequences", [r for r in test if r["sequences"] == 4]),
        ("fewer", [r for r in test if r["sequences"] < 4]),
    ):
        if len(group) > 2:
            report(title, learned, group)
    reliability(test)


def report(title: str, learned: Expectation, rows: list[dict[str, Any]]) -> None:
    """How well the expectation holds: correlation, error, coverage."""
    from scipy.stats import spearmanr

    told = [learned.expect(row["marks"], {}) for row in rows]
    pairs = np.array([(one.dice, row["dice"]) for one, row in zip(told, rows, strict=True) if one.dice is not None])
    held = [
        (one.low_ml or 0.0) <= row["true_ml"] <= one.high_ml
        for one, row in zip(told, rows, strict=True)
        if one.high_ml is not None
    ]
    error = float(np.abs(pairs[:, 0] - pairs[:, 1]).mean())
    wide = [one.high_ml / one.low_ml for one in told if one.low_ml and one.high_ml]
    print(
        f"{title}: {len(rows)} phantoms, nothing found in {len(rows) - len(pairs)}; "
        f"Spearman {spearmanr(*pairs.T).statistic:.2f}, mean absolute error {error:.3f}, "
        f"mean expected {pairs[:, 0].mean():.3f}, real {pairs[:, 1].mean():.3f}; "
        f"volume inside the interval {sum(held)} of {len(held)} ({np.mean(held):.2f}), "
        f"median upper / lower end {np.median(wide):.2f}"
    )


def reliability(rows: list[dict[str, Any]]) -> None:
    """Of voxels with a probability, how many are tumour."""
    voxels, right = (np.sum([row[name] for row in rows], axis=0) for name in ("voxels", "right"))
    print("| probability | voxels | tumour |\n|---|---|---|")
    for place, (n, hit) in enumerate(zip(voxels, right, strict=True)):
        print(f"| {place / BINS:.1f} to {(place + 1) / BINS:.1f} | {n} | {hit / max(n, 1):.2f} |")


def _judged(row: dict[str, Any]) -> Judged:
    return Judged(row["marks"], row["dice"], row["said_ml"], row["true_ml"])


def _bank(file: Path | None) -> LabelMapBank:
    if file is None:
        return LabelMapBank.from_mni()
    return LabelMapBank.from_folder(file) if file.is_dir() else LabelMapBank.load(file)


if __name__ == "__main__":
    main()
