"""A boundary score in the wrong unit, or weighted wrongly, would look plausible and be wrong."""

from __future__ import annotations

import numpy as np
import pytest
import slow_metrics as slow
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from annofree.errors import InputError
from annofree.metrics import hd95_mm, hd_mm, surface, surface_dice
from annofree.metrics.surfels import surfel_areas, surfel_codes

SPACINGS = [(1.0, 1.0, 1.0), (0.9, 0.9, 5.5), (2.0, 1.0, 0.5)]


def blob(seed, size=12, level=0.3):
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(size,) * 3), 1.5)
    return noise > level * noise.std()


@pytest.mark.parametrize("spacing", SPACINGS)
@given(seeds=st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)))
@settings(max_examples=15, deadline=None)
def test_distances_equal_those_over_every_pair_of_points(spacing, seeds):
    truth, prediction = blob(seeds[0]), blob(seeds[1])
    areas = surfel_areas(spacing)
    assert hd_mm(truth, prediction, spacing) == pytest.approx(slow.voxel_hd(truth, prediction, spacing, 100))
    assert hd95_mm(truth, prediction, spacing) == pytest.approx(slow.voxel_hd(truth, prediction, spacing, 95))
    weighted = hd95_mm(truth, prediction, spacing, area_weighted=True)
    assert weighted == pytest.approx(slow.area_hd95(truth, prediction, spacing, areas))
    for tolerance in (1.0, 2.3):
        expected = slow.surface_dice(truth, prediction, spacing, tolerance, areas)
        assert surface_dice(truth, prediction, spacing, tolerance) == pytest.approx(expected)


def test_search_tree_and_distance_transform_agree(monkeypatch):
    truth, prediction = blob(1, 24), blob(2, 24)
    by_tree = hd95_mm(truth, prediction, SPACINGS[1], area_weighted=True)
    monkeypatch.setattr(surface, "_MANY_POINTS", 0)
    assert hd95_mm(truth, prediction, SPACINGS[1], area_weighted=True) == pytest.approx(by_tree)


def test_a_shift_along_thick_slices_is_measured_in_mm():
    truth, prediction = np.zeros((2, 9, 9, 9), bool)
    truth[2:6, 2:6, 2:4], prediction[2:6, 2:6, 4:6] = True, True
    assert hd_mm(truth, prediction, (1.0, 1.0, 5.5)) == 11.0


@pytest.mark.parametrize("spacing", SPACINGS)
def test_the_area_of_a_box_and_of_a_ball_come_out(spacing):
    mask = np.zeros((9, 9, 9), bool)
    mask[2:7, 2:7, 2:7] = True
    x, y, z = (np.array(spacing) * 5).tolist()
    total = surfel_areas(spacing)[surfel_codes(mask)].sum()
    assert 0.8 < total / (2 * (x * y + y * z + z * x)) < 1.0  # edges and corners are cut off
    grid = np.indices((61,) * 3) - 30
    ball = (grid**2).sum(0) <= 25**2
    assert surfel_areas(SPACINGS[0])[surfel_codes(ball)].sum() == pytest.approx(4 * np.pi * 25**2, rel=0.10)


def test_areas_of_single_patterns():
    areas = surfel_areas((1.0, 1.0, 1.0))
    assert areas[0] == areas[255] == 0
    assert areas[1] == pytest.approx(np.sqrt(3) / 8)
    assert areas[0b00001111] == pytest.approx(1.0)
    assert areas[0b10000001] == pytest.approx(np.sqrt(3) / 4)
    np.testing.assert_array_equal(areas, areas[::-1])  # a mask and its complement share the surface


@pytest.mark.parametrize("axes", [(1, 0, 2), (2, 0, 1), (0, 2, 1)])
def test_turning_the_head_changes_nothing(axes):
    spacing = (0.7, 1.0, 1.9)
    turned = tuple(spacing[axis] for axis in axes)
    truth, prediction = blob(3, 16), blob(4, 16)
    for metric in (hd_mm, hd95_mm, surface_dice):
        before = metric(truth, prediction, spacing)
        assert metric(truth.transpose(axes), prediction.transpose(axes), turned) == pytest.approx(before)
        assert metric(truth[::-1], prediction[::-1], spacing) == pytest.approx(before)


def test_an_empty_mask_is_refused_with_a_pointer_to_the_policy():
    with pytest.raises(InputError, match="EMPTY_CASES"):
        hd95_mm(blob(0), np.zeros((12,) * 3, bool), SPACINGS[0])
