"""The table of a case is what users read: wrong rows, silent shapes or invented values would mislead them."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest
import slow_metrics as slow
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from annofree.errors import InputError
from annofree.metrics import (
    EMPTY_CASES,
    Overlap,
    RankCounts,
    SliceDice,
    hd95_mm,
    hd_mm,
    lesionwise,
    match_lesions,
    score_case,
    surface_dice,
)
from annofree.metrics.empty_cases import EmptyCase
from annofree.metrics.strata import strata_of
from annofree.metrics.surfels import surfel_areas

SPACING = (1.0, 1.2, 2.0)


def tumour(seed, shape=(24, 22, 14)):
    """A made label map: nested blobs of oedema, core and enhancement."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 2)
    return np.digitize(noise / noise.std(), [0.9, 1.3, 1.6]).astype(np.uint8)


@given(seeds=st.tuples(st.integers(0, 999), st.integers(0, 999)))
@settings(max_examples=8, deadline=None)
def test_rows_equal_the_plain_calculation_on_whole_volumes(seeds):
    truth, labels = tumour(seeds[0]), tumour(seeds[1])
    if any(not np.isin(array, members).any() for array in (truth, labels) for members in slow.REGIONS.values()):
        return
    scores = score_case(labels, truth, SPACING)
    for (region, metric), value in slow.plain_case(labels, truth, SPACING, surfel_areas(SPACING)).items():
        assert scores.value(metric, region) == pytest.approx(value, abs=1e-9), (region, metric)


def test_volumes_are_in_ml_and_signed():
    truth, labels = np.zeros((2, 10, 10, 10), np.uint8)
    truth[:5, :, :], labels[4:6, :, :] = 2, 2
    scores = score_case(labels, truth, (2.0, 2.0, 2.5))
    expected = {"truth_ml": 5.0, "predicted_ml": 2.0, "volume_error_ml": -3.0, "false_positive_ml": 1.0}
    assert {name: pytest.approx(scores.value(name)) for name in expected} == expected
    assert scores.value("relative_volume_error") == pytest.approx(0.6)
    assert scores.value("detected") == 1.0


@pytest.mark.parametrize("state", ["both", "no_truth", "no_prediction"])
def test_every_empty_case_follows_the_table(state):
    empty, full = np.zeros((12, 12, 12), np.uint8), np.zeros((12, 12, 12), np.uint8)
    full[3:9, 3:9, 3:9] = 3
    truth = empty if state in ("both", "no_truth") else full
    labels = empty if state in ("both", "no_prediction") else full
    scores = score_case(labels, truth, SPACING, scores={"WT": full.astype(float)})
    for row in scores.rows:
        name = "surface_dice" if row.metric.startswith("surface_dice") else row.metric
        expected = getattr(EMPTY_CASES[name], state) if name in EMPTY_CASES else None
        if expected is not None:
            assert row.value == pytest.approx(expected, nan_ok=True), row
        else:
            assert not isnan(row.value), row


def test_a_user_can_bring_a_policy_of_their_own():
    empty = np.zeros((4, 4, 4), np.uint8)
    strict = {**EMPTY_CASES, "dice": EmptyCase(0.5, 0.0, 0.0)}
    assert score_case(empty, empty, SPACING, policy=strict).value("dice") == 0.5


def test_a_healthy_scan_reports_its_false_volume():
    labels = np.zeros((10, 10, 10), np.uint8)
    labels[:2, :5, :] = 2
    scores = score_case(labels, np.zeros_like(labels), (1.0, 1.0, 1.0), case="healthy-1", kind="healthy")
    assert scores.value("false_positive_ml") == pytest.approx(0.1)
    assert (scores.value("lesionwise_dice"), scores.value("lesionwise_hd95_mm")) == (0.0, 374.0)
    assert scores.strata == {"volume": "no tumour", "enhancement": "no tumour", "kind": "healthy"}


def test_a_hit_by_touch_counts_as_found_by_lesion_but_not_as_detected():
    truth, labels = np.zeros((2, 20, 20, 20), np.uint8)
    truth[2:8, 2:8, 2:8], labels[9:14, 2:8, 2:8] = 2, 2
    scores = score_case(labels, truth, (1.0, 1.0, 1.0))
    assert (scores.value("lesionwise_hits"), scores.value("detected"), scores.value("lesion_recall")) == (1.0, 0.0, 0.0)
    truth[9:10, 2:8, 2:8] = 2
    assert score_case(labels, truth, (1.0, 1.0, 1.0)).value("detected") == 1.0


