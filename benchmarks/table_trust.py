"""How many ordinary scans raise a false warning, and how many made misfits are found.

    python benchmarks/table_trust.py real ../shared/data
    python benchmarks/table_trust.py misfits --n 20 [--spacing 2.0]
    python benchmarks/table_trust.py names ../shared/data
    python benchmarks/table_trust.py heads ../shared/data

The first looks at real scans (images only), the second at phantoms and what `tests/trust/misfits.py` makes of them.
The third gives every image of real scans and phantoms each wrong name, alone and exchanged with another, and counts
what is found; and it fits the discriminants of `annofree.trust.tissue` anew, to all and each scan left out in turn.
The fourth lays sequences of one person under another's name, mirrors or moves them, and counts what *one head* finds.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from itertools import combinations, permutations, product
from pathlib import Path

import numpy as np
from scipy import ndimage

from annofree.anatomy import register_to_mni
from annofree.formats import open_cohort
from annofree.phantom import phantom_subject
from annofree.scan import Modality, Scan
from annofree.trust import tissue
from annofree.trust.belongs import examine
from annofree.trust.one_head import least_shared
from annofree.trust.tissue import Discriminant, Measures, looks_like, measure
from annofree.trust.view import View

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "trust"))
from misfits import MISFITS

#: Beyond the farthest image of its own name a warning begins, logarithm of odds.
MARGIN = 2.0
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


Shown = dict[Modality, Measures]


def names(data: Path, n: int, spacing_mm: float) -> None:
    """Discriminants, false warnings, and how many wrong names are found."""
    groups, measured, swaps = [], [], []
    for group, scan in _all(data, n, spacing_mm):
        known = register_to_mni(scan)
        if (found := measure(View.of(scan, known))) is not None:
            groups.append(group)
            measured.append(found)
            pairs = [pair for pair in combinations(Modality, 2) if set(pair) <= found.keys() and group != "phantoms"]
            swaps += [(pair, any(c.warning for c in examine(exchanged(scan, *pair), known))) for pair in pairs]
    for pair, rule in fitted(measured).items():
        weights = tuple(round(weight, 2) for weight in rule.weights)
        print(f"    {pair}: Discriminant({weights}, {rule.offset:.2f}, {rule.limits}),")
    left_out = [fitted([*measured[:k], *measured[k + 1 :]]) for k in range(len(measured))]
    real = [k for k, group in enumerate(groups) if group != "phantoms"]
    print("\n| one image | named | found | found, its scan left out of the fit |\n|---|---|---|---|")
    for kind, named in permutations(Modality, 2):
        having = [k for k in real if kind in measured[k]]
        found_now = sum(is_warned(named, measured[k][kind], tissue.DISCRIMINANTS) for k in having)
        fair = sum(is_warned(named, measured[k][kind], left_out[k]) for k in having)
        print(f"| {kind} | {named} | {found_now} of {len(having)} | {fair} |")
    print("\n| two names exchanged | found by any check |\n|---|---|")
    for pair in combinations(Modality, 2):
        ends = [found for swapped, found in swaps if swapped == pair]
        print(f"| {pair[0]} and {pair[1]} | {sum(ends)} of {len(ends)} |", flush=True)
    for who, some in (("real scans", real), ("phantoms", [k for k in range(len(groups)) if k not in real])):
        false = sum(any(is_warned(name, m, left_out[k]) for name, m in measured[k].items()) for k in some)
        print(f"\nfalse warnings of tissue order, each scan left out of its fit: {false} of {len(some)} {who}")


def _all(data: Path, n: int, spacing_mm: float) -> Iterator[tuple[str, Scan]]:
    for group in GROUPS:
        for scan in open_cohort(data / group, brain_mask="*_DLMUSE.nii.gz" if group == "healthy" else None):
            yield group, scan
    for seed in range(n):
        yield "phantoms", phantom_subject(5000 + seed, spacing_mm=spacing_mm).scan


def exchanged(scan: Scan, first: Modality, second: Modality) -> Scan:
    """Two images under each other's name."""
    return scan.replace(images={**scan.images, first: scan.images[second], second: scan.images[first]})


