"""A table that says `brats2025` or `panoptic` would hold other numbers than the programs of that name."""

from __future__ import annotations

import numpy as np
import pytest
import slow_metrics as slow
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

from annofree.errors import InputError
from annofree.metrics import RULES, hd95_mm, score_case
from annofree.metrics.rules import score_by_rule
from annofree.metrics.surface import surface_distances, voxel_surface

ONE_MM = (1.0, 1.0, 1.0)
BLOCK, NOTHING = np.zeros((2, 30, 30, 30), bool)
BLOCK[5:12, 5:12, 5:12] = True
FAR = np.roll(BLOCK, 15, axis=1)
SPECK = np.zeros_like(BLOCK)
SPECK[20:22, 20:22, 20:22] = True  # 8 mm3: below the floor of the metastasis task


def rows(rule, truth, prediction, spacing=ONE_MM, **options):
    return dict(score_by_rule(rule, truth, prediction, spacing, **options).rows)


@pytest.mark.parametrize(
    ("truth", "prediction", "dice", "hd95", "counts"),
    [
        (NOTHING, NOTHING, 1.0, 0.0, (0, 0, 0)),
        (NOTHING, BLOCK, 0.0, 373.0, (0, 0, 1)),
        (BLOCK, NOTHING, 0.0, 373.0, (0, 1, 0)),
        (BLOCK, FAR, 0.0, 373.0, (0, 1, 1)),
        (BLOCK | FAR, BLOCK, 1.0, 0.0, (1, 1, 0)),
        (BLOCK, BLOCK | FAR, 1.0, 0.0, (1, 0, 1)),
    ],
)
def test_brats2025_gives_its_programs_numbers_and_keeps_every_case(truth, prediction, dice, hd95, counts):
    found = rows("brats2025", truth, prediction)
    assert (found["brats2025_lesionwise_dice"], found["brats2025_lesionwise_hd95_mm"]) == (dice, hd95)
    assert tuple(found[f"brats2025_{name}"] for name in ("hits", "missed", "false")) == counts
    notes = " ".join(score_by_rule("brats2025", truth, prediction, ONE_MM).notes)
    assert ("leaves the case out" in notes) == (not (truth | prediction).any())
    assert ("turns infinite" in notes) == (hd95 == 373.0)


@pytest.mark.parametrize(
    ("truth", "prediction", "dice", "hd95"),
    [
        (BLOCK | FAR, BLOCK, 0.5, 186.5),
        (BLOCK, BLOCK | FAR, 0.5, 186.5),
        (BLOCK | SPECK, BLOCK, 1.0, 0.0),
        (BLOCK | SPECK, BLOCK | SPECK, 1.0, 0.0),
        (SPECK, SPECK, np.nan, np.nan),
        (SPECK, SPECK | BLOCK, 0.0, 373.0),
        (NOTHING, BLOCK, 0.0, 373.0),
        (NOTHING, NOTHING, 1.0, 0.0),
    ],
)
def test_for_metastases_large_missed_and_false_lesions_count(truth, prediction, dice, hd95):
    found = rows("brats2025", truth, prediction, metastases=True)
    assert found["brats2025_lesionwise_dice"] == pytest.approx(dice, nan_ok=True)
    assert found["brats2025_lesionwise_hd95_mm"] == pytest.approx(hd95, nan_ok=True)


def test_panoptic_quality_by_hand():
    half = BLOCK.copy()
    half[5:9] = False  # IoU 3/7: no match
    found = rows("panoptic", BLOCK | FAR, half | FAR)
    assert (found["panoptic_sq"], found["panoptic_rq"], found["panoptic_pq"]) == (1.0, 0.5, 0.5)
    most = BLOCK.copy()
    most[5:7] = False  # IoU 5/7
    found = rows("panoptic", BLOCK, most)
    assert (found["panoptic_sq"], found["panoptic_pq"]) == pytest.approx((5 / 7, 5 / 7))
    exactly = np.zeros((2, 4, 4, 4), bool)
    exactly[0, :2, 0, 0], exactly[1, :1, 0, 0] = True, True
    assert rows("panoptic", *exactly)["panoptic_pq"] == 0.5  # an IoU of exactly 0.5 is a match