def test_score_maps_are_ranked_by_region_or_under_their_own_name():
    truth = tumour(5)
    residual = (truth == 3) + np.random.default_rng(0).normal(size=truth.shape)
    maps = {"ET": (truth == 3).astype(float), "residual-FLAIR": residual}
    scores = score_case(truth, truth, SPACING, scores=maps, brain=np.ones(truth.shape, bool))
    assert scores.value("average_precision", "ET") == 1.0
    assert 0.4 < scores.value("auroc:residual-FLAIR", "WT") < 0.9
    assert set(scores.ranks) == {("ET", "ET"), ("WT", "residual-FLAIR")}


def test_boolean_masks_are_whole_tumour():
    truth = tumour(3)
    scores = score_case(tumour(4) > 0, truth, SPACING)
    assert scores.regions == ("WT",)
    assert scores.value("dice") == score_case(tumour(4), truth, SPACING).value("dice")
    with pytest.raises(InputError, match="does not tell"):
        score_case(truth > 0, truth, SPACING, regions=("WT", "ET"))


def test_masks_of_0_and_1_are_whole_tumour_and_a_note_says_so():
    truth = (tumour(3) > 0).astype(np.int64)
    scores = score_case((tumour(4) > 0).astype(float), truth, SPACING)
    assert scores.regions == ("WT",)
    assert scores.value("dice") == score_case(tumour(4) > 0, truth > 0, SPACING).value("dice")
    assert any("whole tumour" in note for note in scores.notes)
    core = score_case(truth, truth, SPACING, regions=("WT", "TC"))
    assert (core.regions, core.notes) == (("WT", "TC"), ())


@pytest.mark.parametrize("kind", [np.uint8, np.int64, float])
def test_masks_of_numbers_give_what_boolean_ones_give(kind):
    """An index, a bit and a corner's code were made of them."""
    rng = np.random.default_rng(1)
    truth, other, ranked = rng.random((8, 9, 10)) > 0.85, rng.random((8, 9, 10)) > 0.85, rng.random((8, 9, 10))
    measures = [
        lambda a, b: RankCounts.of(ranked, a, b).figures(),
        lambda a, b: (surface_dice(a, b, SPACING), hd95_mm(a, b, SPACING), hd_mm(a, b, SPACING)),
        lambda a, b: (Overlap.of(a, b), match_lesions(a, b), lesionwise(a, b, SPACING)),
        lambda a, b: (SliceDice.of(a, b).over_truth, SliceDice.of(a, b).over_any),
    ]
    for measure in measures:
        assert measure(truth.astype(kind), other.astype(kind)) == measure(truth, other)
        with pytest.raises(InputError, match="holds 2"):
            measure(truth.astype(kind) * 2, other)
        with pytest.raises(InputError, match="holds no"):
            measure(np.where(truth, "yes", "no"), other)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"labels": np.zeros((3, 4, 5), np.uint8)}, r"\(3, 4, 5\).*\(4, 4, 4\).*one grid"),
        ({"labels": np.full((4, 4, 4), 4)}, "4: change it to 3"),
        ({"labels": np.full((4, 4, 4), 0.5)}, r"0\.5"),
        ({"labels": np.full((4, 4, 4), 257)}, "257"),
        ({"labels": np.full((4, 4, 4), np.nan)}, "nan"),
        ({"truth_labels": np.zeros((4, 4))}, r"shape \(4, 4\)"),
        ({"spacing_mm": (1, 0, 1)}, "three positive"),
        ({"spacing_mm": (1, 1)}, "three positive"),
        ({"regions": ("core",)}, "no region 'core'"),
        ({"task": "glioma"}, "GLI"),
        ({"scores": {"WT": np.zeros((4, 4, 3))}}, r"The WT has shape"),
        ({"scores": {"WT": np.full((4, 4, 4), np.nan)}}, "NaN"),
        ({"brain": np.ones((4, 4, 5), bool)}, "brain mask"),
        ({"brain": np.full((4, 4, 4), 2), "scores": {"WT": np.zeros((4, 4, 4))}}, "brain mask holds 2.*boolean"),
        ({"labels": np.zeros((0, 4, 4)), "truth_labels": np.zeros((0, 4, 4))}, "at least one voxel"),
        ({"spacing_mm": ("a", 1, 1)}, "three positive"),
    ],
)
def test_bad_input_is_one_clear_sentence(change, words):
    zeros = np.zeros((4, 4, 4), np.uint8)
    arguments = {"labels": zeros, "truth_labels": zeros, "spacing_mm": (1, 1, 1), **change}
    with pytest.raises(InputError, match=words):
        score_case(**arguments)


