"""Start-up time: `import annofree` and `annofree --help` beside bare Python and `import torch`.

Run: python benchmarks/bench_import.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python alone": ["-c", "pass"],
    "import annofree": ["-c", "import annofree"],
    "annofree --help": ["-m", "annofree", "--help"],
    "annofree methods": ["-m", "annofree", "methods"],
    "import torch": ["-c", "import torch"],
}


def main() -> None:
    for name, arguments in COMMANDS.items():
        seconds = []
        for _ in range(5):
            started = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
            seconds.append(time.perf_counter() - started)
        print(f"{name:18s} {statistics.median(seconds):6.2f} s (median of 5)")


if __name__ == "__main__":
    main()
