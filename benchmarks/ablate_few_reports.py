"""A threshold from few reports: the best value by the reports, the healthy quantile, and the value between that ships.

Draws of a few patients and three healthy people teach, all other phantoms of both cohorts are scored; how much of a
report is used varies; "half wrong" names the lobes of the other side in every other report. Masks are read for scoring
alone.

    python benchmarks/ablate_few_reports.py dae --keep DIR [--draws 60]

DIR is that of `benchmarks/table_learned_threshold.py`, which keeps phantoms, targets and scores there.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from table_learned_threshold import Case, cohorts

from annofree.thresholds.report_curves import PRIOR, Curves, ReportedScores

USES = ("side", "lobe", "half wrong", "lobe+size")
PATIENTS, HEALTHY = (6, 12, 24), 3


def reported(case: Case, number: int, use: str) -> ReportedScores:
    """What a threshold learns from."""
    target = case.targets["lobe" if use == "half wrong" else use]
    if use == "half wrong" and target is not None and number % 2:
        inside = target.inside[::-1] & case.brain
        target = replace(target, inside=inside, outside=case.brain & ~inside)
    return ReportedScores(case.id, case.scores, case.brain, case.voxel_ml, target)


def truths(cases: list[Case], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(cases, values) Dice of every value."""
    rows = []
    for case in cases:
        every, inside = np.sort(case.scores[case.brain]), np.sort(case.scores[case.brain & case.truth])
        called = every.size - np.searchsorted(every, values, side="right")
        found = inside.size - np.searchsorted(inside, values, side="right")
        rows.append(2.0 * found / np.maximum(called + case.truth.sum(), 1))
    return np.array(rows)


def chosen(curves: Curves, taught: NDArray[np.int_], levels: NDArray[np.float64]) -> dict[str, float]:
    """The value of each way to choose it."""
    part = curves.without(np.setdiff1d(np.arange(len(curves.ids)), taught).tolist())
    well = levels[taught][~part.patients]
    ill = part.losses[part.patients]
    one = replace(part, prior=float(np.quantile(well, PRIOR)))
    best = float(part.values[int(part.losses.mean(axis=0).argmin())])
    return {
        "reports alone": float(part.values[int(ill.mean(axis=0).argmin())]),
        "reports and healthy scans": best,
        "healthy quantile": float(one.prior or 0.0),
        "one standard error from the healthy quantile": one.held(best),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("method")
    parser.add_argument("--keep", type=Path, required=True)
    parser.add_argument("--draws", type=int, default=60)
    given = parser.parse_args()
    cases = [case for cohort in cohorts([given.method], given.keep)[given.method] for case in cohort]
    tumour = np.array([case.truth.any() for case in cases])
    levels = np.stack([np.quantile(case.scores[case.brain], np.linspace(0, 1, 4096)) for case in cases])
    print(
        "| used of a report | patients | how the value is chosen | Dice | worst of the draws |\n|---|---|---|---|---|"
    )
    for use in USES:
        curves = Curves.of([reported(case, number, use) for number, case in enumerate(cases)], "auto")
        dice = truths(cases, curves.values)
        for count in PATIENTS:
            rng = np.random.default_rng(0)
            found: dict[str, list[float]] = {}
            for _ in range(given.draws):
                ill = rng.choice(np.flatnonzero(tumour), count, replace=False)
                well = rng.choice(np.flatnonzero(~tumour), HEALTHY, replace=False)
                others = np.setdiff1d(np.flatnonzero(tumour), ill)
                for name, value in chosen(curves, np.sort(np.r_[ill, well]), levels).items():
                    place = min(int(np.searchsorted(curves.values, value)), len(curves.values) - 1)
                    found.setdefault(name, []).append(float(dice[others, place].mean()))
            for name, reached in found.items():
                print(f"| {use} | {count} | {name} | {np.mean(reached):.3f} | {np.min(reached):.3f} |", flush=True)


if __name__ == "__main__":
    main()