def test_an_unknown_metric_names_the_known_ones():
    empty = np.zeros((4, 4, 4), np.uint8)
    with pytest.raises(InputError, match="lesionwise_dice"):
        score_case(empty, empty, SPACING).value("hausdorff")


def test_slices_are_scored_one_by_one():
    truth, prediction = np.zeros((2, 4, 4, 5), bool)
    truth[:2, :2, 0:2], prediction[:2, :2, 1:3] = True, True
    slices = SliceDice.of(truth, prediction)
    np.testing.assert_array_equal(slices.dice, [0, 1, 0, np.nan, np.nan])
    assert (slices.over_truth, slices.over_any) == (0.5, pytest.approx(1 / 3))
    assert SliceDice.of(truth, prediction, axis=0).over_truth == Overlap.of(truth, prediction).dice


@pytest.mark.parametrize(
    ("whole", "enhancing", "volume", "enhancement"),
    [
        (0.0, 0.0, "no tumour", "no tumour"),
        (4.99, 1.9, "< 5 ml", "ET < 2 ml"),
        (5.0, 2.0, "5-30 ml", "ET >= 2 ml"),
        (30.0, None, "5-30 ml", "unstated"),
        (30.1, 9.0, "> 30 ml", "ET >= 2 ml"),
    ],
)
def test_strata_have_the_stated_borders(whole, enhancing, volume, enhancement):
    assert strata_of(whole, enhancing) == {"volume": volume, "enhancement": enhancement, "kind": "unstated"}


def test_enhancement_is_unstated_for_a_truth_that_only_says_tumour():
    truth = np.ones((4, 4, 4), np.uint8)
    assert score_case(truth, truth, SPACING, regions="WT").strata["enhancement"] == "unstated"
    assert score_case(truth, truth * 2, SPACING, regions="WT").strata["enhancement"] == "ET < 2 ml"


def test_the_array_edge_is_not_a_lesion_border_artefact():
    truth = np.full((8, 8, 8), 3, np.uint8)
    scores = score_case(truth, truth, SPACING)
    assert (scores.value("dice"), scores.value("hd_mm"), scores.value("surface_dice_1mm")) == (1.0, 0.0, 1.0)


def test_lesions_do_not_split_where_the_label_changes():
    rng = np.random.default_rng(0)
    mask = ndimage.gaussian_filter(rng.normal(size=(40, 40, 40)), 0.7) > 0.5
    labels = np.asfortranarray(np.where(mask, rng.integers(1, 4, mask.shape), 0).astype(np.uint8))
    pieces = ndimage.label(mask, np.ones((3, 3, 3)))[1]
    assert score_case(labels, labels, SPACING, regions="WT").value("lesion_hits") == pieces


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0, -1, "a", None])
def test_impossible_tolerances_and_volumes_are_refused_in_one_sentence(value):
    mask = np.zeros((4, 4, 4), bool)
    mask[1:3, 1:3, 1:3] = True
    tolerance = "The tolerance must be a positive number of mm, not"
    with pytest.raises(InputError, match=tolerance):
        score_case(mask, mask, SPACING, tolerance_mm=value)
    with pytest.raises(InputError, match=tolerance):
        surface_dice(mask, mask, SPACING, value)
    with pytest.raises(InputError, match="The voxel size must be three positive numbers in mm, not"):
        hd95_mm(mask, mask, (1, value, 1))
    if value is not None:
        with pytest.raises(InputError, match="The volume of a voxel must be a positive number of ml, not"):
            score_case(mask, mask, SPACING, voxel_ml=value)
        with pytest.raises(InputError, match="The volume of a voxel must be positive, not"):
            lesionwise(mask, mask, SPACING, voxel_mm3=value)


def test_complex_scores_are_refused():
    mask = np.zeros((4, 4, 4), bool)
    with pytest.raises(InputError, match="holds complex numbers"):
        score_case(mask, mask, SPACING, scores={"WT": mask * 1j})
