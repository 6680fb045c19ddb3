"""Brain Dice of the built-in network on whole heads, and processor time and memory.

    python benchmarks/raw_brain.py ../shared/data

Reference: HD-BET's masks for the raw glioma patient; DLMUSE above 0, closed by 8 mm, for the thirteen healthy heads (on
FLAIR carried over by the rigid movement, for the headers are some mm apart).
"carried" is T1's mask carried by the rigid movement.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

import numpy as np
from scipy import ndimage

from annofree.formats.carried import carried_mask
from annofree.formats.nifti import read_labels, read_volume
from annofree.prepare.brain_ladder import network_brain
from annofree.prepare.rigid import register
from annofree.scan import Grid, canonical_grid, to_canonical


def head(file: Path) -> tuple[np.ndarray, Grid]:
    volume = read_volume(file)
    return np.ascontiguousarray(to_canonical(volume.array, volume.grid)), canonical_grid(volume.grid)


def mask(file: Path) -> tuple[np.ndarray, Grid]:
    labels, grid = read_labels(file)
    return np.ascontiguousarray(to_canonical(labels, grid)) > 0, canonical_grid(grid)


def closed(brain: np.ndarray, spacing_mm: float, reach_mm: float = 8.0) -> np.ndarray:
    wide = np.pad(brain, 8)
    grown = ndimage.distance_transform_edt(~wide, sampling=spacing_mm) <= reach_mm
    return (ndimage.distance_transform_edt(grown, sampling=spacing_mm) > reach_mm)[8:-8, 8:-8, 8:-8] | brain


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def timed(image: np.ndarray, grid: Grid) -> tuple[np.ndarray, float]:
    start = time.process_time()
    brain, _ = network_brain(image, grid)
    return brain, time.process_time() - start


def main(data: Path) -> None:
    seconds = []
    patient = data / "raw" / "TCGA-FG-6692"
    heads = {name: head(patient / f"raw_{name}.nii.gz") for name in ("t1", "t1c", "t2", "fla")}
    brain_t1, _ = timed(*heads["t1"])
    around = ndimage.distance_transform_edt(~brain_t1, sampling=heads["t1"][1].spacing_mm) <= 10
    print("TCGA-FG-6692  own network  carried from T1")
    for name, (image, grid) in heads.items():
        reference, _ = mask(patient / "hdbet" / f"hdbet_native_{name}.nii.gz")
        brain, taken = timed(image, grid)
        seconds.append(taken)
        carried = brain_t1
        if name != "t1":
            movement = register(*heads["t1"], image, grid, around)
            carried = carried_mask(brain_t1, heads["t1"][1], grid, movement.matrix)
        print(f"{name:12s}  {dice(brain, reference):.4f}       {dice(carried, reference):.4f}", flush=True)
    print("healthy       T1      FLAIR")
    rows = []
    for number in range(1, 14):
        folder = data / "healthy" / f"nichart_Subj{number}"
        labels, grid = mask(folder / f"Subj{number}_T1_DLMUSE.nii.gz")
        reference = closed(labels, grid.spacing_mm[0])
        scores = []
        for name in ("T1", "FL"):
            image, own = head(folder / f"Subj{number}_{name}.nii.gz")
            brain, taken = timed(image, own)
            there = reference
            if name == "FL":
                around = ndimage.distance_transform_edt(~reference, sampling=grid.spacing_mm) <= 10
                movement = register(*head(folder / f"Subj{number}_T1.nii.gz"), image, own, around)
                there = carried_mask(reference, grid, own, movement.matrix)
            seconds.append(taken)
            scores.append(dice(brain, there))
        rows.append(scores)
        print(f"Subj{number:<8d}  {scores[0]:.4f}  {scores[1]:.4f}", flush=True)
    print("mean          " + "  ".join(f"{value:.4f}" for value in np.mean(rows, axis=0)))
    print("least         " + "  ".join(f"{value:.4f}" for value in np.min(rows, axis=0)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{np.median(seconds):.1f} s of processor time a head (median of {len(seconds)}), peak {peak:.2f} GB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
