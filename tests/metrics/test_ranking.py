"""A ranking figure would be off, or an oracle one would slip through as a result."""

from __future__ import annotations

import numpy as np
import pytest
import slow_metrics as slow
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from annofree.errors import InputError
from annofree.metrics import RankCounts
from annofree.metrics.ranking import oracle_common_threshold

SHAPE = (5, 4, 3)


@given(
    scores=hnp.arrays(np.float32, SHAPE, elements=st.sampled_from([-3.5, -1.0, -0.0, 0.0, 0.25, 0.5, 2.0, 1e6])),
    truth=hnp.arrays(bool, SHAPE),
)
@settings(max_examples=120, deadline=None)
def test_figures_equal_those_of_one_threshold_after_another(scores, truth):
    counts = RankCounts.of(scores, truth)
    if not truth.any() or truth.all():
        assert np.isnan(counts.auroc())
        return
    ap, auroc, best, at_fpr = slow.ranking(scores, truth)
    assert counts.average_precision() == pytest.approx(ap)
    assert counts.auroc() == pytest.approx(auroc)
    assert counts.oracle()[0] == pytest.approx(best)
    assert counts.oracle_dice_at_fpr(0.05) == pytest.approx(at_fpr)
    threshold = counts.oracle()[1]
    assert slow_dice(scores >= threshold, truth) == pytest.approx(best)


def slow_dice(prediction, truth):
    return 2 * (prediction & truth).sum() / (prediction.sum() + truth.sum())


def noisy(seed, shift=1.5, n=20_000):
    rng = np.random.default_rng(seed)
    truth = rng.random((n, 1, 1)) < 0.05
    return rng.normal(size=truth.shape).astype(np.float32) + shift * truth, truth


def test_pooled_cases_equal_one_long_case():
    cases = [noisy(seed) for seed in range(3)]
    pooled = RankCounts.pooled([RankCounts.of(*case) for case in cases])
    long = RankCounts.of(np.concatenate([c[0] for c in cases]), np.concatenate([c[1] for c in cases]))
    assert pooled.average_precision() == long.average_precision()
    assert pooled.oracle() == long.oracle()


def test_the_coarse_table_is_small_and_hardly_differs():
    counts = RankCounts.of(*noisy(1, n=200_000))
    coarse = counts.coarse()
    assert coarse.scores.size < 10_000
    assert (coarse.tumour_voxels, coarse.other_voxels) == (counts.tumour_voxels, counts.other_voxels)
    assert coarse.average_precision() == pytest.approx(counts.average_precision(), abs=1e-3)
    assert coarse.auroc() == pytest.approx(counts.auroc(), abs=1e-3)
    infinite = RankCounts.of(np.array([[[-np.inf, 0, np.inf]]]), np.array([[[False, False, True]]])).coarse()
    assert infinite.average_precision() == 1.0


def test_tumour_outside_the_brain_mask_still_counts():
    scores, truth = np.zeros((10, 1, 1), np.float32), np.zeros((10, 1, 1), bool)
    scores[0], truth[0], truth[9] = 1.0, True, True
    brain = np.ones_like(truth)
    brain[9] = False
    assert RankCounts.of(scores, truth, brain).tumour_voxels == 2
    assert RankCounts.of(scores, truth, brain).average_precision() < 1.0


def test_one_threshold_for_all_is_worse_than_one_for_each():
    tables = [RankCounts.of(scores + 3 * seed, truth) for seed, (scores, truth) in enumerate(map(noisy, range(3)))]
    common, threshold = oracle_common_threshold(tables)
    assert common < np.mean([table.oracle()[0] for table in tables])
    assert common == pytest.approx(np.mean([table.dice_at(np.array([threshold]))[0] for table in tables]))
    alone = oracle_common_threshold(tables[:1], steps=5000)[0]
    assert alone == pytest.approx(tables[0].oracle()[0], abs=1e-3)


def test_nan_scores_are_refused():
    with pytest.raises(InputError, match="NaN"):
        RankCounts.of(np.full(SHAPE, np.nan), np.ones(SHAPE, bool))
