"""HD95 and empty cases: one word, several definitions. The value of each for the same masks, beside ours.

The numbers are those of the tables in docs/metrics.md; exits with 1 when one of them changes.
"""

from __future__ import annotations

import contextlib
import io
import math
import sys

import numpy as np
import surface_distance
import torch
from medpy.metric import binary
from monai.metrics import DiceMetric, HausdorffDistanceMetric, compute_hausdorff_distance
from panoptica.metrics.hausdorff_distance import _compute_hausdorff_distance95

from annofree.metrics import hd95_mm, score_case, summarise

ONE_MM = (1.0, 1.0, 1.0)


def masks() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Truth and prediction (X, Y, Z) at 1 mm by name."""
    cube = np.zeros((60, 60, 60), bool)
    cube[5:25, 5:25, 5:25] = True
    alarm = cube.copy()
    alarm[42:49, 5:12, 5:12] = True
    x, y, z = np.indices(cube.shape) - 30
    ball = x**2 + y**2 + z**2 <= 10**2
    beside = (abs(x - 5) <= 9) & (abs(y) <= 9) & (abs(z) <= 9)
    return {
        "ball of 20 mm, cube of 19 mm shifted by 5 mm": (ball, beside),
        "perfect cube of 20 mm, false alarm of 7 mm": (cube, alarm),
    }


def hd95_by_definition(truth: np.ndarray, prediction: np.ndarray) -> dict[str, float]:
    """HD95 in mm by program."""
    oracle = surface_distance.compute_surface_distances(truth, prediction, ONE_MM)
    tensors = [torch.from_numpy(mask[None, None].astype(np.float32)) for mask in (prediction, truth)]
    return {
        "annofree hd95_mm": hd95_mm(truth, prediction, ONE_MM),
        "MONAI 1.6.1": float(compute_hausdorff_distance(*tensors, percentile=95)),
        "annofree brats2025_hd95_mm": score_by_2025(truth, prediction),
        "medpy 0.5.2": float(binary.hd95(prediction, truth)),
        "panoptica 2.1.7": float(_compute_hausdorff_distance95(truth, prediction)),
        "annofree, area-weighted": hd95_mm(truth, prediction, ONE_MM, area_weighted=True),
        "surface-distance 0.1": surface_distance.compute_robust_hausdorff(oracle, 95),
    }


def score_by_2025(truth: np.ndarray, prediction: np.ndarray) -> float:
    """The pooled HD95 of rule `brats2025`."""
    return score_case(prediction, truth, ONE_MM, rule="brats2025").value("brats2025_hd95_mm")


def empty_truth() -> dict[str, float]:
    """Mean Dice of a perfect case and a false alarm on a scan without tumour."""
    cube = np.zeros((20, 20, 20), bool)
    cube[5:10, 5:10, 5:10] = True
    nothing = np.zeros_like(cube)
    cases = [score_case(cube, truth, ONE_MM) for truth in (cube, nothing)]
    batch = [torch.from_numpy(np.stack(pair)[:, None].astype(np.float32)) for pair in ((cube, cube), (cube, nothing))]
    found = {"annofree evaluate": summarise(cases).row("dice").mean}
    for ignore in (True, False):
        metric = DiceMetric(include_background=True, reduction="mean", ignore_empty=ignore)
        metric(*batch)
        found[f"MONAI 1.6.1 DiceMetric, ignore_empty={ignore}"] = float(metric.aggregate())
    return found


def missed_lesion() -> dict[str, float]:
    """Mean HD95 in mm of a case 3 mm off and a case that is missed."""
    cube = np.zeros((20, 20, 20), bool)
    cube[5:10, 5:10, 5:10] = True
    shifted, nothing = np.roll(cube, 3, 0), np.zeros_like(cube)
    cases = [score_case(prediction, cube, ONE_MM) for prediction in (shifted, nothing)]
    batch = [torch.from_numpy(np.stack(m)[:, None].astype(np.float32)) for m in ((shifted, nothing), (cube, cube))]
    found = {"annofree evaluate": summarise(cases).row("hd95_mm").mean}
    for percentile in (95, None):
        metric = HausdorffDistanceMetric(include_background=True, percentile=percentile)
        metric(*batch)
        found[f"MONAI 1.6.1 HausdorffDistanceMetric, percentile={percentile}"] = float(metric.aggregate())
    return found


EXPECTED: dict[str, tuple[float, ...]] = {
    "ball of 20 mm, cube of 19 mm shifted by 5 mm": (7.211, 7.211, 6.782, 6.782, 6.782, 7.0, 7.0),
    "perfect cube of 20 mm, false alarm of 7 mm": (21.0, 21.0, 0.0, 0.0, 0.0, 21.0, 21.0),
    "empty truth": (0.5, 1.0, 0.5),
    "missed lesion": (188.5, 3.0, math.inf),
}


def main() -> int:
    right = True
    for name, pair in masks().items():
        with contextlib.redirect_stdout(io.StringIO()):
            found = hd95_by_definition(*pair)
        print(name)
        for program, value in found.items():
            print(f"  {program:44s} {value:7.3f} mm")
        right &= agree(name, found)
    found = empty_truth()
    print("mean Dice of a perfect case and a false alarm on an empty truth")
    for program, value in found.items():
        print(f"  {program:44s} {value:7.3f}")
    right &= agree("empty truth", found)
    found = missed_lesion()
    print("mean HD95 of a case 3 mm off and a missed one")
    for program, value in found.items():
        print(f"  {program:60s} {value:7.3f} mm")
    return int(not (right & agree("missed lesion", found)))


def agree(name: str, found: dict[str, float]) -> bool:
    """Whether the values are those of the docs."""
    same = all(math.isclose(a, b, abs_tol=5e-4) for a, b in zip(found.values(), EXPECTED[name], strict=True))
    if not same:
        print("  not the numbers that docs/metrics.md gives")
    return same


if __name__ == "__main__":
    sys.exit(main())
