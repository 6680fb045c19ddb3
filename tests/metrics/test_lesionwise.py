"""Lesion-wise scores would not be those of the challenge, and a table with them would compare unlike things."""

from __future__ import annotations

import numpy as np
import pytest
import slow_metrics as slow
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from annofree.errors import InputError
from annofree.metrics import LESION_RULES, LesionRule, lesionwise, match_lesions, score_case
from annofree.metrics.components import dilate18
from annofree.metrics.surfels import surfel_areas

SHAPE = (240, 240, 155)
ONE_MM = (1.0, 1.0, 1.0)
CENTRE = (100, 120, 80)


def ball(radius, centre):
    mask = np.zeros(SHAPE, bool)
    low = [int(c - radius) for c in centre]
    grid = np.indices((2 * radius + 1,) * 3) - radius
    window = tuple(slice(at, at + 2 * radius + 1) for at in low)
    mask[window] = (grid**2).sum(0) <= radius**2
    return mask


def cube(corner, side=3):
    mask = np.zeros(SHAPE, bool)
    mask[tuple(slice(at, at + side) for at in corner)] = True
    return mask


TRUTH = ball(15, CENTRE)
SHIFTED = ball(15, (104, 120, 80))
BLOBS = ball(4, (40, 60, 40)) | ball(4, (180, 60, 40)) | ball(4, (180, 200, 120))
BROKEN = TRUTH.copy()
BROKEN[CENTRE[0] - 1 : CENTRE[0] + 4] = False
SPECK = cube((180, 60, 40))
PAIR = ball(5, (100, 120, 80)) | ball(5, (113, 120, 80))
SMALL, BESIDE = ball(3, (100, 120, 80)), ball(3, (107, 120, 80))
NOTHING = np.zeros(SHAPE, bool)

#: truth, prediction, volume Dice, lesion-wise Dice and HD95 of the published code (2023), then what the 2026 package
#: says: hits/false/missed, Dice of matched pairs, F1
TOY_TABLE = {
    "shifted by 4 mm": (TRUTH, SHIFTED, 0.802, 0.802, 3.6, (1, 0, 0), 0.802, 1.0),
    "three false blobs": (TRUTH, SHIFTED | BLOBS, 0.781, 0.201, 281.4, (1, 3, 0), 0.802, 0.4),
    "one false speck": (TRUTH, SHIFTED | SPECK, 0.801, 0.401, 188.8, (1, 1, 0), 0.802, 0.667),
    "broken in two": (TRUTH, BROKEN, 0.860, 0.860, 8.1, (1, 1, 0), 0.597, 0.667),
    "two voxels apart": (PAIR, PAIR, 1.0, 1.0, 0.0, (2, 0, 0), 1.0, 1.0),
    "far lesion missed": (TRUTH | ball(8, (180, 60, 40)), SHIFTED, 0.746, 0.401, 188.8, (1, 0, 1), 0.802, 0.667),
    "speck missed": (TRUTH | SPECK, SHIFTED, 0.801, 0.802, 3.6, (1, 0, 1), 0.802, 0.667),
    "empty prediction": (TRUTH, NOTHING, 0.0, 0.0, 374.0, (0, 0, 1), np.nan, 0.0),
    "beside, no overlap": (SMALL, BESIDE, 0.0, 0.0, 6.3, (0, 1, 1), np.nan, 0.0),
}


@pytest.mark.parametrize("name", TOY_TABLE)
def test_the_published_toy_table_is_reproduced(name):
    truth, prediction, dice, by_lesion, hd95, (hits, false, missed), matched, f1 = TOY_TABLE[name]
    volume_dice = 2 * np.count_nonzero(truth & prediction) / (truth.sum() + prediction.sum())
    assert volume_dice == pytest.approx(dice, abs=5.1e-4)
    scores = lesionwise(truth, prediction, ONE_MM)
    assert scores.dice == pytest.approx(by_lesion, abs=5.1e-4)
    assert scores.hd95_mm == pytest.approx(hd95, abs=0.051)
    matches = match_lesions(truth, prediction)
    assert (matches.hits, matches.false, matches.missed) == (hits, false, missed)
    assert matches.matched_dice == pytest.approx(matched, abs=5.1e-4, nan_ok=True)
    assert matches.f1 == pytest.approx(f1, abs=5.1e-4)


