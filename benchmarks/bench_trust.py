"""What doubting costs: a scan segmented with and without checks, expected Dice and finding, in turn, processor seconds.

    python benchmarks/bench_trust.py PATIENT [--rounds 5]

In process; reading, writing and the page are not counted, so the share is larger than that of a whole run.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from unittest import mock

import annofree as af
from annofree import pipeline
from annofree.formats import open_scan
from annofree.trust.expectation import UNKNOWN


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patient", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    segmenter = af.Segmenter()
    spent: dict[str, list[float]] = {"without": [], "with": []}
    for number in range(given.rounds + 1):
        for name, seconds in spent.items():
            scan = open_scan(given.patient)
            off = (
                mock.patch("annofree.trust.belongs.examine", return_value=()),
                mock.patch.object(type(segmenter.method), "expect", return_value=UNKNOWN),
            )
            before = time.process_time()
            if name == "without":
                with off[0], off[1]:
                    pipeline.segment_scan(scan, segmenter.method)
            else:
                pipeline.segment_scan(scan, segmenter.method)
            if number:  # the first round loads libraries
                seconds.append(time.process_time() - before)
    plain, whole = (statistics.median(seconds) for seconds in spent.values())
    print(f"without {plain:.2f} s, with {whole:.2f} s: {100 * (whole / plain - 1):.0f} % more")


if __name__ == "__main__":
    main()
