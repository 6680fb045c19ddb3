"""The table of reconstruction baselines: fixed thresholds, healthy quantiles and the oracle, on phantoms.

Run: python benchmarks/table_reconstruction.py OUT METHOD ... [--n 48] [--spacing 3] [--models DIR]
     [--healthy DIR PATTERN]

Score maps are kept in OUT/scores, so a stopped run goes on. Writes OUT/table.tsv (a row a method and rule),
OUT/sensitivity.tsv (Dice by rank of ten equally spaced thresholds) and OUT/sensitivity.png.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from annofree import methods
from annofree.formats import open_cohort
from annofree.formats.outfolder import atomic_write, table
from annofree.methods.base import Method
from annofree.metrics import WORST_MM, Overlap, RankCounts, SliceDice, hd95_mm
from annofree.metrics.sensitivity import Sensitivity, sensitivity
from annofree.phantom import PhantomSubject, phantom_cohort
from annofree.scan import scoring
from annofree.thresholds.base import HealthyScores
from annofree.thresholds.healthy import HealthyQuantile

METRICS = ("dice", "slice_dice_truth", "slice_dice_any", "hd95_mm", "precision", "recall")
QUANTILES = (0.95, 0.99, 0.995)


def sensitivity_table(curves: Mapping[str, Sensitivity]) -> str:
    """Mean Dice by rank of the threshold, tab-separated, a method a row; UB and SB are marked as T3 by their names.

    Args:
        curves: By method, all with the same number of thresholds.
    """
    count = len(next(iter(curves.values())).thresholds)
    columns = ("method", *(f"rank{i + 1}" for i in range(count)), "UB(T3)", "SB(T3)")
    rows = []
    for name, curve in curves.items():
        values = (*curve.mean, curve.mean[curve.best(1)], curve.mean[curve.best(2)])
        rows.append(dict(zip(columns, (name, *(f"{value:.3f}" for value in values)), strict=True)))
    return table(rows, columns)


def draw_sensitivity(
    curves: Mapping[str, Sensitivity], path: str | Path, *, marks: Mapping[str, float] | None = None
) -> Path:
    """Mean Dice against threshold, on a fine grid.

    Args:
        curves: By method; fine ones (`sensitivity(tables, steps=None)`) give smooth lines.
        path: A `.png`.
        marks: Thresholds that were chosen without truth, by method, shown as dots.

    Returns:
        The path.
    """
    from io import BytesIO

    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for name, curve in curves.items():
        (line,) = axes.plot(curve.thresholds, curve.mean, label=name, linewidth=1.4)
        value = (marks or {}).get(name)
        if value is not None:
            height = float(np.interp(value, curve.thresholds, curve.mean))
            axes.plot([value], [height], "o", color=line.get_color(), markersize=6)
    axes.set_xlabel("threshold (dots: chosen without truth)")
    axes.set_ylabel("mean Dice, whole tumour")
    axes.set_ylim(0.0, 1.0)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    atomic_write(Path(path), buffer.getvalue())
    return Path(path)


def scores_of(method: Method, subject: PhantomSubject, folder: Path) -> np.ndarray:
    """The score map, from OUT/scores where it was made before."""
    file = folder / method.name / f"{subject.scan.id}.npy"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, method.score(subject.scan)["WT"].values.astype(np.float16))
    return np.load(file).astype(np.float32)


def measure(truth: np.ndarray, found: np.ndarray, spacing_mm: tuple[float, float, float]) -> tuple[float, ...]:
    """The metrics named above; nothing found counts as Dice 0 and the worst distance."""
    overlap, slices = Overlap.of(truth, found), SliceDice.of(truth, found)
    if not found.any():
        return 0.0, 0.0, 0.0, WORST_MM, 0.0, 0.0
    distance = hd95_mm(truth, found, spacing_mm)
    return overlap.dice, slices.over_truth, slices.over_any, distance, overlap.precision, overlap.recall


def rules_of(
    method: Method, healthy: list[HealthyScores], tables: list[RankCounts]
) -> Iterator[tuple[str, str, float]]:
    """Rule, tier and value: label-free ones first, then those that the truth chose."""
    own = method.thresholds["WT"].value
    if own is not None:
        yield "own threshold", method.tier, own
    for quantile in QUANTILES if healthy else ():
        fitted = HealthyQuantile(quantile=quantile, min_scans=1).fit(healthy)
        assert fitted.value is not None
        yield f"healthy quantile {quantile:g}", "T0", fitted.value
    ten, fine = sensitivity(tables, steps=10), sensitivity(tables, steps=None)
    yield "UB, best of ten", "T3", float(ten.thresholds[ten.best(1)])
    yield "SB, second of ten", "T3", float(ten.thresholds[ten.best(2)])
    yield "oracle, fine grid", "T3", float(fine.thresholds[fine.best()])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("methods", nargs="+")
    parser.add_argument("--n", type=int, default=48)
    parser.add_argument("--seed", type=int, default=8)
    parser.add_argument("--spacing", type=float, default=3.0)
    parser.add_argument("--models", type=Path, help="Folder of fitted models by method; the shipped ones without.")
    parser.add_argument("--healthy", nargs=2, metavar=("DIR", "PATTERN"), help="Healthy scans and their brain masks.")
    given = parser.parse_args()

    cohort = phantom_cohort(given.n, seed=given.seed, spacing_mm=given.spacing, healthy_fraction=0.1)
    subjects = list(cohort)
    sick = [s for s in subjects if s.findings["tumour"]]
    voxel_ml = given.spacing**3 / 1000
    ten, fine, marks = {}, {}, {}
    rows = ["\t".join(["method", "rule", "tier", "value", *METRICS, "dice_sd", "false_ml_healthy"])]
    for name in given.methods:
        own = given.models is not None and (given.models / name).is_dir()
        method = methods.load(given.models / name) if own else methods.shipped(name)
        maps = {s.scan.id: scores_of(method, s, given.out / "scores") for s in subjects}
        healthy = []
        if given.healthy:
            for scan in open_cohort(given.healthy[0], brain_mask=given.healthy[1]):
                healthy.append(
                    HealthyScores(scan.id, method.score(scan)["WT"].values, method.brain(scan), scan.voxel_ml)
                )
        with scoring():
            tables = [RankCounts.of(maps[s.scan.id], s.labels > 0, s.scan.foreground()).coarse() for s in sick]
            ten[name], fine[name] = sensitivity(tables), sensitivity(tables, steps=None)
            for rule, tier, value in rules_of(method, healthy, tables):
                marks.setdefault(name, value if tier == "T0" else None)
                cases = np.array([measure(s.labels > 0, maps[s.scan.id] > value, s.scan.spacing_mm) for s in sick])
                means = cases.mean(axis=0)
                false = [(maps[s.scan.id] > value).sum() * voxel_ml for s in subjects if not s.findings["tumour"]]
                numbers = [value, *means, cases[:, 0].std(), np.mean(false)]
                rows.append("\t".join([name, rule, tier, *(f"{number:.3f}" for number in numbers)]))
                print(rows[-1], flush=True)
    atomic_write(given.out / "table.tsv", "\n".join(rows) + "\n")
    atomic_write(given.out / "sensitivity.tsv", sensitivity_table(ten))
    draw_sensitivity(fine, given.out / "sensitivity.png", marks={n: v for n, v in marks.items() if v is not None})
    print(sensitivity_table(ten))
    print(f"{len(sick)} phantoms with a tumour, {len(subjects) - len(sick)} without; written to {given.out}")


if __name__ == "__main__":
    main()
