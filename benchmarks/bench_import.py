"""Start-up: `import annofree`, `annofree --help` and the libraries behind `segment`, beside bare Python and torch.

Wall seconds mean something on an idle machine only; processor seconds hold on a busy one too. What is slow in one of
them: python -X importtime -m annofree --help

Run: python benchmarks/bench_import.py
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python alone": ["-c", "pass"],
    "import annofree": ["-c", "import annofree"],
    "annofree --help": ["-m", "annofree", "--help"],
    "annofree methods": ["-m", "annofree", "methods"],
    "import onnxruntime": ["-c", "import onnxruntime"],
    "SciPy and nibabel": ["-c", "import scipy.ndimage, nibabel"],
    "both as segment does": ["-c", "from annofree.quick_imports import quick_imports\nwith quick_imports(): pass"],
    "import SimpleITK": ["-c", "import SimpleITK"],
    "import torch": ["-c", "import torch"],
}


def main() -> None:
    for name, arguments in COMMANDS.items():
        wall, processor = [], []
        for _ in range(5):
            before, started = used(), time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
            wall.append(time.perf_counter() - started)
            processor.append(used() - before)
        middle = statistics.median(wall), statistics.median(processor)
        print(f"{name:20s} {middle[0]:6.2f} s   processor {middle[1]:6.2f} s   (medians of 5)", flush=True)


def used() -> float:
    """Processor seconds of all children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime


if __name__ == "__main__":
    main()
