"""`annofree segment` of one patient from a cold start: wall and processor seconds and peak memory, page included.

Run: python benchmarks/bench_segment.py [PATIENT_FOLDER] [--against CHECKOUT] [--rounds 5] [--quality default fast]
Without a folder a four-sequence phantom at 1 mm is written and used. `--against` names the `src` folder's parent of
another version, for instance `git worktree add ../old e91ada5`; both versions then run in turn (A B A B), in one
environment. Wall times mean something on an idle machine only; processor seconds and ratios hold on a busy one.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

#: Runs a command and prints what it took; a process of its own, so that its children are this command's alone.
WATCH = """
import json, resource, subprocess, sys, time
started = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
took = {"wall": time.perf_counter() - started, "processor": used.ru_utime + used.ru_stime, "GB": used.ru_maxrss / 2**20}
print(json.dumps(took))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("patient", type=Path, nargs="?")
    parser.add_argument("--against", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quality", nargs="+", default=["default", "fast"])
    options = parser.parse_args()
    versions = {"this": Path(__file__).resolve().parents[1]}
    if options.against is not None:
        versions["other"] = options.against.resolve()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        patient = (options.patient or make_phantom(folder)).resolve()
        for quality in options.quality:
            taken: dict[str, list[dict[str, float]]] = {name: [] for name in versions}
            for number in range(options.rounds):
                for name, root in versions.items():
                    out = folder / f"{quality}-{name}-{number}"
                    taken[name].append(segment(root, patient, out, quality))
            report(quality, taken)


def segment(root: Path, patient: Path, out: Path, quality: str) -> dict[str, float]:
    """Wall and processor seconds and peak GB of one run of one version."""
    command = [sys.executable, "-m", "annofree", "segment", str(patient), "-o", str(out), "--quality", quality]
    environment = {**os.environ, "PYTHONPATH": str(root / "src")}
    done = subprocess.run(
        [sys.executable, "-c", WATCH, *command], check=True, capture_output=True, text=True, env=environment
    )
    taken: dict[str, float] = json.loads(done.stdout)
    return taken


def report(quality: str, taken: dict[str, list[dict[str, float]]]) -> None:
    """Medians of each version, and their ratio."""
    medians = {name: {k: statistics.median(run[k] for run in runs) for k in runs[0]} for name, runs in taken.items()}
    for name, middle in medians.items():
        print(
            f"{quality:8s} {name:6s} wall {middle['wall']:6.2f} s   processor {middle['processor']:6.2f} s   "
            f"peak {middle['GB']:5.2f} GB   (median of {len(taken[name])})",
            flush=True,
        )
    if "other" in medians:
        ratios = {key: medians["other"][key] / medians["this"][key] for key in medians["this"]}
        print(f"{quality:8s} other / this: " + ", ".join(f"{k} {v:.2f}" for k, v in ratios.items()), flush=True)


def make_phantom(folder: Path) -> Path:
    """A phantom patient at 1 mm, written as files."""
    from annofree.phantom import write_cohort

    write_cohort(folder / "phantoms", n=1, seed=5, spacing_mm=1.0, healthy_fraction=0.0)
    return next((folder / "phantoms" / "scans").iterdir())


if __name__ == "__main__":
    main()