def test_both_empty_is_perfect_and_a_healthy_scan_with_false_components_is_worst():
    assert (lesionwise(NOTHING, NOTHING, ONE_MM).dice, lesionwise(NOTHING, NOTHING, ONE_MM).hd95_mm) == (1.0, 0.0)
    false = lesionwise(NOTHING, BLOBS, ONE_MM)
    assert (false.dice, false.hd95_mm, false.count("false")) == (0.0, 374.0, 3)


def test_an_ignored_speck_shields_the_component_that_hits_it():
    scores = lesionwise(TRUTH | SPECK, TRUTH | SPECK, ONE_MM)
    assert (scores.dice, scores.ignored, scores.count("false")) == (1.0, 1, 0)


def test_the_tasks_have_the_published_constants():
    assert {task: (rule.dilation_vox, rule.ignore_mm3) for task, rule in LESION_RULES.items()} == {
        "GLI": (3, 50),
        "SSA": (3, 50),
        "PED": (3, 50),
        "MEN": (1, 50),
        "MET": (1, 2),
        "GoAT": (3, 50),
        "GoAT-MEN": (1, 50),
    }
    with pytest.raises(InputError, match="GLI"):
        score_case(np.zeros((2, 2, 2), np.uint8), np.zeros((2, 2, 2), np.uint8), ONE_MM, task="glioma")


@st.composite
def spotted_pairs(draw):
    """Two small masks of a few blocks each, some of them near one another."""
    shape = draw(st.tuples(*[st.integers(3, 18)] * 3))

    def spots():
        mask = np.zeros(shape, bool)
        for _ in range(draw(st.integers(0, 4))):
            corner = [draw(st.integers(0, n - 1)) for n in shape]
            mask[tuple(slice(at, at + draw(st.integers(1, 5))) for at in corner)] = True
        return mask

    return spots(), spots()


@given(
    pair=spotted_pairs(),
    dilation=st.integers(1, 3),
    floor=st.sampled_from([0, 2, 20, 50]),
    spacing=st.sampled_from([(1.0, 1.0, 1.0), (0.8, 1.1, 2.5), (2.0, 2.0, 2.0)]),
)
@settings(max_examples=150, deadline=None)
def test_the_quick_rule_equals_the_straight_one(pair, dilation, floor, spacing):
    rule = LesionRule(dilation_vox=dilation, ignore_mm3=floor)
    quick = lesionwise(*pair, spacing, rule)
    expected = slow.lesionwise(*pair, spacing, surfel_areas(spacing), dilation, floor)
    assert (quick.dice, quick.hd95_mm) == pytest.approx(expected, abs=1e-9)


@given(pair=spotted_pairs(), times=st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_the_dilation_is_that_of_18_neighbours(pair, times):
    expected = ndimage.binary_dilation(pair[0], slow.EIGHTEEN, iterations=times)
    np.testing.assert_array_equal(dilate18(pair[0], times), expected)


@given(pair=spotted_pairs())
@settings(max_examples=100, deadline=None)
def test_matching_pairs_each_component_once(pair):
    matches = match_lesions(*pair)
    assert matches.hits + matches.missed == ndimage.label(pair[0], slow.CUBE)[1]
    assert matches.hits + matches.false == ndimage.label(pair[1], slow.CUBE)[1]


def test_optimal_matching_gives_up_the_best_pair_when_two_good_ones_are_worth_more():
    truth, prediction = np.zeros((2, 40, 1, 1), bool)
    truth[0:20], truth[22:34] = True, True
    prediction[8:30], prediction[0:6] = True, True
    best = match_lesions(truth, prediction)
    assert best.hits == 2
    assert best.dice == pytest.approx((12 / 26, 16 / 34))  # the best pair alone has 24 / 42
