"""Truth is understood in every convention, refused when it is not sure, and closed to everything but scoring."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from annofree.errors import InputError, LeakError
from annofree.formats import find_truth, open_cohort, open_scan, open_truth
from annofree.formats.label_sets import UnclearLabels
from annofree.formats.names import FileName
from annofree.formats.nifti import write_volume
from annofree.formats.truth import understand_labels
from annofree.scan import Grid, canonical_grid, scoring

from .conftest import AFFINE, SHAPE, brain_image, save, save_patient
from .test_bids import made

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
        ([0, 1, 2], ("WT", "TC", "ET"), [0, 1, 2], "0/1/2/3"),
        ([0, 1], ("WT",), [0, 2], "binary"),
        ([0, 255], ("WT",), [0, 2], "binary"),
        ([0], ("WT", "TC", "ET"), [0], "no tumour"),
    ],
)
def test_conventions(values: list[int], regions: tuple[str, ...], expected: list[int], words: str) -> None:
    labels, told, convention = understand_labels(np.array(values, float).reshape(-1, 1, 1), HERE)
    assert (labels.ravel().tolist(), told) == (expected, regions)
    assert words in convention


ALL = ("WT", "TC", "ET")


@pytest.mark.parametrize(
    ("values", "beside", "name", "regions", "expected"),
    [
        # The other maps of the set tell what a poor one leaves open.
        ([0, 1], {1, 2, 3}, "a_seg.nii.gz", ALL, [0, 1]),
        ([0, 1], {1, 2, 4}, "a_seg.nii.gz", ALL, [0, 1]),
        ([0, 4], {1, 2}, "a_seg.nii.gz", ALL, [0, 3]),
        ([0], {1}, "a_seg.nii.gz", ("WT",), [0]),
        # A tumour as a whole is 255 in PNG and in Slicer, and 1 in others of the set.
        ([0, 1], {255}, "a_seg.nii.gz", ("WT",), [0, 2]),
        ([0, 255], {1}, "a_seg.nii.gz", ("WT",), [0, 2]),
        ([0, 255], {1, 2, 3}, "a_seg.nii.gz", ("WT",), [0, 2]),
        ([0], {1, 2, 3}, "a_seg.nii.gz", ALL, [0]),
        # The challenge's own names tell the year.
        ([0, 2, 4], (), "BraTS2021_00001_seg.nii.gz", ALL, [0, 2, 3]),
        ([0, 4], (), "Brats18_CBICA_AAB_1_seg.nii.gz", ALL, [0, 3]),
        ([0, 1, 2, 4], (), "BraTS-GLI-02060-100-seg.nii.gz", ALL, [0, 1, 2, 0]),
        ([0, 1, 2, 3, 4], (), "BraTS-MET-00012-000-seg.nii.gz", ALL, [0, 1, 2, 3, 0]),
        ([0, 1, 2, 3], (), "BRATS_001.nii.gz", ALL, [0, 2, 1, 3]),
    ],
)
def test_a_label_means_what_its_set_says(
    values: list[int], beside: set[int], name: str, regions: tuple[str, ...], expected: list[int]
) -> None:
    labels, told, _ = understand_labels(np.array(values).reshape(-1, 1, 1), Path(name), beside=beside)
    assert (labels.ravel().tolist(), told) == (expected, regions)


@pytest.mark.parametrize(
    ("values", "beside", "name"),
    [
        ([0, 2, 4], (), "a_seg.nii.gz"),
        ([0, 4], (), "a_seg.nii.gz"),
        ([0, 1, 4], (), "a_seg.nii.gz"),
        ([0, 1, 2, 4], {1, 2, 3}, "a_seg.nii.gz"),
        ([0, 1, 2, 3], {1, 2, 4}, "a_seg.nii.gz"),
        ([0, 1, 2, 3, 4], (), "a_seg.nii.gz"),
        ([0, 1, 2, 3], (), "BraTS-PED-00001-000-seg.nii.gz"),
        ([0, 1, 2, 4], (), "BraTS-GLI-00027-000-seg.nii.gz"),  # of 2023, which has no cavity: somebody's 2021 labels?
    ],
)
def test_labels_with_two_meanings_are_asked_for(values: list[int], beside: set[int], name: str) -> None:
    with pytest.raises(UnclearLabels, match="--labels"):
        understand_labels(np.array(values).reshape(-1, 1, 1), Path(name), beside=beside)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("brats2021", [0, 1, 2, None, 3]),
        ("brats2015", [0, 1, 2, 1, 3]),
        ("post-treatment", [0, 1, 2, 3, 0]),
        ("ped2024", [0, 3, 1, 1, 2]),
        ("brats2023", [0, 1, 2, 3, None]),
        ("msd", [0, 2, 1, 3, None]),
        ("hd-glio", [0, 2, 3, None]),
    ],
)
def test_a_label_set_that_is_named_is_used(labels: str, expected: list[int | None]) -> None:
    known = [value for value, meaning in enumerate(expected) if meaning is not None]
    found, _, _ = understand_labels(np.array(known).reshape(-1, 1, 1), HERE, labels=labels)
    assert found.ravel().tolist() == [meaning for meaning in expected if meaning is not None]
    if None in expected:
        with pytest.raises(InputError, match=r"which the label set .* does not know"):
            understand_labels(np.arange(5).reshape(-1, 1, 1), HERE, labels=labels)


@pytest.mark.parametrize(
    ("stated", "regions", "expected"),
    [
        # nnU-Net's own form of BraTS 2021: oedema 1, core 2.
        ({"background": 0, "whole tumor": [1, 2, 3], "tumor core": [2, 3], "enhancing tumor": [3]}, ALL, [0, 2, 1, 3]),
        ({"0": "background", "1": "edema", "2": "non-enhancing tumor", "3": "enhancing tumour"}, ALL, [0, 2, 1, 3]),
        ({"background": 0, "NCR": 1, "SNFH": 2, "ET": 3}, ALL, [0, 1, 2, 3]),
        ({"background": 0, "oedema": 1, "enhancing": 2, "resection cavity": 3}, ("WT", "ET"), [0, 2, 3, 0]),
        ({"background": 0, "surrounding non-enhancing FLAIR hyperintensity": 1, "NETC": 2, "ET": 3}, ALL, [0, 2, 1, 3]),
        ({"background": 0, "non-contrast-enhancing tumour": 1, "ED": 2, "CE tumour": 3}, ALL, [0, 1, 2, 3]),
        ({"background": 0, "non-CE tumour": 1, "ED": 2, "CE": 3}, ALL, [0, 1, 2, 3]),
        ({"background": 0, "core without enhancement": 1, "ED": 2, "ET": 3}, ALL, [0, 1, 2, 3]),
        ({"background": 0, "unenhanced": 1, "not enhancing": 2, "ET": 3}, ALL, [0, 1, 1, 3]),
        # A tumour that has a number of its own beside the oedema is the core.
        ({"background": 0, "edema": 1, "tumor": 2, "cavity": 3}, ("WT", "TC"), [0, 2, 1, 0]),
        ({"background": 0, "necrosis": 1, "edema": 2, "tumor": 3}, ("WT", "TC"), [0, 1, 2, 1]),
        ({"background": 0, "tumour": 1, "second lesion": 2, "glioma": 3}, ("WT",), [0, 2, 2, 2]),
        ({"background": 0, "class 1": 1, "class 2": 2, "class 3": 3}, ALL, [0, 1, 2, 3]),
    ],
)
def test_labels_mean_what_the_data_set_calls_them(
    tmp_path: Path, stated: dict[str, object], regions: tuple[str, ...], expected: list[int]
) -> None:
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": stated}))
    found, told, words = understand_labels(np.arange(4).reshape(-1, 1, 1), tmp_path / "labelsTr" / "a.nii.gz")
    assert (found.ravel().tolist(), told) == (expected, regions)
    assert ("dataset.json" in words) == ("class 1" not in stated)
    if "class 1" not in stated:
        with pytest.raises(InputError, match=r"holds 4, which the label set 'dataset.json' does not know.*--labels"):
            understand_labels(np.arange(5).reshape(-1, 1, 1), tmp_path / "labelsTr" / "a.nii.gz")
    asked, _, _ = understand_labels(np.arange(4), tmp_path / "labelsTr" / "a.nii.gz", labels="brats2023")
    assert asked.tolist() == [0, 1, 2, 3]


def test_labels_mean_what_the_table_of_bids_calls_them(tmp_path: Path) -> None:
    """Its own, or one in the folders above; other tables beside a map say nothing."""
    where = tmp_path / "derivatives" / "manual" / "sub-01" / "anat"
    where.mkdir(parents=True)
    for table in (where / "sub-01_desc-manual_dseg.tsv", where.parents[1] / "desc-manual_dseg.tsv"):
        table.write_text("index\tname\n0\tBackground\n1\tenhancing tumour\n2\toedema\n3\tnecrotic core\n")
        found, told, words = understand_labels(np.arange(4).reshape(-1, 1, 1), where / "sub-01_desc-manual_dseg.nii.gz")
        assert (found.ravel().tolist(), told) == ([0, 3, 2, 1], ("WT", "TC", "ET"))
        assert table.name in words
        table.unlink()
    (where / "sub-01_desc-manual_dseg.json").write_text('{"LabelMap": {"1": "ET", "2": "ED", "3": "NCR"}}')
    (where / "p2_seg.tsv").write_text("index\tname\nfirst\tenhancing tumour\n")
    (where / "p3_seg.json").write_text("[1]")
    for name, expected in {
        "sub-01_desc-manual_dseg": [0, 3, 2, 1],
        "p2_seg": [0, 1, 2, 3],
        "p3_seg": [0, 1, 2, 3],
    }.items():
        found, _, _ = understand_labels(np.arange(4).reshape(-1, 1, 1), where / f"{name}.nii.gz")
        assert found.ravel().tolist() == expected
    (where / "p3_seg.json").write_text('{"LabelMap": {"1": ')
    with pytest.raises(InputError, match=r"p3_seg\.json cannot be read.*--labels"):
        understand_labels(np.arange(4).reshape(-1, 1, 1), where / "p3_seg.nii.gz")


def test_a_data_sets_description_that_no_label_map_can_fit_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "tumour": 300}}))
    with pytest.raises(InputError, match=r"dataset.json cannot be read.*--labels"):
        understand_labels(np.arange(2).reshape(-1, 1, 1), tmp_path / "labelsTr" / "a.nii.gz")


@pytest.mark.parametrize("error", [6e-8, -6e-8, 1e-4, 0.008])
def test_labels_that_rounding_moved_are_whole(error: float) -> None:
    values = np.array([0, 1 + error, 2 - error, 3 + error])
    assert understand_labels(values.reshape(-1, 1, 1), HERE)[0].ravel().tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("kind", [np.uint8, np.int16])
def test_labels_that_nibabel_scaled_are_whole(patient: Path, kind: type) -> None:
    """`nib.Nifti1Image(image.get_fdata(), affine, image.header)`: 1 becomes 1.0039 in a file of bytes, and 2 1.9922."""
    file = patient / "BraTS2021_00042_seg.nii.gz"
    scan = open_scan(patient)
    image = nib.load(file)
    header = nib.Nifti1Image(np.zeros(image.shape, kind), image.affine).header
    nib.save(nib.Nifti1Image(image.get_fdata(), image.affine, header), patient.parent / "scaled.nii.gz")
    assert not {1.0, 2.0} & set(np.unique(nib.load(patient.parent / "scaled.nii.gz").dataobj).tolist())
    truths = [open_truth(path, scan.id, scan.grid) for path in (file, patient.parent / "scaled.nii.gz")]
    with scoring():
        assert np.array_equal(truths[0].labels, truths[1].labels)


def test_a_header_with_a_scale_and_a_rounded_spacing_is_accepted(tmp_path: Path) -> None:
    labels = np.zeros((256, 256, 4), np.int16)
    labels[100:120, 100:120, 1:3], labels[105, 105, 2] = 2, 3
    scan = Grid((256, 256, 4), np.diag([0.9375, 0.9375, 5.0, 1.0]))
    file = Grid((256, 256, 4), np.diag([0.938, 0.938, 5.0, 1.0]))
    write_volume(tmp_path / "x_seg.nii", labels * np.int16(3), file, slope=1 / 3)
    truth = open_truth(tmp_path / "x_seg.nii", "x", scan)
    assert "0.938 x 0.938 x 5 mm against 0.9375 x 0.9375 x 5 mm" in truth.note
    with scoring():
        np.testing.assert_array_equal(truth.labels, labels)


@pytest.mark.parametrize("way", [1, -1])
def test_a_shift_is_judged_alike_both_ways(tmp_path: Path, way: int) -> None:
    grid = Grid(SHAPE, np.eye(4))
    for shift, fits in ((0.01, True), (0.2, True), (0.5, False), (1.0, False), (50.0, False)):
        affine = np.eye(4)
        affine[1, 3] = way * shift
        path = save(tmp_path / f"{shift}_seg.nii.gz", np.ones(SHAPE, np.uint8), affine)
        if fits:
            assert open_truth(path, "x", grid).regions == ("WT",)
        else:
            with pytest.raises(InputError, match=rf"up to {shift:g} mm apart"):
                open_truth(path, "x", grid)


def test_a_refusal_shows_numbers_that_differ(tmp_path: Path) -> None:
    shape = (80, 80, 8)
    path = save(tmp_path / "x_seg.nii.gz", np.ones(shape, np.uint8), np.diag([1.0004, 1, 1, 1]))
    assert open_truth(path, "x", Grid(shape, np.eye(4))).note  # 0.03 mm
    path = save(tmp_path / "y_seg.nii.gz", np.ones(shape, np.uint8), np.diag([1.004, 1, 1, 1]))
    with pytest.raises(InputError, match=r"1.004 x 1 x 1 mm against 1 x 1 x 1 mm.*up to 0.316 mm apart"):
        open_truth(path, "y", Grid(shape, np.eye(4)))


@pytest.mark.parametrize(
    "name",
    [
        *("p1_brain_segmentation", "p1_brain_seg", "p1_seg_brain", "p1_brain_mask", "p1_bet_mask", "p1_brain_labels"),
        *("p1_T1_brain_seg", "p1_aseg_seg", "p1_tissue_seg", "p1_skull_mask", "p1_wm_mask", "p1_synthseg_labels"),
        *("p1_desc-aparcaseg_dseg", "p1_desc-aseg_dseg", "p1_label-GM_probseg"),
        *("p1_pred_seg", "p1_fusion_seg", "p1_tumorMask_fused-staple", "p1_tumour_prediction_mask", "p1_GlistrBoost"),
        *(
            "p1_automated_approx_segm",
            "HD-GLIO-AUTO-segmentation/p1_seg",
            "DeepBraTumIA-segmentation/atlas/p1_seg_mask",
        ),
    ],
)
def test_what_is_no_tumour_never_becomes_the_truth(tmp_path: Path, name: str) -> None:
    assert "/" in name or FileName(Path(f"{name}.nii.gz"), "p1").rank is None
    save(tmp_path / f"{name}.nii.gz", np.ones((4, 4, 4), np.uint8))
    assert find_truth(tmp_path, "p1") is None


@pytest.mark.parametrize("told", ["table", "inherited", "sidecar", "beside"])
def test_a_map_of_tissues_by_a_bids_name_is_no_truth(tmp_path: Path, told: str) -> None:
    """`sub-01_dseg` of fMRIPrep holds 1, 2 and 3: CSF, grey and white matter."""
    anat = tmp_path / "fmriprep" / "sub-01" / "anat"
    path = save(anat / "sub-01_dseg.nii.gz", np.arange(64, dtype=np.uint8).reshape(4, 4, 4) % 4)
    table = "index\tname\tabbreviation\n1\tGray Matter\tGM\n2\tWhite Matter\tWM\n3\tCSF\tCSF\n"
    if told == "beside":
        for tissue in ("CSF", "GM", "WM"):
            save(anat / f"sub-01_label-{tissue}_probseg.nii.gz", np.ones((4, 4, 4), np.float32))
    elif told == "sidecar":
        (anat / "sub-01_dseg.json").write_text('{"LabelMap": {"CSF": 1, "GM": 2, "WM": 3}}')
    else:
        (anat / "sub-01_dseg.tsv" if told == "table" else tmp_path / "fmriprep" / "dseg.tsv").write_text(table)
    assert find_truth(tmp_path, "sub-01") is None
    with pytest.raises(InputError, match=r"No truth for scan .*sub-01_dseg.nii.gz, a map of tissues by "):
        open_truth(tmp_path, "sub-01", Grid((4, 4, 4), np.eye(4)))
    with pytest.raises(InputError, match=r"The truth of scan 'sub-01' is no tumour map.*it is a map of tissues by "):
        open_truth(path, "sub-01", Grid((4, 4, 4), np.eye(4)))
    own = save(tmp_path / "manual" / "sub-01_dseg.nii.gz", np.ones((4, 4, 4), np.uint8))
    (tmp_path / "manual" / "sub-01_dseg.json").write_text('{"LabelMap": {"1": "tumour", "0": "background"}}')
    assert find_truth(tmp_path, "sub-01") == own


@pytest.mark.parametrize(
    ("name", "scan_id"),
    [
        ("brain_001_seg", "brain_001"),
        ("head-brain_seg", "head-brain"),
        ("p1_brain_tumor_seg", "p1"),
        ("p1_brain_tumour_mask", "p1"),
        ("p1_brain_T1_seg", "p1"),
        ("p1_11_segm", "p1_11"),
        ("p1_GlistrBoost_ManuallyCorrected", "p1"),
        ("p1_staple_of_raters_seg", "p1"),
    ],
)
def test_a_tumour_map_stays_the_truth_although_it_speaks_of_the_brain(tmp_path: Path, name: str, scan_id: str) -> None:
    path = save(tmp_path / f"{name}.nii.gz", np.ones((4, 4, 4), np.uint8))
    assert find_truth(tmp_path, scan_id) == path
    assert not FileName(Path(name)).brain_mask


def test_an_array_without_geometry_has_the_axis_order_of_the_scans_file(patient: Path) -> None:
    """What `np.save(nibabel.load(SEG).get_fdata())` writes."""
    file = patient / "BraTS2021_00042_seg.nii.gz"
    scan = open_scan(patient)
    np.save(patient.parent / "truth.npy", nib.load(file).get_fdata())
    truths = [open_truth(path, scan.id, scan.grid, native=scan.native) for path in (file, patient.parent / "truth.npy")]
    with scoring():
        assert np.array_equal(truths[0].labels, truths[1].labels)


@pytest.mark.parametrize("modality", ["RTSTRUCT", "RTDOSE"])
def test_contours_and_doses_of_dicom_are_refused_by_what_to_do(tmp_path: Path, modality: str) -> None:
    pydicom = pytest.importorskip("pydicom")
    contours = pydicom.Dataset()
    contours.Modality, contours.PatientID = modality, "p"
    contours.SOPClassUID, contours.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.481.3", "1.2.3"
    contours.StudyInstanceUID, contours.SeriesInstanceUID = "1.2.4", "1.2.5"
    contours.file_meta = pydicom.dataset.FileMetaDataset()
    contours.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    contours.save_as(tmp_path / "p.dcm", enforce_file_format=True)
    grid = Grid(SHAPE, np.eye(4))
    for source in (tmp_path, tmp_path / "p.dcm"):
        with pytest.raises(InputError, match=r"an RTSTRUCT with plastimatch; a DICOM SEG is read as truth"):
            open_truth(source, "p", grid)
    with pytest.raises(InputError, match=rf"no MR pictures.*its pictures are {modality}"):
        open_scan(tmp_path / "p.dcm")
    mask = save(tmp_path / "p_seg.nii.gz", np.ones((4, 4, 4), np.uint8))
    assert find_truth(tmp_path, "p") == mask


def test_a_mask_in_folders_that_name_no_patient_is_the_patients(tmp_path: Path) -> None:
    path = save(tmp_path / "EGD-0001" / "5_MASK" / "NIFTI" / "MASK.nii.gz", np.ones((4, 4, 4), np.uint8))
    save(tmp_path / "EGD-0002" / "5_MASK" / "NIFTI" / "MASK.nii.gz", np.ones((4, 4, 4), np.uint8))
    assert find_truth(tmp_path, "EGD-0001") == path
    assert find_truth(tmp_path, "5_MASK") is None


def test_another_visits_truth_is_not_taken(tmp_path: Path) -> None:
    ones = np.ones((4, 4, 4), np.uint8)
    for name in ("p1_2_seg", "p1_ses-2_seg", "p1_followup1_seg", "p1_fu2_seg", "p2_seg_v2", "p3/p3_tp1_seg"):
        save(tmp_path / f"{name}.nii.gz", ones)
    assert find_truth(tmp_path, "p1") is None
    assert find_truth(tmp_path, "p1_2") == tmp_path / "p1_2_seg.nii.gz"
    assert find_truth(tmp_path, "p2") == tmp_path / "p2_seg_v2.nii.gz"
    assert find_truth(tmp_path, "p3") == tmp_path / "p3" / "p3_tp1_seg.nii.gz"  # a folder of one visit
    save(tmp_path / "p3" / "p3_seg.nii.gz", ones)
    assert find_truth(tmp_path, "p3") == tmp_path / "p3" / "p3_seg.nii.gz"


@pytest.mark.parametrize(
    ("images", "truth", "found"),
    [
        ("", "p1_postop_seg", False),
        ("", "p1_m6_seg", False),
        ("p1/p1_preop_flair", "p1/p1_postop_seg", False),
        ("p1/preop_flair", "p1/seg/postop_seg", False),
        ("p1/p1_preop_flair", "p1/p1_preop_seg", True),
        ("p1/p1_1996.08.23_flair", "p1/p1_1996.08.23_GlistrBoost_ManuallyCorrected", True),
        ("p1/p1_1996.08.23_flair", "p1/p1_1997.01.02_seg", False),
        ("", "p1/p1_2019-01-02_seg", True),
        ("", "p1_preop_seg", True),
        ("", "masks/p1_baseline_seg", True),
        ("p1_postop_flair", "p1_postop_seg", True),
        ("p1_postop_flair", "p1_fu_seg", False),
        ("p1_m3_flair", "p1_m3_seg", False),
        ("p1_bl_flair", "p1_m3_seg", False),
        ("p1/p1_preop_flair", "p1/p1_seg_v2", True),
        ("p1/p1_v1_flair", "p1/p1_v2_seg", False),
        ("p1/t1", "masks_valid/p1", True),
        ("p1/t1", "valid/p1", True),
        ("p1/t1", "p1/p1_seg_valid", True),
        ("p1/t1", "p1/p1_mask_valid", False),
        ("p1/t1_v1", "p1/seg_m1", True),
        ("p1/t1_v1", "p1/seg_m2", False),
        ("images/p1/postop_t1", "masks/p1_postop_seg", True),
        ("images/p1/preop_t1", "masks/p1_postop_seg", False),
        ("images/p1/postop_t1", "masks/p1_preop_seg", False),
        ("p1/t1", "p1/p1_gtv", True),
    ],
)
def test_a_truth_is_of_the_visit_of_the_images(tmp_path: Path, images: str, truth: str, found: bool) -> None:
    if images:
        save_patient(tmp_path, f"{images}.nii.gz")
    path = save(tmp_path / f"{truth}.nii.gz", np.ones((4, 4, 4), np.uint8))
    assert find_truth(tmp_path, "p1") == (path if found else None)


@pytest.mark.parametrize(
    "name",
    [
        "hippocampus_seg",
        "brainstem_mask",
        "thalamus_seg",
        "white_matter_mask",
        "artery_mask",
        "optic_chiasm_mask",
        "background_mask",
        "face_mask",
    ],
)
def test_maps_of_places_are_no_truth_and_are_named(tmp_path: Path, name: str) -> None:
    path = save(tmp_path / "p1" / f"{name}.nii.gz", np.ones((4, 4, 4), np.uint8))
    with pytest.raises(InputError, match="No truth for scan 'p1'") as caught:
        open_truth(tmp_path, "p1", Grid(SHAPE, np.eye(4)))
    assert str(path) in str(caught.value)
    gtv = save(tmp_path / "p1" / "brainstem_glioma_mask.nii.gz", np.ones((4, 4, 4), np.uint8))
    assert find_truth(tmp_path, "p1") == gtv


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


def test_one_hot_maps_as_itk_and_torchio_write_them(tmp_path: Path) -> None:
    """Channels lie on a fifth axis of a NIfTI, and are no axis of a MetaImage."""
    labels = np.random.default_rng(0).integers(0, 4, SHAPE)
    channels = np.eye(4, dtype=np.uint8)[labels]
    save(tmp_path / "nifti" / "p1_seg.nii.gz", channels[:, :, :, None], np.eye(4))
    (tmp_path / "itk").mkdir()
    image = sitk.GetImageFromArray(channels.transpose(2, 1, 0, 3), isVector=True)
    image.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
    sitk.WriteImage(image, str(tmp_path / "itk" / "p1_seg.mha"))
    for kind in ("nifti", "itk"):
        truth = open_truth(tmp_path / kind, "p1", Grid(SHAPE, np.eye(4)))
        with scoring():
            assert np.array_equal(truth.labels, labels)


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
    pdgm = tmp_path / "U-1_nifti"
    for name in ("tumor_segmentation", "brain_segmentation", "brain_parenchyma_segmentation"):
        save(pdgm / f"U-1_{name}.nii.gz", ones)
    assert find_truth(pdgm, "U-1_nifti") == pdgm / "U-1_tumor_segmentation.nii.gz"
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


@pytest.mark.parametrize("place", ["seg", "labelsTr", "masks", "labels", "ground_truth"])
@pytest.mark.parametrize("images", ["images/{}_{}.nii.gz", "{}/{}.nii.gz", "images/{}/{}.nii.gz"])
@pytest.mark.parametrize("label", ["{}.nii.gz", "{}_flair.nii.gz"])
def test_label_maps_in_a_folder_of_their_own_are_truth_and_no_scans(
    tmp_path: Path, place: str, images: str, label: str
) -> None:
    labels = np.zeros(SHAPE, np.uint8)
    labels[10:20, 20:30, 20:26] = 1
    for person in ("P1", "P2"):
        save_patient(tmp_path, images.format(person, "t1"), images.format(person, "flair"))
        save(tmp_path / place / label.format(person), labels)
        save(tmp_path / "brainmasks" / f"{person}.nii.gz", (brain_image() > 0).astype(np.uint8))
    cohort = open_cohort(tmp_path)
    assert cohort.ids == ("P1", "P2")
    for root in (tmp_path, tmp_path / place):
        assert find_truth(root, "P2") == tmp_path / place / label.format("P2")
    with scoring():
        assert open_truth(tmp_path, "P1", cohort["P1"].grid).labels.sum() == 2 * 600


def test_images_in_a_folder_that_is_called_after_maps_are_scans(tmp_path: Path) -> None:
    save_patient(tmp_path / "mask", "P1_t1.nii.gz", "P2_t1.nii.gz")
    save(tmp_path / "mask" / "P3_t1.nii.gz", (brain_image() > 0).astype(np.uint8))
    assert open_cohort(tmp_path).ids == ("P1", "P2", "P3")


def test_truth_is_found_in_a_patients_folder_that_is_called_after_maps(tmp_path: Path) -> None:
    save(tmp_path / "study_seg_01" / "tumor_seg.nii.gz", np.eye(24, dtype=np.uint8)[:, :, None].repeat(24, 2))
    assert find_truth(tmp_path, "study_seg_01") == tmp_path / "study_seg_01" / "tumor_seg.nii.gz"


@pytest.mark.parametrize("patient", ["seg_001", "mask_2"])
def test_images_of_a_patient_who_is_called_like_a_map_are_no_truth(tmp_path: Path, patient: str) -> None:
    save_patient(tmp_path / patient, f"{patient}_T1.nii.gz", f"{patient}_FLAIR.nii.gz")
    assert find_truth(tmp_path, patient) is None
    truth = save(tmp_path / patient / f"{patient}_seg.nii.gz", np.ones(SHAPE, np.uint8))
    assert find_truth(tmp_path, patient) == truth


@pytest.mark.parametrize("folder", ["tumor", "lesion", "rois", "labels"])
def test_images_in_folders_of_sequences_are_no_truth(tmp_path: Path, folder: str) -> None:
    for kind in ("T1", "FLAIR", "DWI"):
        save_patient(tmp_path / kind, "p1.nii.gz")
    assert find_truth(tmp_path, "p1") is None
    truth = save(tmp_path / folder / "p1.nii.gz", np.ones(SHAPE, np.uint8))
    assert find_truth(tmp_path, "p1") == truth


@pytest.mark.parametrize("name", ["HD-GLIO-AUTO/p1_seg.nii.gz", "p1/p1_pred_seg.nii.gz", "p1_nnunet_seg.nii.gz"])
def test_maps_of_programs_that_were_passed_over_are_named(tmp_path: Path, name: str) -> None:
    path = save(tmp_path / name, np.ones((4, 4, 4), np.uint8))
    save(tmp_path / "HD-GLIO-AUTO" / "p2_seg.nii.gz", np.ones((4, 4, 4), np.uint8))
    with pytest.raises(InputError, match="No truth for scan 'p1'") as caught:
        open_truth(tmp_path, "p1", Grid(SHAPE, np.eye(4)))
    assert f"by names, headers or label tables: {path}. Name the file itself" in str(caught.value)


def test_an_answer_of_annofree_is_no_truth(tmp_path: Path) -> None:
    """Results among a data set's derivatives would be scored against themselves."""
    answer = made("sub-01_ses-pre")
    answer.save(tmp_path / "bids" / "derivatives" / "annofree", page=False)
    assert find_truth(tmp_path / "bids", "sub-01_ses-pre") is None
    assert find_truth(tmp_path / "bids" / "derivatives" / "annofree", "sub-01_ses-pre") is None
    path = save(
        tmp_path / "bids" / "derivatives" / "manual" / "sub-01_ses-pre_seg.nii.gz", np.ones((4, 4, 4), np.uint8)
    )
    assert find_truth(tmp_path / "bids", "sub-01_ses-pre") == path


