"""Compare the rules `brats2025` and `panoptic` with the programs that they stand for.

brats-evaluation 0.0.10 (its bundled GoAT and MET settings, its parsers) and panoptica 2.1.7 (IoU of at least 0.5). Both
get arrays: from files panoptica swaps the voxel sizes of x and z. Random masks at 1 mm must agree to 1e-6. Then the
cases in which the programs give no number are printed beside ours; they have to be exactly the expected ones.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from brats_evaluation import config_path, parse_mets_results, parse_seg_results
from check_oracles import blobs
from panoptica import (
    CCABackend,
    ConnectedComponentsInstanceApproximator,
    InputType,
    Metric,
    NaiveThresholdMatching,
    Panoptica_Evaluator,
    disable_citation_reminder,
)

from annofree.metrics.rules import score_by_rule

TOLERANCE = 1e-6
CASES = 40
ONE_MM = (1.0, 1.0, 1.0)
#: Column of brats-evaluation's table to our row.
COLUMNS = {
    "all_instance_tp": "hits",
    "all_instance_fp": "false",
    "all_instance_fn": "missed",
    "all_instance_prec": "precision",
    "all_instance_rec": "recall",
    "all_instance_f1": "f1",
    "global_hd95": "hd95_mm",
    "global_nsd": "nsd",
    "lesionwise_dsc_mean": "lesionwise_dice",
    "lesionwise_hd95_mean": "lesionwise_hd95_mm",
    "lesionwise_nsd_mean": "lesionwise_nsd",
}


def main() -> int:
    disable_citation_reminder()
    worst: dict[str, float] = {}
    pairs = related_pairs()
    for task, metastases in (("GoAT", False), ("mets", True)):
        theirs = brats_evaluation(pairs, task)
        for (truth, prediction), row in zip(pairs, theirs, strict=True):
            ours = dict(score_by_rule("brats2025", truth, prediction, ONE_MM, metastases=metastases).rows)
            for column, name in COLUMNS.items():
                compare(worst, f"brats-evaluation ({task}): {name}", ours[f"brats2025_{name}"], row[column])
    panoptic = iou_evaluator()
    for truth, prediction in pairs:
        with contextlib.redirect_stdout(io.StringIO()):
            result = panoptic.evaluate(prediction.astype(np.uint8), truth.astype(np.uint8), verbose=False)["ungrouped"]
        ours = dict(score_by_rule("panoptic", truth, prediction, ONE_MM).rows)
        for name, value in (("pq", result.pq), ("sq", result.sq), ("rq", result.rq), ("hits", result.tp)):
            compare(worst, f"panoptica: {name}", ours[f"panoptic_{name}"], value)
    print(f"{CASES} pairs of masks, largest difference:")
    for name, difference in worst.items():
        print(f"  {name:44s} {difference:.1e}{'' if difference <= TOLERANCE else '   DIFFERS'}")
    return int(any(not difference <= TOLERANCE for difference in worst.values()) or not edges())


def related_pairs() -> list[tuple[np.ndarray, np.ndarray]]:
    """Truth and prediction that share lesions, miss some and add some."""
    rng = np.random.default_rng(1)
    pairs = []
    while len(pairs) < CASES:
        truth, other = blobs(rng), blobs(rng)
        prediction = np.roll(truth, int(rng.integers(0, 3)), axis=len(pairs) % 3)
        prediction[: int(rng.integers(0, 16))] = False
        prediction[30:] |= other[30:]
        if (truth & prediction).any():
            pairs.append((truth, prediction))
    return pairs


def brats_evaluation(pairs: list[tuple[np.ndarray, np.ndarray]], task: str) -> list[dict[str, float]]:
    """The package's table, a row a pair, of its group "wt"."""
    with contextlib.redirect_stdout(io.StringIO()), tempfile.TemporaryDirectory() as folder:
        evaluator = Panoptica_Evaluator.load_from_config(str(config_path(task)))
        metrics = []
        for number, (truth, prediction) in enumerate(pairs):
            found = evaluator.evaluate(
                prediction.astype(np.uint8) * 2, truth.astype(np.uint8) * 2, voxelspacing=ONE_MM, verbose=False
            )
            metrics.append({"subject_name": str(number), "wt": found["wt"].to_dict(True)})
        source, table = Path(folder) / "scores.json", Path(folder) / "table.csv"
        source.write_text(json.dumps({"metrics": metrics, "missings": []}, default=float))
        parse_mets_results(source, 20.0, 0.1, table) if task == "mets" else parse_seg_results(source, table)
        rows = pd.read_csv(table).iloc[: len(pairs)]
    return [{column: float(row[f"{column}_wt"]) for column in COLUMNS} for _, row in rows.iterrows()]


