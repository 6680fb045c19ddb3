"""Raw heads end to end with the default method: volumes, processor time, memory, warnings.

python benchmarks/raw_heads.py ../shared/data patient     # TCGA-FG-6692 raw, and as the reference pipeline stripped it
python benchmarks/raw_heads.py ../shared/data healthy     # tumour-free heads, as heads and with DLMUSE's mask
python benchmarks/raw_heads.py ../shared/data heads -o OUT  # four gliomas without masks; pages to look at
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path
from typing import Any

import annofree as af
from annofree.formats import open_scan
from annofree.prepare import Recipe


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


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("which", choices=("patient", "healthy", "heads"))
    parser.add_argument("-o", "--out", type=Path)
    given = parser.parse_args()
    data, segmenter = given.data, af.Segmenter()
    if given.which == "patient":
        folder = data / "raw" / "TCGA-FG-6692"
        for kind in ("bet", "raw"):
            names = {"T1": f"{kind}_t1.nii.gz", "T1C": f"{kind}_t1c.nii.gz", "T2": f"{kind}_t2.nii.gz"}
            names["FLAIR"] = f"{kind}_fla.nii.gz"
            one(kind, segmenter, sequences(folder, names), out=None if given.out is None else given.out / kind)
    elif given.which == "healthy":
        for number in range(8, 14):
            folder = data / "healthy" / f"nichart_Subj{number}"
            source = sequences(folder, {"T1": f"Subj{number}_T1.nii.gz", "FLAIR": f"Subj{number}_FL.nii.gz"})
            one(f"Subj{number} whole head", segmenter, source)
            one(f"Subj{number} given mask", segmenter, source, folder / f"Subj{number}_T1_DLMUSE.nii.gz")
    else:
        for folder in sorted((data / "raw_heads").iterdir()):
            one(folder.name, segmenter, folder, out=given.out)


if __name__ == "__main__":
    main()