@pytest.mark.parametrize("scan_id", ["sub-01", "sub-01_ses-pre", "made_1"])
def test_what_experts_drew_counts_also_where_annofree_wrote(tmp_path: Path, scan_id: str) -> None:
    out = tmp_path / "out"
    made(scan_id).save(out, page=False)
    assert find_truth(out, scan_id) is None
    assert find_truth(next(out.glob("sub-*")), scan_id) is None
    with pytest.raises(InputError, match="answers of annofree and their corrections are no truth"):
        open_truth(out, scan_id, Grid(SHAPE, np.eye(4)))
    path = save(out / "manual" / f"{scan_id}_seg.nii.gz", np.ones((4, 4, 4), np.uint8))
    assert find_truth(out, scan_id) == path


@pytest.mark.parametrize("scan_id", ["sub-01_ses-pre", "p_3", "BRATS_001", "BraTS-PED-00001-000"])
def test_a_corrected_copy_of_an_answer_is_found_under_the_name_that_annofree_gave_it(
    tmp_path: Path, scan_id: str
) -> None:
    made(scan_id).save(tmp_path / "out", page=False)
    answer = next((tmp_path / "out").rglob("*_dseg.nii.gz"))
    (tmp_path / "back").mkdir()
    copy = Path(shutil.copy(answer, tmp_path / "back"))
    assert find_truth(tmp_path / "back", scan_id) == copy
    assert find_truth(tmp_path / "back", "p_4") is None
    labels = nib.load(copy).get_fdata().astype(np.uint8)
    assert np.array_equal(understand_labels(labels, copy, scan_id=scan_id)[0], labels)
    assert find_truth(tmp_path / "out", scan_id) is None
    shutil.copytree(answer.parent, tmp_path / "all")  # score maps and brain masks are none
    for path in (tmp_path / "all").glob("*_dseg.*"):
        path.unlink()
    whole = find_truth(tmp_path / "all", scan_id)
    assert whole is not None
    assert "_label-lesion_" in whole.name


def test_two_truths_are_refused_and_none_is_said(patient: Path) -> None:
    with pytest.raises(InputError, match=r"No truth for scan 'q'.*q_seg.nii.gz"):
        open_truth(patient.parent, "q", canonical_grid(open_scan(patient).grid))
    save(patient / "second_seg.nii.gz", np.ones(SHAPE, np.uint8))
    with pytest.raises(InputError, match="Two files claim to be the truth"):
        find_truth(patient.parent, "BraTS2021_00042")
