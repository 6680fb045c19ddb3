"""Stripped patients put back into heads: what the raw way gives against what the prepared scan gives.

    python benchmarks/raw_painted.py ../shared/data/labelmaps ../shared/data/unlabelled/* [--truth FILE ...]

Skull and scalp come from a label map; every sequence is moved by up to 4 mm and 4 degrees about each axis and stored in
slices of its own: T1 and T1C 2 mm, T2 and FLAIR 4 mm. Whole-tumour Dice between the two answers, and of each against a
truth where one is given; both are looked at on the prepared scan's grid.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from made_heads import moved, painted_around, photographed

import annofree as af
from annofree.formats import open_scan
from annofree.formats.carried import carried_mask
from annofree.formats.nifti import read_labels
from annofree.formats.study import Study
from annofree.masks import bounding_box
from annofree.prepare import Recipe
from annofree.scan import Modality, to_canonical
from annofree.synthesis import LabelMapBank

SLICE_MM = {Modality.T1: 2.0, Modality.T1C: 2.0, Modality.T2: 4.0, Modality.FLAIR: 4.0}


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """Dice of two masks."""
    return float(2 * (a & b).sum() / max(1, a.sum() + b.sum()))


def main() -> None:
    """Print a row a patient."""
    parser = argparse.ArgumentParser()
    parser.add_argument("maps", type=Path)
    parser.add_argument("patients", nargs="+")
    parser.add_argument("--truth", nargs="*", default=[])
    given = parser.parse_args()
    bank = LabelMapBank.load(given.maps) if given.maps.suffix == ".npz" else LabelMapBank.from_folder(given.maps)
    segmenter = af.Segmenter()
    for number, source in enumerate(given.patients):
        scan = open_scan(source)
        box = bounding_box(scan.foreground())
        assert box is not None
        scan = scan.within(box)
        rng = np.random.default_rng(number)
        head = painted_around(scan, bank.maps[number % len(bank)], number)
        images, grids, moves = {}, {}, {}
        for name in scan.images:
            moves[name] = moved(rng, 4.0, 4.0)
            images[name], grids[name] = photographed(head, name, SLICE_MM[name], moves[name])
        study = Study(scan.id, images, grids, grids, dict.fromkeys(images, "it shows a skull"), files={})
        start = time.process_time()
        raw = Recipe()(study)
        result = segmenter(raw, locate=False)
        taken = time.process_time() - start
        assert raw.preparation is not None
        back = np.linalg.inv(moves[raw.preparation.reference])
        found = carried_mask(result.labels > 0, result.grid, scan.grid, back)
        straight = segmenter(scan, locate=False).labels > 0
        lost = float((straight & ~carried_mask(raw.foreground(), raw.grid, scan.grid, back)).sum()) * scan.voxel_ml
        told = f"WT {found.sum() * scan.voxel_ml:.1f} ml raw, {straight.sum() * scan.voxel_ml:.1f} prepared"
        print(
            f"{scan.id}: {told}; Dice {dice(found, straight):.3f}; {lost:.1f} ml outside the brain; {taken:.0f} s",
            flush=True,
        )
        print("  " + "; ".join(raw.preparation.warnings), flush=True)
        if number < len(given.truth):
            labels, grid = read_labels(given.truth[number])
            truth = (to_canonical(labels, grid) > 0)[box]
            print(
                f"  against the truth: {dice(found, truth):.3f} raw, {dice(straight, truth):.3f} prepared", flush=True
            )


if __name__ == "__main__":
    main()