def test_three_definitions_of_hd95_for_one_pair():
    x, y, z = np.indices((60, 60, 60)) - 30
    ball, cube = x**2 + y**2 + z**2 <= 100, (abs(x - 5) <= 9) & (abs(y) <= 9) & (abs(z) <= 9)
    assert hd95_mm(ball, cube, ONE_MM) == pytest.approx(7.2111, abs=1e-4)
    assert rows("brats2025", ball, cube)["brats2025_hd95_mm"] == pytest.approx(6.7823, abs=1e-4)
    assert hd95_mm(ball, cube, ONE_MM, area_weighted=True) == pytest.approx(7.0)
    alarm = np.zeros((60, 60, 60), bool)
    alarm[5:25, 5:25, 5:25] = True
    perfect = alarm.copy()
    alarm[42:49, 5:12, 5:12] = True
    assert hd95_mm(perfect, alarm, ONE_MM) == 21.0
    assert rows("brats2025", perfect, alarm)["brats2025_hd95_mm"] == 0.0


@st.composite
def speckled(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = (12, 11, 10)

    def mask():
        noise = ndimage.gaussian_filter(rng.normal(size=shape), 1.2)
        return noise > rng.uniform(0.6, 1.6) * noise.std()

    return mask(), mask()


@given(pair=speckled(), spacing=st.sampled_from([ONE_MM, (0.8, 1.1, 2.5)]))
@settings(max_examples=60, deadline=None)
def test_brats2025_equals_the_straight_version(pair, spacing):
    truth, prediction = pair
    true, found = ndimage.label(truth, slow.CUBE), ndimage.label(prediction, slow.CUBE)
    table = np.zeros((true[1], found[1]))
    for i, j in np.ndindex(table.shape):
        a, b = true[0] == i + 1, found[0] == j + 1
        table[i, j] = 2 * (a & b).sum() / (a.sum() + b.sum())
    matched = [(i, j) for i, j in zip(*linear_sum_assignment(table, maximize=True), strict=True) if table[i, j] > 0]
    ours = rows("brats2025", truth, prediction, spacing)
    assert ours["brats2025_hits"] == len(matched)
    if not matched:
        return
    dice, hd95 = [], []
    for i, j in matched:
        a, b = slow.border_points(true[0] == i + 1, spacing), slow.border_points(found[0] == j + 1, spacing)
        dice.append(table[i, j])
        hd95.append(np.percentile(np.concatenate([slow.all_pairs(a, b), slow.all_pairs(b, a)]), 95))
    assert ours["brats2025_lesionwise_dice"] == pytest.approx(np.mean(dice))
    assert ours["brats2025_lesionwise_hd95_mm"] == pytest.approx(np.mean(hd95))


def test_the_shares_within_a_tolerance_are_means_of_both_directions():
    pair = voxel_surface(BLOCK), voxel_surface(np.roll(BLOCK, 2, axis=0))
    distances = surface_distances(*pair, ONE_MM)
    expected = np.mean([np.mean(d <= 1.0) for d in (distances.truth_mm, distances.prediction_mm)])
    assert distances.mean_share_within(1.0) == pytest.approx(expected)


def test_a_case_carries_the_rows_of_its_rule_only():
    labels = BLOCK.astype(np.uint8) * 2
    assert not any(row.metric.startswith(("brats2025", "panoptic")) for row in score_case(labels, labels, ONE_MM).rows)
    for rule in RULES:
        case = score_case(labels, labels, ONE_MM, rule=rule)
        assert all(case.value(metric) is not None for metric in RULES[rule].columns)
    with pytest.raises(InputError, match="panoptic"):
        score_case(labels, labels, ONE_MM, rule="brats")
