"""Does a second method help the default? Calibrated scores of several methods, combined, on phantoms.

    python benchmarks/table_consensus.py OUT.tsv --learn 16 --test 32 [--methods synthtumour mvit-ae]

Each method's whole-tumour score becomes a probability by a table learned on the first phantoms (20 steps of equal
counts, made monotone); the consensus is the mean of their logits. Every row is decided at 0.5 with the default's own
refiners, so that rows differ by their scores alone. Phantoms at 2 mm, kinds in turn, seeds that taught nothing.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

import numpy as np

from annofree import methods
from annofree.methods.decide import Rules, Scored, decide
from annofree.phantom import KINDS, phantom_subject
from annofree.segmentation import ScoreMap
from annofree.thresholds.fixed import Fixed

FIRST = 810_000
STEPS = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--learn", type=int, default=16)
    parser.add_argument("--test", type=int, default=32)
    parser.add_argument("--methods", nargs="+", default=["synthtumour", "mvit-ae"])
    given = parser.parse_args()
    built = {name: methods.shipped(name) for name in given.methods}
    seen: dict[str, list[tuple[Any, Any]]] = {name: [] for name in built}
    for seed in range(FIRST, FIRST + given.learn):
        subject, _, scores, _ = answers(built, seed)
        brain = scores[given.methods[0]] >= 0
        for name, values in scores.items():
            seen[name].append((values[brain], subject.labels[brain] > 0))
    tables = {name: learned(*map(np.concatenate, zip(*pairs, strict=True))) for name, pairs in seen.items()}
    rows: list[dict[str, Any]] = []
    for seed in range(FIRST + given.learn, FIRST + given.learn + given.test):
        subject, scan, scores, own = answers(built, seed)
        odds = {name: np.interp(values, *tables[name]) for name, values in scores.items()}
        whole = 1.0 / (1.0 + np.exp(-np.mean(list(odds.values()), axis=0)))
        row: dict[str, Any] = {"seed": seed, "kind": subject.kind}
        for name, mask in {**own, "consensus": masked(built[given.methods[0]], whole, scan)}.items():
            truth = subject.labels > 0
            row[name] = round(2 * int((truth & mask).sum()) / max(1, int(truth.sum() + mask.sum())), 4)
            row[f"{name} ml"] = round(float(mask.sum()) * scan.voxel_ml, 2)
        rows.append(row)
        with given.out.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, list(row), delimiter="\t")
            writer.writeheader()
            writer.writerows(rows)
    for kind in (*KINDS, "all"):
        here = [row for row in rows if kind == row["kind"] or (kind == "all" and row["kind"] != "healthy")]
        column = "{} ml" if kind == "healthy" else "{}"
        print(kind, {name: round(float(np.mean([row[column.format(name)] for row in here])), 3) for name in rows[0]
                     if name in (*built, "consensus")} if here else "")  # fmt: skip


def answers(built: dict[str, Any], seed: int) -> tuple[Any, Any, dict[str, Any], dict[str, Any]]:
    """The phantom, its scan, each method's score of the whole tumour, and each method's own mask."""
    subject = phantom_subject(seed, kind=KINDS[seed % len(KINDS)], spacing_mm=2.0)
    scores, masks = {}, {}
    for name, method in built.items():
        scan = method.prepared(subject.scan)
        scored = method.score(scan)
        scores[name] = scored["WT"].values.astype(np.float32)
        masks[name] = decide(scored, scan).labels > 0
    return subject, built[next(iter(built))].prepared(subject.scan), scores, masks


def masked(method: Any, whole: Any, scan: Any) -> Any:
    rules = Rules({"WT": Fixed(value=0.5, tier="T0", source="even odds")}, {"WT": method.refiners["WT"]})
    score = ScoreMap(whole.astype(np.float32), "WT", "probability", scan.grid)
    return decide(Scored({"WT": score}, rules), scan).labels > 0


def learned(values: Any, truth: Any) -> tuple[Any, Any]:
    """Levels of a score and the logit of the share of tumour there, made monotone."""
    edges = np.unique(np.quantile(values[truth], np.linspace(0, 1, STEPS + 1)))
    place = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    share = np.array([(truth[place == k].sum() + 1) / ((place == k).sum() + 2) for k in range(len(edges) - 1)])
    share = np.maximum.accumulate(share)
    return (edges[:-1] + edges[1:]) / 2, np.log(share / (1 - share))


if __name__ == "__main__":
    main()
