"""Speed of the metrics, side by side with the straight way of writing them (whole volumes, scipy).

    python benchmarks/bench_metrics.py [--repeats 3]

Cases are made 240x240x155 label maps at 1 mm: one glioma, three lesions, and a speckled prediction with a few hundred
false components. Each pair runs alternately in one process, each on one core; medians of processor time and their ratio
are printed, after checking that both say the same. In the environment of `make oracles` the official scorer of BraTS
(`brats-evaluation`) is timed in the same run:

    PYTHONPATH=src .venv-oracles/bin/python benchmarks/bench_metrics.py
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import time
import tracemalloc
import warnings
from pathlib import Path
from statistics import median

import numpy as np
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "metrics"))
import slow_metrics as slow

from annofree.metrics import RankCounts, lesionwise, score_case
from annofree.metrics.surfels import surfel_areas

SHAPE, SPACING = (240, 240, 155), (1.0, 1.0, 1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    areas = surfel_areas(SPACING)
    for name, (truth, labels) in made_cases().items():
        volumes = [np.count_nonzero(array) / 1000 for array in (truth, labels)]
        pieces = ndimage.label(labels > 0, slow.CUBE)[1]
        print(f"\n{name}: truth {volumes[0]:.0f} ml, prediction {volumes[1]:.0f} ml in {pieces} components")
        masks = truth > 0, labels > 0
        side_by_side(
            "lesion-wise rule",
            lambda masks=masks: lesionwise(*masks, SPACING),
            lambda masks=masks: slow.lesionwise(*masks, SPACING, areas),
            lambda quick, plain: np.allclose((quick.dice, quick.hd95_mm), plain),
            repeats,
        )
        side_by_side(
            "lesion-wise rule, three regions",
            lambda truth=truth, labels=labels: by_region(lesionwise, truth, labels),
            lambda truth=truth, labels=labels: by_region(plain_lesionwise, truth, labels),
            lambda quick, plain: all(np.allclose((a.dice, a.hd95_mm), b) for a, b in zip(quick, plain, strict=True)),
            repeats,
        )
        official(truth, labels, repeats)
        side_by_side(
            "whole case, three regions",
            lambda truth=truth, labels=labels: score_case(labels, truth, SPACING),
            lambda truth=truth, labels=labels: slow.plain_case(labels, truth, SPACING, areas),
            lambda quick, plain: all(np.isclose(quick.value(m, r), v) for (r, m), v in plain.items()),
            repeats,
        )
    ranking(truth, repeats)
    memory(truth, labels)


def by_region(score, truth: np.ndarray, labels: np.ndarray) -> list:
    """Scores of WT, TC and ET from label maps."""
    members = ((1, 2, 3), (1, 3), (3,))
    return [score(np.isin(truth, found), np.isin(labels, found), SPACING) for found in members]


def plain_lesionwise(truth: np.ndarray, prediction: np.ndarray, spacing: tuple[float, float, float]) -> tuple:
    """The straight version, one lesion after another."""
    return slow.lesionwise(truth, prediction, spacing, surfel_areas(spacing))


def official(truth: np.ndarray, labels: np.ndarray, repeats: int) -> None:
    """All rows of the rule `brats2025` beside brats-evaluation, where that is installed (see `make oracles`)."""
    try:
        from brats_evaluation import config_path
        from panoptica import Panoptica_Evaluator, disable_citation_reminder
    except ImportError:
        return
    disable_citation_reminder()
    with contextlib.redirect_stdout(io.StringIO()):
        evaluator = Panoptica_Evaluator.load_from_config(str(config_path("GoAT")))

    def theirs() -> list[tuple[float, float]]:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = evaluator.evaluate(labels, truth, voxelspacing=SPACING, verbose=False)
        return [(found[region].sq_dsc, found[region].global_bin_hd95) for region in ("wt", "tc", "et")]

    def ours() -> list[tuple[float, float]]:
        case = score_case(labels, truth, SPACING, rule="brats2025")
        names = ("brats2025_lesionwise_dice", "brats2025_hd95_mm")
        return [tuple(case.value(name, region) for name in names) for region in ("WT", "TC", "ET")]

    side_by_side("whole case with the rows of brats2025", ours, theirs, np.allclose, repeats, "brats-evaluation")


def memory(truth: np.ndarray, labels: np.ndarray) -> None:
    """Peak memory of `score_case` beyond its inputs, in copies of a float32 volume."""
    brain, scores = ellipsoid(), {"WT": np.random.default_rng(1).random(SHAPE, dtype=np.float32)}
    tracemalloc.start()
    score_case(labels, truth, SPACING, scores=scores, brain=brain)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    volume = 4 * np.prod(SHAPE)
    print(
        f"\npeak memory of a whole case with a score map: {peak / 2**20:.0f} MiB, {peak / volume:.1f} float32 volumes"
    )


def made_cases() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Truth and prediction (X, Y, Z) by name."""
    rng = np.random.default_rng(0)
    wobble = [ndimage.zoom(rng.normal(size=(12, 12, 8)), (20, 20, 155 / 8), order=1) for _ in range(2)]
    one, three = [(100, 120, 80, 24)], [(100, 120, 80, 18), (170, 90, 60, 10), (80, 60, 100, 7)]
    cases = {}
    for name, centres in {"one glioma": one, "three lesions": three}.items():
        cases[name] = tuple(nested(centres, field, shift) for field, shift in zip(wobble, (0, 3), strict=True))
    speckled = cases["three lesions"][1].copy()
    brain = ellipsoid()
    noise = ndimage.gaussian_filter(rng.normal(size=SHAPE).astype(np.float32), 1)
    speckled[brain & (noise > 3.5 * noise.std()) & (speckled == 0)] = 2
    cases["three lesions, speckled prediction"] = (cases["three lesions"][0], speckled)
    return cases


