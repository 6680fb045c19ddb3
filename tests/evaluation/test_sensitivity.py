"""Threshold sensitivity: the published ten steps, UB and SB, and the fine grid that holds the true best."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

from annofree.errors import InputError
from annofree.metrics import RankCounts
from annofree.metrics.sensitivity import sensitivity


def cases(count: int = 3) -> list[tuple[np.ndarray, np.ndarray]]:
    found = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        truth = np.zeros((8, 9, 10), bool)
        truth[2:5, 2:6, 3 : 6 + seed] = True
        found.append(((rng.normal(0.2, 0.1, truth.shape) + 0.3 * truth).astype(np.float32), truth))
    return found


def tables() -> list[RankCounts]:
    return [RankCounts.of(scores, truth) for scores, truth in cases()]


def test_ten_steps_are_the_published_ones_written_out() -> None:
    curve = sensitivity(tables())
    low = min(scores.min() for scores, _ in cases())
    high = max(scores.max() for scores, _ in cases())
    for k, threshold in enumerate(np.linspace(low, high, 10, dtype=np.float32)):
        for i, (scores, truth) in enumerate(cases()):
            mask = scores >= threshold
            assert curve.dice[i, k] == pytest.approx(2 * (mask & truth).sum() / (mask.sum() + truth.sum()))
    share = np.mean([2 * t.sum() / (t.size + t.sum()) for _, t in cases()])
    assert curve.mean[0] == pytest.approx(share)  # rank 1 calls everything


def test_ub_is_below_the_oracle_of_a_fine_grid() -> None:
    ten, fine = sensitivity(tables()), sensitivity(tables(), steps=None)
    assert ten.mean[ten.best(1)] >= ten.mean[ten.best(2)]
    assert fine.mean.max() >= ten.mean.max()
    assert np.all(np.diff(fine.thresholds) > 0)


def test_width_says_how_wide_the_plateau_is() -> None:
    sharp = sensitivity(tables(), steps=None)
    assert sharp.width > 1.0
    noisy = [(scores + 0.0, truth) for scores, truth in cases()]
    clear = [RankCounts.of(np.where(t, s + 1.0, s * 0.5), t) for s, t in noisy]
    assert sensitivity(clear, steps=200).width > sensitivity(tables(), steps=200).width


def test_a_curve_without_tumour_or_steps_is_refused() -> None:
    with pytest.raises(InputError, match="with tumour"):
        sensitivity([RankCounts.of(np.zeros((2, 2, 2), np.float32), np.zeros((2, 2, 2), bool))])
    with pytest.raises(InputError, match="10 as published"):
        sensitivity(tables(), steps=1)


def test_the_table_marks_what_the_truth_chose_and_the_picture_is_one(tmp_path: Path) -> None:
    benchmark = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "table_reconstruction.py"))
    curves = {"dae": sensitivity(tables()), "ae": sensitivity(tables())}
    lines = benchmark["sensitivity_table"](curves).splitlines()
    assert lines[0].split("\t")[-2:] == ["UB(T3)", "SB(T3)"]
    assert len(lines) == 3
    assert max(map(float, lines[1].split("\t")[1:11])) == float(lines[1].split("\t")[-2])
    assert benchmark["draw_sensitivity"](curves, tmp_path / "c.png", marks={"dae": 0.4}).read_bytes()[:4] == b"\x89PNG"
