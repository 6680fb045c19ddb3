"""A cohort of 500 scans in one process: memory stays where it is, time grows with the number of scans.

Run: python benchmarks/bench_cohort.py [--scans 500] [--plot docs/_static/cohort.svg]
8 phantoms (FLAIR, 4 mm) are made and given 500 names; `annofree segment` runs over them (intensity-published, no pages,
no anatomy, so that what is measured is the batch and not a method) while its memory and processor time are watched.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

DISTINCT = 8
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scans", type=int, default=500)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_cohort(root, options.scans)
        first = watch(root)
        again = watch(root)
    done, cpu, memory = first.T
    tenth = np.searchsorted(done, options.scans / 10)
    slope, start = np.polyfit(done[tenth:], cpu[tenth:], 1)
    off = np.abs(cpu[tenth:] - (start + slope * done[tenth:])).max()
    print(f"{options.scans} scans, {DISTINCT} of them distinct, one process")
    print(f"processor time   {cpu[-1]:.0f} s: {slope * 1000:.0f} ms a scan, never more than {off:.1f} s off a line")
    print(f"memory           {memory[tenth]:.0f} MB after a tenth, {memory[-1]:.0f} MB at the end")
    print(f"the same again   {again[-1, 1]:.1f} s: every scan is known to be done")
    if options.plot:
        plot(options.plot, first, slope, start)


def make_cohort(root: Path, count: int) -> None:
    """Few phantoms under many names."""
    from annofree.phantom import write_cohort

    write_cohort(root / "phantoms", n=DISTINCT, seed=1, spacing_mm=4.0, healthy_fraction=0.2)
    sources = sorted((root / "phantoms" / "scans").iterdir())
    for number in range(count):
        source, name = sources[number % DISTINCT], f"scan-{number:04d}"
        (root / "scans" / name).mkdir(parents=True)
        for file in source.glob("*_flair.nii.gz"):
            (root / "scans" / name / file.name.replace(source.name, name)).symlink_to(file)


def watch(root: Path) -> np.ndarray:
    """Rows of scans done, processor seconds and resident MB, from start to end of a run."""
    command = [sys.executable, "-m", "annofree", "segment", str(root / "scans"), "-o", str(root / "out")]
    command += ["--method", "intensity-published", "--no-locate", "--no-review"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    rows = []
    while process.poll() is None:
        records = root / "out" / ".records"
        done = sum(name.endswith(".json") for name in os.listdir(records)) if records.is_dir() else 0
        try:
            fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            break
        if int(fields[21]):
            rows.append((done, (int(fields[11]) + int(fields[12])) / TICKS, int(fields[21]) * PAGE / 1e6))
        time.sleep(0.2)
    if process.wait() != 0:
        raise SystemExit(f"annofree ended with {process.returncode}")
    return np.asarray(rows)


def plot(path: Path, rows: np.ndarray, slope: float, start: float) -> None:
    """Time and memory against scans done."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"svg.hashsalt": "annofree", "font.size": 9, "axes.spines.top": False})
    keep = np.linspace(0, len(rows) - 1, min(len(rows), 250)).astype(int)
    done, cpu, memory = rows[keep].T
    figure, axes = plt.subplots(1, 2, figsize=(8, 2.8), layout="constrained")
    axes[0].plot(done, start + slope * done, color="0.75", lw=4, label=f"{slope * 1000:.0f} ms a scan")
    axes[0].plot(done, cpu, color="#1f5fa8", lw=1.2, label="measured")
    axes[0].set(xlabel="scans done", ylabel="processor time, s", ylim=(0, None))
    axes[0].legend(frameon=False)
    axes[1].plot(done, memory, color="#1f5fa8", lw=1.2)
    axes[1].set(xlabel="scans done", ylabel="memory, MB", ylim=(0, 1.3 * memory.max()))
    for axis in axes:
        axis.spines["right"].set_visible(False)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
