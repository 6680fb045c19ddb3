"""How many ordinary scans raise a false warning, and how many made misfits are found.

    python benchmarks/table_trust.py real ../shared/data
    python benchmarks/table_trust.py misfits --n 20 [--spacing 2.0]

The first looks at real scans (images only), the second at phantoms and what `annofree.phantom.misfits` makes of them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from annofree.formats import open_cohort
from annofree.phantom import phantom_subject
from annofree.phantom.misfits import MISFITS
from annofree.scan import Scan
from annofree.trust.belongs import examine

GROUPS = ("patients", "unlabelled", "unlabelled_1p5mm", "healthy", "ms")


def warned(scan: Scan) -> list[str]:
    """Names of the checks that warn."""
    return [check.name for check in examine(scan) if check.warning]


def real(data: Path) -> None:
    """One row a group."""
    print("| group | scans | with a warning | which |\n|---|---|---|---|")
    for group in GROUPS:
        cohort = open_cohort(data / group, brain_mask="*_DLMUSE.nii.gz" if group == "healthy" else None)
        found = {scan.id: names for scan in cohort if (names := warned(scan))}
        print(f"| {group} | {len(cohort)} | {len(found)} | {found or ''} |", flush=True)


def misfits(n: int, spacing_mm: float) -> None:
    """One row a misfit; the first row is what belongs."""
    subjects = [phantom_subject(5000 + seed, spacing_mm=spacing_mm).scan for seed in range(n)]
    print("| made misfit | scans | found by its own check | any warning |\n|---|---|---|---|")
    print(f"| none | {n} | | {sum(bool(warned(scan)) for scan in subjects)} |", flush=True)
    for make, names in MISFITS.items():
        found = [warned(make(scan, np.random.default_rng(seed))) for seed, scan in enumerate(subjects)]
        own = sum(bool(set(names) & set(one)) for one in found)
        print(f"| {make.__name__.replace('_', ' ')} | {n} | {own} | {sum(map(bool, found))} |", flush=True)


def main() -> None:
    """Parse and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("real", "misfits"))
    parser.add_argument("data", type=Path, nargs="?", default=Path("../shared/data"))
    parser.add_argument("--n", type=int, default=20)
    parser.add_argument("--spacing", type=float, default=2.0)
    told = parser.parse_args()
    if told.what == "real":
        real(told.data)
    else:
        misfits(told.n, told.spacing)


if __name__ == "__main__":
    main()
