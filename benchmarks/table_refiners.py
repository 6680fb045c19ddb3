"""Whole-tumour Dice on phantoms: methods x refiners.

    python benchmarks/table_refiners.py --out OUT.jsonl [--tumours 44] [--minutes 60] [--weights FOLDER]

The refiners follow the method's own ones, of which the surface refiners (appearance, promptable) are
taken out first. Phantoms at 2 mm of all kinds, none healthy; they taught none of the methods and none of the refiners.
Each finished phantom is a line in OUT.jsonl, and a run that was stopped goes on from there.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from annofree import methods
from annofree.methods.decide import Rules, Scored, decide
from annofree.phantom import phantom_cohort
from annofree.refine import Refiner
from annofree.refine.appearance import Appearance
from annofree.refine.promptable import Promptable

SEED = 20261121
SURFACE = ("appearance", "promptable")
QUALITY = {"synthtumour": {"quality": "fast"}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tumours", type=int, default=44)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--methods", nargs="+", default=["intensity", "synthtumour"])
    parser.add_argument("--weights")
    wanted = parser.parse_args()
    chains: dict[str, tuple[Refiner, ...]] = {
        "none": (),
        "promptable": (Promptable(weights=wanted.weights),),
        "appearance": (Appearance(),),
    }
    built = {name: methods.shipped(name).replace(**QUALITY.get(name, {})) for name in wanted.methods}
    rows = [json.loads(line) for line in wanted.out.read_text().splitlines()] if wanted.out.exists() else []
    done, started = {row["id"] for row in rows}, time.monotonic()
    for subject in phantom_cohort(wanted.tumours, seed=SEED, healthy_fraction=0.0):
        if subject.scan.id in done:
            continue
        if time.monotonic() - started > 60 * wanted.minutes:
            break
        row: dict[str, object] = {"id": subject.scan.id, "kind": subject.kind, "ml": subject.findings["volume_ml"]}
        for name, method in built.items():
            scan = method.prepared(subject.scan)
            answer = method.score(scan)
            whole = {"WT": answer["WT"]}
            own = tuple(r for r in method.refiners["WT"] if r.kind not in SURFACE)
            for label, chain in chains.items():
                decision = decide(Scored(whole, Rules(method.thresholds, {"WT": own + chain})), scan)
                row[f"{name} / {label}"] = dice(subject.labels > 0, decision.labels > 0)
        rows.append(row)
        with wanted.out.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(len(rows), row, flush=True)
    report(rows)


def dice(truth: np.ndarray, found: np.ndarray) -> float:
    return float(2 * (truth & found).sum() / (truth.sum() + found.sum()))


def report(rows: list[dict[str, object]]) -> None:
    rng = np.random.default_rng(0)
    columns = [name for name in rows[0] if " / " in name]
    values = {name: np.array([row[name] for row in rows], dtype=float) for name in columns}
    print(f"{len(rows)} phantoms")
    for name in columns:
        method = name.split(" / ")[0]
        better = values[f"{method} / none"], values[f"{method} / appearance"]
        best = max(better, key=np.mean)
        draws = rng.integers(0, len(rows), (10_000, len(rows)))
        low, high = np.percentile((values[name] - best)[draws].mean(axis=1), (2.5, 97.5))
        print(f"{name:44s} {values[name].mean():.3f}   over the better of the first two: "
              f"{(values[name] - best).mean():+.3f} ({low:+.3f} to {high:+.3f})")  # fmt: skip


if __name__ == "__main__":
    main()
