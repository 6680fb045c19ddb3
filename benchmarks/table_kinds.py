"""Whole tumour, core and enhancing tumour on phantoms by kind: found or not, Dice, precision and recall.

    python benchmarks/table_kinds.py OUT.tsv --first 700 --cases 88 [--spacing 1] [--model FOLDER] [--sequence T1 FLAIR]

Phantoms at 2 mm (or `--spacing`), kinds in turn; they teach no method and no seed from 700 on has chosen anything.
Each finished phantom is a line in OUT.tsv, and a run that was stopped goes on from there.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import time
from pathlib import Path

import numpy as np

import annofree as af
from annofree.phantom import KINDS, phantom_subject
from annofree.scan import Modality

REGIONS = {"WT": (1, 2, 3), "TC": (1, 3), "ET": (3,)}
LEAST_ML = {"WT": 0.5, "TC": 1.0, "ET": 1.0}
"""Regions smaller than this are counted as absent: a few voxels decide their Dice."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--first", type=int, default=700)
    parser.add_argument("--cases", type=int, default=88)
    parser.add_argument("--spacing", type=float, default=2.0, help="edge of the voxels, mm; patients are judged at 1")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--sequence", choices=[m.name for m in Modality], nargs="+", help="those that are there")
    parser.add_argument("--minutes", type=float, default=60.0)
    given = parser.parse_args()
    segmenter = af.Segmenter(given.model)
    rows = list(csv.DictReader(given.out.open(), delimiter="\t")) if given.out.exists() else []
    done, started = {row["seed"] for row in rows}, time.monotonic()
    for seed in range(given.first, given.first + given.cases):
        if str(seed) in done or time.monotonic() - started > 60 * given.minutes:
            continue
        subject = phantom_subject(seed, KINDS[seed % len(KINDS)], given.spacing)
        scan = subject.scan
        if given.sequence is not None:
            scan = scan.replace(images={Modality[name]: scan.images[Modality[name]] for name in given.sequence})
        found = segmenter(scan, locate=False).labels
        row = {"seed": str(seed), "kind": subject.kind}
        for name, values in REGIONS.items():
            truth, called = np.isin(subject.labels, values), np.isin(found, values)
            both, ml = int((truth & called).sum()), scan.voxel_ml
            row[f"{name}_ml"], row[f"{name}_called_ml"] = f"{truth.sum() * ml:.3f}", f"{called.sum() * ml:.3f}"
            row[f"{name}_dice"] = f"{2 * both / max(1, int(truth.sum() + called.sum())):.4f}"
            row[f"{name}_precision"] = f"{both / max(1, int(called.sum())):.4f}"
            row[f"{name}_recall"] = f"{both / max(1, int(truth.sum())):.4f}"
        rows.append(row)
        write(given.out, rows)
    print(table(rows))


def write(out: Path, rows: list[dict[str, str]]) -> None:
    with out.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), delimiter="\t")
        writer.writeheader()
        writer.writerows(rows)


def table(rows: list[dict[str, str]]) -> str:
    """A Markdown table: kinds, then all."""
    lines = ["| kind | n | found | WT | TC | ET | WT precision, recall | TC precision, recall | called in error, ml |"]
    lines.append("|" + "---|" * 9)
    for kind in (*KINDS, "all"):
        here = [row for row in rows if kind in (row["kind"], "all")]
        if not here:
            continue
        tumours = [row for row in here if float(row["WT_ml"]) >= LEAST_ML["WT"]]
        cells = [kind, str(len(here)), f"{sum(float(r['WT_dice']) > 0.1 for r in tumours)} of {len(tumours)}"]
        cells += [mean(here, region, "dice") for region in REGIONS]
        cells += [", ".join(mean(here, region, what) for what in ("precision", "recall")) for region in ("WT", "TC")]
        free = [float(row["WT_called_ml"]) for row in here if float(row["WT_ml"]) == 0]
        cells.append(f"{max(free):.1f} at most" if free else "")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def mean(rows: list[dict[str, str]], region: str, what: str) -> str:
    values = [float(r[f"{region}_{what}"]) for r in rows if float(r[f"{region}_ml"]) >= LEAST_ML[region]]
    return f"{statistics.fmean(values):.2f}" if values else "-"


if __name__ == "__main__":
    main()