def iou_evaluator() -> Panoptica_Evaluator:
    """Instances by 26-connected components, matched at an IoU of 0.5."""
    return Panoptica_Evaluator(
        expected_input=InputType.SEMANTIC,
        instance_approximator=ConnectedComponentsInstanceApproximator(cca_backend=CCABackend.cc3d),
        instance_matcher=NaiveThresholdMatching(matching_metric=Metric.IOU, matching_threshold=0.5),
        instance_metrics=[Metric.IOU],
    )


def compare(worst: dict[str, float], name: str, ours: float, theirs: float) -> None:
    """Keep the largest difference; where neither has a number they agree."""
    gap = 0.0 if math.isnan(ours) and math.isnan(theirs) else abs(ours - theirs)
    worst[name] = max(worst.get(name, 0.0), math.inf if math.isnan(gap) else gap)


def edges() -> bool:
    """The cases that leave the program's table, beside ours; whether they are the expected ones."""
    block, nothing = np.zeros((2, 30, 30, 30), bool)
    block[5:12, 5:12, 5:12] = True
    far = np.roll(block, 15, axis=1)
    cases = {
        "both empty": (nothing, nothing),
        "false alarm, no lesion": (nothing, block),
        "lesion missed": (block, nothing),
        "one missed, one false": (block, far),
        "one hit, one missed": (block | far, block),
        "one hit, one false": (block, block | far),
    }
    expected = {
        "both empty": (math.nan, math.nan, 1.0, 0.0),
        "false alarm, no lesion": (0.0, math.inf, 0.0, 373.0),
        "lesion missed": (0.0, math.inf, 0.0, 373.0),
        "one missed, one false": (0.0, math.inf, 0.0, 373.0),
        "one hit, one missed": (1.0, 0.0, 1.0, 0.0),
        "one hit, one false": (1.0, 0.0, 1.0, 0.0),
    }
    theirs = brats_evaluation(list(cases.values()), "GoAT")
    print(f"\n{'lesion-wise Dice and HD95':28s} brats-evaluation      brats2025        brats2023")
    as_expected = True
    for (name, pair), row in zip(cases.items(), theirs, strict=True):
        ours = dict(score_by_rule("brats2025", *pair, ONE_MM).rows)
        older = lesionwise_2023(*pair)
        found = (
            row["lesionwise_dsc_mean"],
            row["lesionwise_hd95_mean"],
            ours["brats2025_lesionwise_dice"],
            ours["brats2025_lesionwise_hd95_mm"],
        )
        print(f"  {name:26s} {found[0]:6.2f} {found[1]:8.1f}     {found[2]:6.2f} {found[3]:7.1f}", end="")
        print(f"   {older[0]:6.2f} {older[1]:7.1f}")
        as_expected &= bool(np.array_equal(found, expected[name], equal_nan=True))
    if not as_expected:
        print("  the program no longer answers as written down here")
    return as_expected


def lesionwise_2023(truth: np.ndarray, prediction: np.ndarray) -> tuple[float, float]:
    """Dice and HD95 of the BraTS 2023 rule."""
    from annofree.metrics import lesionwise

    scores = lesionwise(truth, prediction, ONE_MM)
    return scores.dice, scores.hd95_mm


if __name__ == "__main__":
    sys.exit(main())
