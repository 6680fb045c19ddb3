"""Thresholds learned from reports against every fixed rule that needs no label, on two cohorts of phantoms.

Each cohort is scored with what the other one taught; masks are read for scoring and for the oracle row alone.

    python benchmarks/table_learned_threshold.py intensity atlas-z dae
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree import methods
from annofree.anatomy import default_atlas, register_to_mni
from annofree.phantom import PhantomSubject, phantom_cohort
from annofree.reports import AtlasRegions
from annofree.thresholds import HealthyScores, Threshold, parse
from annofree.thresholds.learned import Learned, ReportedScores
from annofree.training.report_targets import USES, ReportTargetSettings, report_target

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
COHORTS = ((7101, 56), (7202, 32))
SPACING_MM = 3.0


class Case:
    """A phantom, its scores by one method, and what its report says, by how much of it is used."""

    def __init__(self, subject: PhantomSubject, name: str, scores: NDArray[np.float32], regions: AtlasRegions) -> None:
        scan = subject.scan
        assert scan.brain is not None
        self.id, self.scores, self.brain, self.voxel_ml = name, scores, scan.brain, scan.voxel_ml
        self.truth = subject.labels > 0
        alignment = register_to_mni(scan)
        self.targets = {
            use: report_target(scan, regions, ReportTargetSettings(use=use), alignment=alignment) for use in USES
        }

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


def cohorts(method: str) -> Iterator[list[Case]]:
    scorer = methods.shipped(method)
    regions = AtlasRegions(default_atlas())
    for seed, count in COHORTS:
        subjects = phantom_cohort(n=56, seed=seed, spacing_mm=SPACING_MM, healthy_fraction=0.14)[:count]
        yield [Case(s, f"{seed}-{s.scan.id}", scorer.score(s.scan)["WT"].values, regions) for s in subjects]


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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("methods", nargs="+")
    for method in parser.parse_args().methods:
        one, other = cohorts(method)
        pairs = [(one, other), (other, one)]
        best, each = oracle(one + other)
        count = sum(c.truth.any() for c in one + other)
        print(
            f"\n{method}, {count} phantoms with a tumour\n\n| threshold | Dice | ml in a healthy brain |\n|---|---|---|"
        )
        print(f"| oracle, one value (T3) | {best:.3f} | |\n| oracle, one a scan (T3) | {each:.3f} | |")
        for text in FIXED:
            try:
                row(text, pairs, fixed(text))
            except Exception as error:
                print(f"| {text} | refused: {error} | |")
        for use in USES:
            for form in ("soft-target", "expected-dice") if use not in ("none", "published") else ("soft-target",):

                def learned(learn: list[Case], use: Any = use, form: str = form) -> Threshold:
                    return Learned(form=form).learn(c.reported(use) for c in learn)

                row(f"learned, {use}, {form}", pairs, learned)


if __name__ == "__main__":
    main()