def is_warned(named: Modality, measures: Measures, rules: dict[tuple[Modality, Modality], Discriminant]) -> bool:
    """Whether an image of these measures raises a warning under a name."""
    return any(excess > 0 for _, excess in looks_like(named, measures, rules))


def fitted(measured: list[Shown]) -> dict[tuple[Modality, Modality], Discriminant]:
    """Fisher's discriminants of T1 (with and without contrast medium), T2 and FLAIR by their names."""
    of = {
        kind: np.array([m for scan in measured for name, m in scan.items() if name in names])
        for kind, names in {
            Modality.T1: (Modality.T1, Modality.T1C),
            Modality.T2: (Modality.T2,),
            Modality.FLAIR: (Modality.FLAIR,),
        }.items()
    }
    found = {}
    for first, second in combinations(of, 2):
        a, b = of[first], of[second]
        within = (np.cov(a.T) * (len(a) - 1) + np.cov(b.T) * (len(b) - 1)) / (len(a) + len(b) - 2)
        weights = np.linalg.solve(within, b.mean(axis=0) - a.mean(axis=0))
        offset = -float(weights @ (a.mean(axis=0) + b.mean(axis=0)) / 2)
        last, first_one = float((a @ weights).max() + offset), float((b @ weights).min() + offset)
        limits = (min(0.0, first_one) - MARGIN, max(0.0, last) + MARGIN)
        found[first, second] = Discriminant((*map(float, weights),), offset, tuple(round(x, 1) for x in limits))
    return found


def heads(data: Path) -> None:
    """One row a fault, of patients that share one grid: found, and found with the right sequence named."""
    scans = [scan for group in ("patients", "unlabelled") for scan in open_cohort(data / group)]
    views = [View.of(scan).averaged for scan in scans if scan.grid.same_as(scans[0].grid)]
    rows: dict[str, list[bool]] = {}

    def look(row: str, view: View, images: dict[Modality, np.ndarray], wrong: tuple[Modality, ...] = ()) -> None:
        brain = ndimage.binary_fill_holes(np.any([image != 0 for image in images.values()], axis=0))
        told = least_shared(View(view.scan, images, brain, view.grid))
        warning = told.warning if told else ""
        rows.setdefault(row, []).append(f"of {' and '.join(wrong)} " in warning if wrong else bool(warning))

    for view in views:
        own = dict(view.images)
        look("nothing wrong, all sequences", view, own)
        for pair in combinations(own, 2):
            look("nothing wrong, two sequences", view, {name: own[name] for name in pair})
        for name in own:
            look("mirrored", view, {**own, name: own[name][::-1]}, (name,))
            for mm, axis in product((3, 6, 9, 12, 15, 21), range(3)):
                steps = round(mm / view.grid.spacing_mm[axis])
                look(f"moved {mm} mm", view, {**own, name: np.roll(own[name], steps, axis)}, (name,))
    for view, other in permutations(views, 2):
        own = dict(view.images)
        for names in (*((name,) for name in own), (Modality.T2, Modality.FLAIR)):
            theirs = {name: other.images[name] for name in names}
            look(f"another person's {' and '.join(names)}", view, {**own, **theirs}, names)
        for a, b in permutations(own, 2):
            look("another person's, two sequences", view, {a: own[a], b: other.images[b]})
    print(f"{len(views)} patients\n| fault | tried | one head warns, and of the right sequence |\n|---|---|---|")
    for row, found in rows.items():
        print(f"| {row} | {len(found)} | {sum(found)} |")


def main() -> None:
    """Parse and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("real", "misfits", "names", "heads"))
    parser.add_argument("data", type=Path, nargs="?", default=Path("../shared/data"))
    parser.add_argument("--n", type=int, default=20)
    parser.add_argument("--spacing", type=float, default=2.0)
    told = parser.parse_args()
    if told.what == "real":
        real(told.data)
    elif told.what == "names":
        names(told.data, told.n, told.spacing)
    elif told.what == "heads":
        heads(told.data)
    else:
        misfits(told.n, told.spacing)


if __name__ == "__main__":
    main()
