"""`annofree segment` per scan, start-up included: seconds and peak memory of each method.

Run: python benchmarks/bench_segment.py [PATIENT_FOLDER] [METHOD ...]
Without a folder a four-sequence phantom at 1 mm is written and used.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main() -> None:
    arguments = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        source = Path(arguments[0]) if arguments else make_phantom(Path(folder))
        methods = arguments[1:] or [
            "intensity",
            "atlas-z",
            "synthtumour:fast",
            "synthtumour:default",
            "synthtumour:best",
        ]
        print(f"{'method':22s} {'seconds':>8s} {'peak GB':>8s}   (one scan, start-up included)")
        for number, spec in enumerate(methods):
            name, _, quality = spec.partition(":")
            extra = ["--quality", quality] if quality else []
            command = [
                sys.executable,
                "-m",
                "annofree",
                "segment",
                str(source),
                "--method",
                name,
                *extra,
                "--no-review",
            ]
            program = (
                "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL);"
                "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
            )
            started = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-c", program, *command, "-o", f"{folder}/out{number}"],
                check=True,
                capture_output=True,
                text=True,
            )
            seconds = time.perf_counter() - started
            print(f"{spec:22s} {seconds:8.1f} {int(done.stdout) / 2**20:8.2f}")
    print(f"this script itself: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GB")


def make_phantom(folder: Path) -> Path:
    """A phantom patient at 1 mm, written as files."""
    from annofree.phantom import write_cohort

    write_cohort(folder / "phantoms", n=1, seed=5, spacing_mm=1.0, healthy_fraction=0.0)
    return next((folder / "phantoms" / "scans").iterdir())


if __name__ == "__main__":
    main()
