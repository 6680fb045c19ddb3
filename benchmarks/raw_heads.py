"""Raw heads end to end with the default method: volumes, processor time, memory, warnings.

python benchmarks/raw_heads.py ../shared/data patient     # TCGA-FG-6692 raw, and as the reference pipeline stripped it:
                                                          # on its 1 mm voxels, and averaged to the slices of raw FLAIR
python benchmarks/raw_heads.py ../shared/data healthy     # tumour-free: as heads, with DLMUSE's mask, with it closed
python benchmarks/raw_heads.py ../shared/data heads -o OUT  # four gliomas without masks; pages to look at
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from raw_brain import closed, head, mask
from raw_registration import same_contrast

import annofree as af
from annofree.formats import open_scan
from annofree.formats.carried import carried_mask, carried_scores
from annofree.formats.nifti import write_volume
from annofree.prepare import Recipe
from annofree.scan import Scan


def sequences(folder: Path, names: dict[str, str]) -> dict[str, str]:
    return {sequence: str(folder / name) for sequence, name in names.items() if (folder / name).is_file()}


def one(name: str, segmenter: Any, source: Any, mask: Path | None = None, out: Path | None = None) -> None:
    started, spent = time.perf_counter(), time.process_time()
    scan = open_scan(source, brain_mask=mask, prepare=Recipe(), id=name.replace(" ", "-"))
    prepared = time.process_time() - spent
    result = segmenter(scan, locate=False)
    wall, cpu = time.perf_counter() - started, time.process_time() - spent
    volumes = "  ".join(f"{region} {volume:6.1f}" for region, volume in result.volumes_ml.items())
    brain = scan.foreground().sum() * scan.voxel_ml / 1000
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"{name:22s} {volumes} ml; brain {brain:.2f} l; {prepared:.1f} + {cpu - prepared:.1f} processor s, "
        f"{wall:.1f} s, {peak:.2f} GB",
        flush=True,
    )
    for warning in () if scan.preparation is None else scan.preparation.warnings:
        print(f"  {warning}", flush=True)
    if out is not None:
        result.save(out)


def on_slices_of_flair(folder: Path, stripped: Any) -> Scan:
    """The reference pipeline's images and brain, averaged to the slices that they were drawn from."""
    (bet, bet_grid), (raw, grid) = (head(folder / f"{kind}_fla.nii.gz") for kind in ("bet", "raw"))
    brain_there = mask(folder / "hdbet" / "hdbet_native_fla.nii.gz")[0]
    movement = same_contrast((bet, bet_grid), (raw, grid), brain_there)
    brain = carried_mask(stripped.foreground(), stripped.grid, grid, movement)
    images = {
        name: carried_scores(image, stripped.grid, grid, movement) * brain for name, image in stripped.images.items()
    }
    return Scan("bet-on-slices", images, grid.affine, brain=brain)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("which", choices=("patient", "healthy", "heads"))
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--only", type=int, nargs="*", default=range(8, 14), help="numbers of healthy subjects")
    given = parser.parse_args()
    data, segmenter = given.data, af.Segmenter()
    if given.which == "patient":
        folder = data / "raw" / "TCGA-FG-6692"
        for kind in ("bet", "raw"):
            names = {"T1": f"{kind}_t1.nii.gz", "T1C": f"{kind}_t1c.nii.gz", "T2": f"{kind}_t2.nii.gz"}
            names["FLAIR"] = f"{kind}_fla.nii.gz"
            one(kind, segmenter, sequences(folder, names), out=None if given.out is None else given.out / kind)
            if kind == "bet":
                averaged = on_slices_of_flair(folder, open_scan(sequences(folder, names), id=kind))
                volumes = segmenter(averaged, locate=False).volumes_ml
                told = "  ".join(f"{region} {volume:6.1f}" for region, volume in volumes.items())
                print(f"{'bet on raw slices':22s} {told} ml", flush=True)
    elif given.which == "healthy":
        for number in given.only:
            folder = data / "healthy" / f"nichart_Subj{number}"
            source = sequences(folder, {"T1": f"Subj{number}_T1.nii.gz", "FLAIR": f"Subj{number}_FL.nii.gz"})
            one(f"Subj{number} whole head", segmenter, source)
            given_mask = folder / f"Subj{number}_T1_DLMUSE.nii.gz"
            one(f"Subj{number} given mask", segmenter, source, given_mask)
            with tempfile.TemporaryDirectory() as temporary:
                labels, grid = mask(given_mask)
                file = Path(temporary) / "closed.nii.gz"
                write_volume(file, closed(labels, grid.spacing_mm[0]).astype(np.uint8), grid)
                one(f"Subj{number} its mask closed", segmenter, source, file)
    else:
        for folder in sorted((data / "raw_heads").iterdir()):
            one(folder.name, segmenter, folder, out=given.out)


if __name__ == "__main__":
    main()