def nested(centres: list[tuple[int, int, int, int]], wobble: np.ndarray, shift: int) -> np.ndarray:
    """Label map of lesions with core, rim and oedema, all with uneven borders."""
    labels = np.zeros(SHAPE, np.uint8)
    grid = np.ogrid[tuple(slice(n) for n in SHAPE)]
    for x, y, z, radius in centres:
        distance = np.sqrt((grid[0] - x - shift) ** 2 + (grid[1] - y) ** 2 + (grid[2] - z) ** 2) / radius + 0.1 * wobble
        for level, label in ((1.0, 2), (0.65, 3), (0.4, 1)):
            labels[distance < level] = label
    return labels


def ellipsoid() -> np.ndarray:
    """A brain-sized mask, 1.5 litres."""
    x, y, z = np.ogrid[tuple(slice(n) for n in SHAPE)]
    return ((x - 120) / 68) ** 2 + ((y - 120) / 85) ** 2 + ((z - 78) / 62) ** 2 < 1


def ranking(truth: np.ndarray, repeats: int) -> None:
    """Average precision over the brain, beside scikit-learn where it is installed."""
    try:
        from sklearn.metrics import average_precision_score
    except ImportError:
        print("\nscikit-learn is not installed: ranking not compared")
        return
    mask, brain = truth > 0, ellipsoid() | (truth > 0)
    scores = np.random.default_rng(1).normal(size=SHAPE).astype(np.float32) + mask
    print("\nranking over 1.5 million brain voxels")
    side_by_side(
        "average precision, against scikit-learn",
        lambda: RankCounts.of(scores, mask, brain).average_precision(),
        lambda: average_precision_score(mask[brain], scores[brain]),
        np.isclose,
        repeats,
    )


def side_by_side(name, quick, plain, agree, repeats, other="plain") -> None:
    """Time both alternately; print processor seconds and ratio."""
    quick()  # tables that are built once
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        answers = []
        for run, spent in zip((quick, plain), seconds, strict=True):
            start = time.process_time()
            answers.append(run())
            spent.append(time.process_time() - start)
        if not agree(*answers):
            sys.exit(f"{name}: the two disagree: {answers}")
    ours, theirs = map(median, seconds)
    print(f"  {name:48s} {ours:7.3f} s   {other} {theirs:7.3f} s   {theirs / ours:5.1f} times")


if __name__ == "__main__":
    main()
