"""MViT-AE on phantoms: fusion x refiner, rounds, the published decisions, and the controls that reconstruct nothing.

Run: python benchmarks/ablate_mvit.py OUT.tsv [--cases 40] [--model FOLDER] [--published FOLDER] [--cache FOLDER]
Without folders the shipped models are used. Rows already in OUT.tsv are kept, so a stopped run goes on.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from annofree import methods
from annofree.methods.base import Method
from annofree.metrics import Overlap, lesionwise, match_lesions, rule_for
from annofree.phantom import phantom_subject
from annofree.refine.walker import RandomWalker
from annofree.scan import Scan, Sequence, scoring
from annofree.segmentation import REGIONS

#: Name of a row, which model, its options, whether a random walker draws the border.
ROWS: tuple[tuple[str, str, dict[str, Any], bool], ...] = (
    ("early-late", "ours", {"fusion": "early-late"}, False),
    ("early-late + walker", "ours", {"fusion": "early-late"}, True),
    ("early-late, constant (intensity control)", "ours", {"reconstruction": "constant"}, False),
    ("early-late, constant + walker", "ours", {"reconstruction": "constant"}, True),
    ("early", "ours", {"fusion": "early"}, False),
    ("early + walker", "ours", {"fusion": "early"}, True),
    ("late", "ours", {"fusion": "late"}, False),
    ("late + walker", "ours", {"fusion": "late"}, True),
    ("early-late, one round", "ours", {"rounds": 1}, False),
    ("published", "published", {}, False),
    ("published, constant", "published", {"reconstruction": "constant"}, False),
    ("published, holes kept", "published", {"fill_over_enhancing": False}, False),
)
FIRST_SEED = 100
COLUMNS = ("case", "row", "region", "dice", "lesionwise", "any", "dice10", "hits", "missed", "false")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--cases", type=int, default=40)
    parser.add_argument("--model")
    parser.add_argument("--published")
    parser.add_argument("--rows", default="", help="only rows that hold one of these words, separated by |")
    parser.add_argument("--cache", type=Path)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    models = {
        "ours": methods.load(chosen.model) if chosen.model else methods.shipped("mvit-ae"),
        "published": methods.load(chosen.published) if chosen.published else methods.shipped("mvit-ae-published"),
    }
    wanted = [row for row in ROWS if not chosen.rows or any(word in row[0] for word in chosen.rows.split("|"))]
    done = {(r["case"], r["row"]) for r in read(chosen.out)}
    with chosen.out.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, delimiter="\t")
        if not done:
            writer.writeheader()
        for number in range(chosen.cases):
            name = f"phantom-{FIRST_SEED + number}"
            missing = [row for row in wanted if (name, row[0]) not in done]
            if not missing:
                continue
            scan, labels = phantom(FIRST_SEED + number, chosen.cache)
            for title, model, options, walker in missing:
                found = answer(models[model], options, walker, scan)
                writer.writerows(scored(name, title, found, labels, scan))
            stream.flush()
    report(read(chosen.out))


def phantom(seed: int, cache: Path | None) -> tuple[Scan, Any]:
    """A phantom at 2 mm, kept in the cache."""
    file = None if cache is None else cache / f"ph{seed}.npz"
    if file is not None and file.is_file():
        with np.load(file) as held:
            images = {s: held[f"img_{s}"] for s in Sequence if f"img_{s}" in held}
            return Scan(f"phantom-{seed}", images, np.diag([2.0, 2.0, 2.0, 1.0]), brain=held["brain"]), held["lab"]
    subject = phantom_subject(seed)
    if file is not None:
        images = {f"img_{s}": image for s, image in subject.scan.images.items()}
        np.savez(file, lab=subject.labels, brain=subject.scan.brain, **images)
    return subject.scan, subject.labels


def answer(model: Method, options: dict[str, Any], walker: bool, scan: Scan) -> Any:
    """Labels of one row."""
    kept_settings, kept_refiners = model.settings, model.refiners
    model.with_options(**options)
    if walker:
        model.refiners = {**kept_refiners, "WT": (*kept_refiners.get("WT", ()), RandomWalker())}
    labels = model.segment(scan).labels
    model.settings, model.refiners = kept_settings, kept_refiners
    return labels


def scored(case: str, row: str, found: Any, truth: Any, scan: Scan) -> list[dict[str, Any]]:
    rows = []
    with scoring():
        for region, members in REGIONS.items():
            true, called = np.isin(truth, members), np.isin(found, members)
            overlap = Overlap.of(true, called)
            empty = not true.any() and not called.any()
            dice = 1.0 if empty else overlap.dice
            wise = lesionwise(true, called, scan.spacing_mm, rule_for("GLI"))
            match = match_lesions(true, called)
            rows.append(
                {
                    "case": case,
                    "row": row,
                    "region": region,
                    "dice": dice,
                    "lesionwise": wise.dice,
                    "any": int(overlap.both > 0) if true.any() else "",
                    "dice10": int(dice >= 0.1) if true.any() else "",
                    "hits": match.hits,
                    "missed": match.missed,
                    "false": match.false,
                }
            )
    return rows


def read(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open() as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def report(rows: list[dict[str, str]]) -> None:
    """One line a row: Dice and lesion-wise Dice of WT, TC, ET; the detection rates of WT."""
    groups: dict[str, dict[str, list[dict[str, str]]]] = defaultdict(lambda: defaultdict(list))
    for one in rows:
        groups[one["row"]][one["region"]].append(one)
    print(f"{'':42s} {'WT':>13s} {'TC':>13s} {'ET':>13s}  any   >=0.1 recall precision  n")
    for title, _, _, _ in ROWS:
        if title not in groups:
            continue
        found = groups[title]
        cells = []
        for region in REGIONS:
            pairs = [(float(one["dice"]), float(one["lesionwise"])) for one in found[region]]
            cells.append("{:.3f} / {:.3f}".format(*np.nanmean(pairs, axis=0)))
        whole = found["WT"]
        hits, missed, false = (sum(int(one[key]) for one in whole) for key in ("hits", "missed", "false"))
        rates = [np.mean([int(one[key]) for one in whole if one[key]]) for key in ("any", "dice10")]
        print(
            f"{title:42s} {' '.join(cells)}  {rates[0]:.3f} {rates[1]:.3f} "
            f"{hits / max(1, hits + missed):.3f}  {hits / max(1, hits + false):.3f}     {len(whole)}"
        )


if __name__ == "__main__":
    main()
