"""Truth is understood in every convention, refused when it is not sure, and closed to everything but scoring."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from annofree.errors import InputError, LeakError
from annofree.formats import find_truth, open_scan, open_truth
from annofree.formats.truth import understand_labels
from annofree.scan import canonical_grid, scoring

from .conftest import AFFINE, SHAPE, save, save_patient

HERE = Path("truth.nii.gz")


def test_2021_labels_become_2023_labels_in_scan_order(patient: Path) -> None:
    scan = open_scan(patient)
    truth = open_truth(patient.parent, scan.id, scan.grid)
    assert truth.convention.startswith("labels 0/1/2/4")
    assert truth.regions == ("WT", "TC", "ET")
    with pytest.raises(LeakError):
        _ = truth.labels
    with scoring():
        labels = truth.labels
        assert labels.shape == scan.shape
        # The file is LPS, the scan RAS: the enhancing voxel [13, 23, 22] lies mirrored in x and y.
        assert labels[SHAPE[0] - 1 - 13, SHAPE[1] - 1 - 23, 22] == 3
        assert sorted(np.unique(labels)) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("values", "regions", "expected", "words"),
    [
        ([0, 1, 2, 4], ("WT", "TC", "ET"), [0, 1, 2, 3], "0/1/2/4"),
        ([0, 1, 2, 3], ("WT", "TC", "ET"), [0, 1, 2, 3], "0/1/2/3"),
        ([0, 1, 2], ("WT", "TC", "ET"), [0, 1, 2], "no enhancing"),
        ([0, 1], ("WT",), [0, 2], "binary"),
        ([0], ("WT",), [0], "binary"),
    ],
)
def test_conventions(values: list[int], regions: tuple[str, ...], expected: list[int], words: str) -> None:
    labels, told, convention = understand_labels(np.array(values, float).reshape(-1, 1, 1), HERE)
    assert (labels.ravel().tolist(), told) == (expected, regions)
    assert words in convention


def test_one_hot_maps() -> None:
    labels = np.random.default_rng(0).integers(0, 4, (5, 6, 7))
    found, regions, convention = understand_labels(np.eye(4)[labels], HERE)
    assert np.array_equal(found, labels)
    assert regions == ("WT", "TC", "ET")
    assert "one-hot" in convention
    found, regions, _ = understand_labels(np.eye(2)[(labels > 0).astype(int)], HERE)
    assert np.array_equal(found > 0, labels > 0)
    assert regions == ("WT",)
    with pytest.raises(InputError, match="not one-hot"):
        understand_labels(np.ones((5, 6, 7, 3)), HERE)


@pytest.mark.parametrize(
    ("values", "words"), [([0, 1, 7], "unknown labels .7."), ([0, 0.5, 1], "0.5"), ([0, 3, 4], "resection cavity")]
)
def test_unknown_labels_are_refused(values: list[float], words: str) -> None:
    with pytest.raises(InputError, match=words):
        understand_labels(np.array(values).reshape(-1, 1, 1), HERE)


def test_truth_on_another_grid_is_refused(patient: Path) -> None:
    scan = open_scan(patient)
    other = AFFINE.copy()
    other[0, 3] += 3
    path = save(patient.parent / "shifted.nii.gz", np.ones(SHAPE, np.uint8), other)
    with pytest.raises(InputError, match=r"another grid.*shifted.nii.gz.*3 mm apart"):
        open_truth(path, scan.id, scan.grid)
    path = save(patient.parent / "small.nii.gz", np.ones((9, 9, 9), np.uint8))
    with pytest.raises(InputError, match=r"shape \(9, 9, 9\) against"):
        open_truth(path, scan.id, scan.grid)


def test_where_truth_is_found(tmp_path: Path, patient: Path) -> None:
    cohort = patient.parent
    assert find_truth(cohort, "BraTS2021_00042") == patient / "BraTS2021_00042_seg.nii.gz"
    assert find_truth(patient, "BraTS2021_00042") == patient / "BraTS2021_00042_seg.nii.gz"
    assert find_truth(cohort, "BraTS2021_0004") is None
    ones = np.ones(SHAPE, np.uint8)
    flat = tmp_path / "flat"
    for name in ("p1_flair", "p1_seg", "p10_flair", "p10_seg", "p1_fusion_mav", "p1_T1_DLMUSE", "p1_brainmask"):
        save(flat / f"{name}.nii.gz", ones)
    assert find_truth(flat, "p1") == flat / "p1_seg.nii.gz"
    labels = tmp_path / "nnunet"
    save(labels / "labelsTr" / "x.nii.gz", ones)
    save(labels / "imagesTr" / "x_0000.nii.gz", ones)
    assert find_truth(labels, "x") == labels / "labelsTr" / "x.nii.gz"
    masks = tmp_path / "masks"
    save(masks / "x.nii.gz", ones)
    assert find_truth(masks, "x") == masks / "x.nii.gz"
    ms = save_patient(tmp_path / "ms" / "p26", "FLAIR.nii.gz")
    save(ms / "GOLD_STANDARD.nii.gz", ones)
    assert find_truth(tmp_path / "ms", "p26") == ms / "GOLD_STANDARD.nii.gz"


def test_two_truths_are_refused_and_none_is_said(patient: Path) -> None:
    with pytest.raises(InputError, match=r"No truth for scan 'q'.*q_seg.nii.gz"):
        open_truth(patient.parent, "q", canonical_grid(open_scan(patient).grid))
    save(patient / "second_seg.nii.gz", np.ones(SHAPE, np.uint8))
    with pytest.raises(InputError, match="Two files claim to be the truth"):
        find_truth(patient.parent, "BraTS2021_00042")
