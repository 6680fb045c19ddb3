"""Compare annofree's metrics with two packages in wide use, on random masks.

    python -m venv .venv-oracles && .venv-oracles/bin/pip install -r tests/metrics/oracles/requirements.txt
    PYTHONPATH=src .venv-oracles/bin/python tests/metrics/oracles/check_oracles.py

surface-distance: Hausdorff, area-weighted HD95, surface Dice. panoptica: lesions matched one to one, Dice and IoU.
Exits with 1 when anything differs by more than 1e-6 (mm or share).
"""

from __future__ import annotations

import sys

import numpy as np
import surface_distance
from panoptica import (
    CCABackend,
    ConnectedComponentsInstanceApproximator,
    InputType,
    MaxBipartiteMatching,
    Metric,
    Panoptica_Evaluator,
    disable_citation_reminder,
)
from scipy import ndimage

from annofree.metrics import Overlap, hd95_mm, match_lesions, surface_dice
from annofree.metrics.surface import area_surface, surface_distances

SPACINGS = [(1.0, 1.0, 1.0), (0.9, 0.9, 5.5), (2.0, 2.0, 2.0)]
TOLERANCE = 1e-6
CASES = 60


def main() -> int:
    worst: dict[str, float] = {}
    hits = 0
    rng = np.random.default_rng(0)
    evaluators = {"optimal": evaluator(MaxBipartiteMatching)}
    for case in range(CASES):
        truth, prediction = blobs(rng), blobs(rng)
        if case % 3:  # related masks, as a method's usually are
            prediction = np.roll(truth, 2, axis=case % 2) ^ (prediction & (rng.random(truth.shape) < 0.02))
        spacing = SPACINGS[case % len(SPACINGS)]
        for name, (ours, theirs) in {
            **surfaces(truth, prediction, spacing),
            **lesions(truth, prediction, evaluators),
        }.items():
            worst[name] = max(worst.get(name, 0.0), abs(ours - theirs))
            hits += ours if name == "panoptica: optimal matching, hits" else 0
    print(f"{CASES} pairs of masks with {hits} matched lesions, largest difference:")
    for name, difference in worst.items():
        print(f"  {name:44s} {difference:.1e}{'' if difference <= TOLERANCE else '   DIFFERS'}")
    return int(any(difference > TOLERANCE for difference in worst.values()))


def blobs(rng: np.random.Generator, shape: tuple[int, int, int] = (44, 40, 36)) -> np.ndarray:
    """A random mask of several smooth pieces (X, Y, Z)."""
    noise = ndimage.gaussian_filter(rng.normal(size=shape), rng.uniform(1.2, 3))
    return noise > rng.uniform(1.2, 2.0) * noise.std()


def surfaces(truth: np.ndarray, prediction: np.ndarray, spacing: tuple[float, float, float]) -> dict:
    """(ours, surface-distance's) by name."""
    oracle = surface_distance.compute_surface_distances(truth, prediction, spacing)
    ours = surface_distances(area_surface(truth, spacing), area_surface(prediction, spacing), spacing)
    pairs = {
        "surface-distance: Hausdorff": (
            ours.hausdorff_mm,
            surface_distance.compute_robust_hausdorff(oracle, 100),
        ),
        "surface-distance: area-weighted HD95": (
            hd95_mm(truth, prediction, spacing, area_weighted=True),
            surface_distance.compute_robust_hausdorff(oracle, 95),
        ),
    }
    for tolerance in (1.0, 2.5):
        pairs[f"surface-distance: surface Dice at {tolerance} mm"] = (
            surface_dice(truth, prediction, spacing, tolerance),
            surface_distance.compute_surface_dice_at_tolerance(oracle, tolerance),
        )
    return pairs


def evaluator(matching: type) -> Panoptica_Evaluator:
    """Instances by 26-connected components, matched on Dice of at least 1e-6."""
    return Panoptica_Evaluator(
        expected_input=InputType.SEMANTIC,
        instance_approximator=ConnectedComponentsInstanceApproximator(cca_backend=CCABackend.cc3d),
        instance_matcher=matching(matching_metric=Metric.DSC, matching_threshold=1e-6),
        instance_metrics=[Metric.DSC],
        global_metrics=[Metric.DSC, Metric.IOU],
    )


def lesions(truth: np.ndarray, prediction: np.ndarray, evaluators: dict[str, Panoptica_Evaluator]) -> dict:
    """(ours, panoptica's) by name."""
    pairs = {}
    overlap = Overlap.of(truth, prediction)
    for matching, instance in evaluators.items():
        oracle = instance.evaluate(prediction.astype(np.uint8), truth.astype(np.uint8), verbose=False)["ungrouped"]
        ours = match_lesions(truth, prediction)
        pairs[f"panoptica: {matching} matching, hits"] = (ours.hits, oracle.tp)
        pairs[f"panoptica: {matching} matching, false"] = (ours.false, oracle.fp)
        pairs[f"panoptica: {matching} matching, missed"] = (ours.missed, oracle.fn)
        if ours.hits:
            pairs[f"panoptica: {matching} matching, matched Dice"] = (ours.matched_dice, oracle.sq_dsc)
        pairs["panoptica: Dice"] = (overlap.dice, oracle.global_bin_dsc)
        pairs["panoptica: IoU"] = (overlap.iou, oracle.global_bin_iou)
    return pairs


if __name__ == "__main__":
    disable_citation_reminder()
    sys.exit(main())
