"""How much volumes differ between two scans without change: phantoms examined twice.

    python benchmarks/rescan_spread.py --pairs 48 --spacing 4 --rows rescan.jsonl

Each examination has its own protocol, noise, shading and slices (1 to 1.5 times as thick), and the head lies turned by
up to 8 degrees and shifted by up to 12 mm. Pairs with even numbers give the constants of
`evaluation/rescan.json` (`--write`); pairs with odd numbers, which took no part, tell how often their interval holds.
`--rows FILE` keeps what was measured, so that a stopped run goes on.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from annofree.evaluation.rescan import SHARE, Rescan, scale_ml
from annofree.phantom import phantom_subject, reposed
from annofree.scan import Scan
from annofree.segmentation import REGIONS
from annofree.segmenter import Segmenter

SEED = 660000


def pair(number: int, spacing_mm: float) -> list[Scan]:
    """Two examinations of one phantom, averaged onto slices of their own from finer voxels."""
    rng = np.random.default_rng([SEED, number])
    scans = []
    for visit in (1, 2):
        scan = phantom_subject(SEED + number, spacing_mm=0.75 * spacing_mm, visit=visit).scan
        edges = (spacing_mm, spacing_mm, spacing_mm * float(rng.uniform(1, 1.5)))
        turn, shift = rng.uniform(-8, 8, 3).tolist(), rng.uniform(-12, 12, 3).tolist()
        scans.append(reposed(scan, tuple(turn), tuple(shift), edges)[0])
    return scans


def main() -> None:
    """Measure, tell, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=48)
    parser.add_argument("--spacing", type=float, default=4.0, help="Of the scans, in mm.")
    parser.add_argument("--method", default=None)
    parser.add_argument("--rows", type=Path, default=None)
    parser.add_argument("--write", type=Path, default=None, help="The file of constants to change.")
    told = parser.parse_args()
    segmenter = Segmenter(told.method)
    rows: dict[int, dict[str, list[float]]] = {}
    if told.rows is not None and told.rows.exists():
        rows = {row["pair"]: row["ml"] for row in map(json.loads, told.rows.read_text().splitlines())}
    for number in range(told.pairs):
        if number not in rows:
            answers = [segmenter(scan, locate=False).volumes_ml for scan in pair(number, told.spacing)]
            rows[number] = {region: [answer[region] for answer in answers] for region in answers[0]}
            if told.rows is not None:
                with told.rows.open("a") as file:
                    file.write(json.dumps({"pair": number, "ml": rows[number]}) + "\n")
        print(number, {region: [round(v, 2) for v in both] for region, both in rows[number].items()}, flush=True)
    taught = [rows[n] for n in range(0, told.pairs, 2)]
    asked = [rows[n] for n in range(1, told.pairs, 2)]
    name = segmenter.method.name
    source = (
        f"{len(taught)} phantoms examined twice with {told.spacing:g} mm voxels (benchmarks/rescan_spread.py); "
        f"checked on {len(asked)} others"
    )
    found = Rescan.measured(name, {region: [both[region] for both in taught] for region in taught[0]}, source)
    print(f"| region | k | interval holds in pairs that took no part | median change ml | largest |\n{'|---' * 5}|")
    for region in (r for r in REGIONS if r in found.k):
        both = np.array([row[region] for row in asked])
        change = both[:, 1] - both[:, 0]
        inside = np.abs(change) <= found.k[region] * np.array([scale_ml(a, b) for a, b in both])
        print(
            f"| {region} | {found.k[region]:.3f} | {inside.sum()} of {len(both)} (aimed at {SHARE:.0%}) | "
            f"{np.median(np.abs(change)):.2f} | {np.abs(change).max():.2f} |"
        )
    if told.write is not None:
        found.write(told.write)


if __name__ == "__main__":
    main()
