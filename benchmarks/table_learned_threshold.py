"""Thresholds learned from reports against every fixed rule that needs no label, on two cohorts of phantoms.

Each cohort is scored with what the other one taught; masks are read for scoring and for the oracle row alone.

    python benchmarks/table_learned_threshold.py intensity dae mvit-ae [--keep DIR]

With --keep, phantoms, targets and scores stay in DIR, and a stopped run goes on.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from annofree import methods
from annofree.anatomy import default_atlas, register_to_mni
from annofree.errors import AnnofreeError
from annofree.phantom import PhantomSubject, phantom_cohort
from annofree.reports import AtlasRegions, VolumeRange
from annofree.thresholds import HealthyScores, Threshold, parse
from annofree.thresholds.learned import Learned, ReportedScores
from annofree.thresholds.report_targets import ReportTarget, ReportTargetSettings, Use, report_target

#: What of a report may be used.
USES: tuple[Use, ...] = get_args(Use)

FIXED = (
    "healthy-quantile:0.95",
    "healthy-quantile:0.98",
    "healthy-quantile:0.99",
    "healthy-quantile:0.995",
    "conformal:2ml@0.2",
    "conformal:10ml@0.2",
    "otsu",
    "otsu:3",
    "mad:2",
    "mad:3",
)
#: Losses that are told apart; with neither place nor size, or with regions as a mask, there is one.
FORMS = {"none": ("auto",), "published": ("auto",), "side": ("soft-target", "auto"), "lobe": ("soft-target", "auto")}
COHORTS = ((7101, 56), (7202, 32))
SPACING_MM = 3.0


@dataclass(frozen=True, eq=False)
class Case:
    """A phantom, its scores by one method, and what its report says, by how much of it is used."""

    id: str
    scores: NDArray[np.float32]
    brain: NDArray[np.bool_]
    truth: NDArray[np.bool_]
    voxel_ml: float
    targets: dict[str, ReportTarget | None]

    def reported(self, use: Any) -> ReportedScores:
        """What a threshold learns from."""
        return ReportedScores(self.id, self.scores, self.brain, self.voxel_ml, self.targets[use])

    def healthy(self) -> HealthyScores:
        """What a rule from healthy scans learns from."""
        return HealthyScores(self.id, self.scores, self.brain, self.voxel_ml)

    def dice(self, rule: Threshold) -> float:
        """Against the truth."""
        found = rule.apply(self.scores, self.brain)
        return 2.0 * float((found & self.truth).sum()) / float(found.sum() + self.truth.sum())


def cohorts(names: list[str], keep: Path) -> dict[str, list[list[Case]]]:
    """Both cohorts with the scores of each method; what is in `keep` already is not computed again."""
    scorers: dict[str, Any] = {}
    regions = AtlasRegions(default_atlas())
    found: dict[str, list[list[Case]]] = {name: [] for name in names}
    for seed, count in COHORTS:
        for cases in found.values():
            cases.append([])
        cohort = phantom_cohort(n=56, seed=seed, spacing_mm=SPACING_MM, healthy_fraction=0.14)
        for number in range(count):
            subject = cache(lambda number=number, cohort=cohort: cohort[number])
            base = keep / f"{seed}-{number:03d}"
            what = known(base, subject, regions)
            for name in names:
                file = base.with_name(f"{base.name}-{name}.npy")
                if not file.is_file():
                    scorer = scorers.setdefault(name, methods.shipped(name))
                    np.save(file, scorer.score(subject().scan)["WT"].values)
                found[name][-1].append(Case(f"{seed}-{number}", np.load(file), **what))
    return found


def known(base: Path, subject: Callable[[], PhantomSubject], regions: AtlasRegions) -> dict[str, Any]:
    """Brain, truth and targets of a phantom, which is made when something is missing."""
    file, brain = base.with_suffix(".npz"), base.with_name(f"{base.name}-scan.npz")
    if not brain.is_file():
        scan = subject().scan
        np.savez_compressed(brain, brain=scan.brain, truth=subject().labels > 0, voxel_ml=scan.voxel_ml)
    if not file.is_file():
        scan, arrays = subject().scan, {}
        alignment = register_to_mni(scan)
        for use in USES:
            target = report_target(scan, regions, ReportTargetSettings(use=use), alignment=alignment)
            if target is not None:
                size = target.volume
                volume = [] if size is None else [size.low_ml, size.expected_ml, size.high_ml]
                arrays |= {f"{use} inside": target.inside, f"{use} outside": target.outside, f"{use} volume": volume}
                arrays[f"{use} used"] = target.use
        np.savez_compressed(file, **arrays)
    targets: dict[str, ReportTarget | None] = dict.fromkeys(USES)
    with np.load(file) as kept, np.load(brain) as scan:
        for use in USES:
            if f"{use} inside" in kept:
                volume = kept[f"{use} volume"].tolist()
                targets[use] = ReportTarget(
                    base.name,
                    kept[f"{use} inside"],
                    kept[f"{use} outside"],
                    VolumeRange(*volume) if volume else None,
                    str(kept[f"{use} used"]),  # type: ignore[arg-type]
                )
        return {
            "brain": scan["brain"],
            "truth": scan["truth"],
            "voxel_ml": float(scan["voxel_ml"]),
            "targets": targets,
        }


def row(name: str, pairs: list[tuple[list[Case], list[Case]]], make: Callable[[list[Case]], Threshold]) -> None:
    dices, false_ml = [], []
    for learn, score in pairs:
        rule = make(learn)
        dices += [c.dice(rule) for c in score if c.truth.any()]
        false_ml += [float(rule.apply(c.scores, c.brain).sum()) * c.voxel_ml for c in score if not c.truth.any()]
    print(f"| {name} | {np.mean(dices):.3f} | {np.mean(false_ml):.1f} |", flush=True)


def fixed(text: str) -> Callable[[list[Case]], Threshold]:
    def make(learn: list[Case]) -> Threshold:
        rule: Any = parse(text)
        return rule.fit(c.healthy() for c in learn if not c.truth.any()) if hasattr(rule, "fit") else rule

    return make


def oracle(cases: list[Case]) -> tuple[float, float]:
    """Best mean Dice of one value for all, and the mean of everybody's best."""
    pooled = np.concatenate([c.scores[c.brain][::5] for c in cases])
    values = np.quantile(pooled, np.r_[np.linspace(0.5, 0.9, 60), np.linspace(0.9, 0.9995, 200)])
    curves = []
    for case in (c for c in cases if c.truth.any()):
        every, inside = np.sort(case.scores[case.brain]), np.sort(case.scores[case.brain & case.truth])
        called = every.size - np.searchsorted(every, values, side="right")
        found = inside.size - np.searchsorted(inside, values, side="right")
        curves.append(2.0 * found / (called + case.truth.sum()))
    return float(np.mean(curves, axis=0).max()), float(np.max(curves, axis=1).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="+")
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        keep = given.keep or Path(temporary)
        keep.mkdir(parents=True, exist_ok=True)
        for method, (one, other) in cohorts(given.methods, keep).items():
            table(method, one, other)


def table(method: str, one: list[Case], other: list[Case]) -> None:
    """Print the rows of one method."""
    pairs = [(one, other), (other, one)]
    best, each = oracle(one + other)
    count = sum(c.truth.any() for c in one + other)
    print(f"\n{method}, {count} phantoms with a tumour\n\n| threshold | Dice | ml in a healthy brain |\n|---|---|---|")
    print(f"| oracle, one value (T3) | {best:.3f} | |\n| oracle, one a scan (T3) | {each:.3f} | |")
    for text in FIXED:
        try:
            row(text, pairs, fixed(text))
        except AnnofreeError as error:
            print(f"| {text} | refused: {error} | |")
    for use in USES:
        for form in FORMS.get(use, ("auto", "soft-target", "expected-dice")):

            def learned(learn: list[Case], use: Any = use, form: str = form) -> Threshold:
                return Learned(form=form).learn(c.reported(use) for c in learn)

            row(f"learned, {use}, {form}", pairs, learned)


if __name__ == "__main__":
    main()
