"""Folders as archives and public data sets hand them out: whose images they are, and of which visit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from annofree.errors import InputError
from annofree.formats import find_truth, open_cohort, open_scan

from .conftest import SHAPE, brain_image, save, save_patient

LABELS = np.zeros(SHAPE, np.uint8)
LABELS[18:22, 22:26, 20:23] = 4


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("P1_preop_FLAIR", "P1_postop_T1"),
        ("T1c_visit1", "FLAIR_visit2"),
        ("FLAIR_baseline", "T1_followup"),
        ("FLAIR_week-3", "T1_week-12"),
        ("FLAIR_2019-01-02", "T1_2019-07-20"),
        ("preop_FLAIR/NIFTI/FLAIR", "postop_T1/NIFTI/T1"),
        ("P1_FLAIR_followup1", "P1_T1_followup2"),
        ("P1_FLAIR_followup", "P1_T1_followup_2"),
        ("FLAIR_fu1", "T1_FU2"),
        ("FLAIR_followup1/a", "T1_followup2/a"),
        ("FLAIR_preop", "T1_followup"),
        ("FLAIR_baseline", "T1_timepoint1"),
        ("FLAIR_baseline", "T1_postop"),
        ("FLAIR_timepoint1", "T1_timepoint2"),
        ("FLAIR_pre_rt", "T1_post_rt"),
        ("FLAIR_post-op", "T1_post-treatment"),
        ("FLAIR_3mo", "T1_6mo"),
        ("FLAIR_baseline", "T1_6months"),
        ("FLAIR_v1", "T1_v2"),
        ("P1_FLAIR_m3", "P1_T1_m06"),
        ("FLAIR_12m", "T1_24m"),
        ("FLAIR_d0", "T1_day30"),
        ("FLAIR_bl", "T1_w12"),
        ("FLAIR_post-op_d1", "T1_postop_d90"),
        ("FLAIR_exam1", "T1_exam2"),
        ("FLAIR_12-03-2019", "T1_13-09-2019"),
        ("FLAIR_2019-03", "T1_2020-04"),
    ],
)
def test_images_of_two_visits_are_never_one_scan(tmp_path: Path, first: str, second: str) -> None:
    save_patient(tmp_path / "P1", f"{first}.nii.gz", f"{second}.nii.gz")
    with pytest.raises(InputError, match=r"(?s)names of a scan's images say different visits.*a folder of their own"):
        open_scan(tmp_path / "P1")
    chosen = {"FLAIR": tmp_path / "P1" / f"{first}.nii.gz", "T1": tmp_path / "P1" / f"{second}.nii.gz"}
    assert open_scan(chosen).sequences == ("T1", "FLAIR")


@pytest.mark.parametrize(
    "names",
    [
        ("preop_FLAIR", "preop_T1"),
        ("FLAIR_baseline", "T1_preop"),
        ("FLAIR_pre_treatment", "T1_baseline"),
        ("FLAIR_followup_reg_baseline", "T1_followup"),
        ("FLAIR_followup2_reg_baseline", "T1_fu02"),
        ("FLAIR_tp01", "T1_tp1"),
        ("FLAIR_preop_20190102", "T1_preop"),
        ("FLAIR_followup1", "T1_followup1"),
        ("P1_20190102103000_FLAIR_5", "P1_20190102103000_T1_7"),
        ("FLAIR_preop", "T1"),
        ("T1_pre", "T1_post"),
        ("FLAIR_12m", "T1_month12"),
        ("FLAIR_v01", "T1_visit-1"),
        ("FLAIR_m0", "T1_baseline"),
        ("FLAIR_3d", "T1_2d"),
        ("FLAIR_1mm", "T1_3mm"),
        ("FLAIR_s4", "T1_s7"),
    ],
)
def test_images_of_one_visit_stay_one_scan(tmp_path: Path, names: tuple[str, str]) -> None:
    save_patient(tmp_path / "P1", *(f"{name}.nii.gz" for name in names))
    assert len(open_scan(tmp_path / "P1").sequences) == 2


@pytest.mark.parametrize(
    "pattern", ["{number}-{words}/resources/NIFTI/files/{number}_{words}", "{number}/NIFTI/{words}"]
)
def test_a_session_of_xnat_is_one_scan(tmp_path: Path, pattern: str) -> None:
    scans = {2: "AX_T1", 3: "AX_FLAIR", 5: "AX_T1_POST", 6: "AX_DWI"}
    for number, words in scans.items():
        place = pattern.format(number=number, words=words)
        save_patient(tmp_path / "P7_MR1" / "scans", f"{place}.nii.gz")
    scan = open_scan(tmp_path / "P7_MR1")
    assert (scan.id, scan.sequences) == ("P7_MR1", ("T1", "T1C", "FLAIR"))
    assert any("AX_DWI" in note for note in scan.notes)


@pytest.mark.parametrize(
    "names",
    [
        ("anat2/sub-OAS3_ses-d9_run-01_T1w", "anat3/sub-OAS3_ses-d9_run-02_T1w", "anat5/sub-OAS3_ses-d9_FLAIR"),
        ("3.000000-AX_T1-12345/3_AX_T1", "4.000000-AX_FLAIR-22345/4_AX_FLAIR"),
        ("3.000000-AX_T1-12345/AX_T1_19970608_3", "4.000000-AX_FLAIR-22345/AX_FLAIR_19970608_4"),
        (
            "MP-RAGE/2006-04-18/I13722/ADNI_MP-RAGE_br_raw_1_I13722",
            "FLAIR/2006-04-18/I13723/ADNI_FLAIR_br_raw_1_I13723",
        ),
        ("P9_MP_RAGE", "P9_FLAIR"),
        ("T1_MEMPRAGE_RMS_5", "WIPFLAIR_6"),
    ],
)
def test_folders_and_names_of_archives_and_converters_are_one_scan(tmp_path: Path, names: tuple[str, ...]) -> None:
    save_patient(tmp_path / "P9", *(f"{name}.nii.gz" for name in names))
    scan = open_scan(tmp_path)
    assert (scan.id, scan.sequences) == ("P9", ("T1", "FLAIR"))


def test_patients_with_numbers_in_a_folder_called_scans_stay_patients(tmp_path: Path) -> None:
    for number in ("01", "02"):
        save_patient(tmp_path / "scans" / number, "T1.nii.gz", "FLAIR.nii.gz")
    assert open_cohort(tmp_path).ids == ("01", "02")


def test_a_case_of_brats_to_2016_is_one_scan_with_its_truth(tmp_path: Path) -> None:
    """Each image lies in a folder that has its own name; OT is what the experts drew."""
    case = tmp_path / "HGG" / "brats_2013_pat0001_1"
    images = {"MR_Flair.54512": brain_image(1), "MR_T1.54513": brain_image(2), "MR_T1c.54514": brain_image(3)}
    for name, array in {**images, "OT.54517": LABELS}.items():
        stem = f"VSD.Brain{'_3more' if name[0] == 'O' else ''}.XX.O.{name}"
        image = SimpleITK.GetImageFromArray(array.transpose())
        image.SetSpacing((4.5, 4.5, 4.5))
        (case / stem).mkdir(parents=True)
        SimpleITK.WriteImage(image, str(case / stem / f"{stem}.mha"))
    cohort = open_cohort(tmp_path)
    assert cohort.ids == ("brats_2013_pat0001_1",)
    assert cohort["brats_2013_pat0001_1"].sequences == ("T1", "T1C", "FLAIR")
    truth = find_truth(tmp_path, "brats_2013_pat0001_1")
    assert truth is not None
    assert ".OT." in truth.name


def test_pre_and_post_beside_flair_are_t1_before_and_after_contrast_agent(tmp_path: Path) -> None:
    visit = tmp_path / "YG_0A1B" / "2013-02-13"
    save_patient(visit, *(f"YG_0A1B_2013-02-13_{word}.nii.gz" for word in ("FLAIR", "POST", "PRE", "T2")))
    scan = open_scan(tmp_path)
    assert scan.sequences == ("T1", "T1C", "T2", "FLAIR")
    assert Path(scan.files["T1C"]).name.endswith("_POST.nii.gz")
    assert "PRE and POST are taken as the T1 before and after contrast agent." in scan.notes
    save_patient(tmp_path / "b", "FLAIR.nii.gz", "POST.nii.gz")  # of one alone nothing is known
    assert open_scan(tmp_path / "b").sequences == ("FLAIR",)


def test_what_freesurfer_began_with_is_no_second_scan(tmp_path: Path) -> None:
    for name in ("T1", "orig", "orig/001"):
        save(tmp_path / "bert" / "mri" / f"{name}.mgz", brain_image(1))
    cohort = open_cohort(tmp_path)
    assert cohort.ids == ("bert",)
    assert cohort["bert"].sequences == ("T1",)


def test_an_image_in_its_own_space_goes_before_one_in_a_templates(tmp_path: Path) -> None:
    """The brain mask beside them is of the own space; the other is finer."""
    anat = tmp_path / "sub-01" / "anat"
    save(anat / "sub-01_desc-preproc_T1w.nii.gz", brain_image(1))
    save(anat / "sub-01_space-MNI152NLin6Asym_desc-preproc_T1w.nii.gz", brain_image(2), np.diag([-4, -4, 4, 1]))
    scan = open_scan(tmp_path)
    assert Path(scan.files["T1"]).name == "sub-01_desc-preproc_T1w.nii.gz"
    assert any("Of several T1 the one in its own space was taken" in note for note in scan.notes)


def test_segmentations_in_the_plural_are_truth(tmp_path: Path) -> None:
    save_patient(tmp_path / "RHUH-0001" / "0", "RHUH-0001_0_flair.nii.gz")
    save(tmp_path / "RHUH-0001" / "0" / "RHUH-0001_0_segmentations.nii.gz", LABELS)
    found = find_truth(tmp_path, open_cohort(tmp_path).ids[0])
    assert found is not None
    assert found.name == "RHUH-0001_0_segmentations.nii.gz"


@pytest.mark.parametrize(
    ("images", "others"),
    [
        (("T1/T1", "FLAIR/FLAIR"), ("DWI/DWI", "ADC/ADC")),
        (("T1/P1", "FLAIR/P1"), ("DWI/P1",)),
        (("1_T1/NIFTI/a", "2_FLAIR/NIFTI/a"), ("3_DWI/NIFTI/a", "3_DWI/NIFTI/b")),
        (("T1", "FLAIR"), ("SWI/SWI",)),
        (("T1", "FLAIR"), ("localizer/image",)),
    ],
)
def test_diffusion_in_a_folder_of_its_own_is_no_scan(
    tmp_path: Path, images: tuple[str, ...], others: tuple[str, ...]
) -> None:
    for name in ("P1", "P2"):
        save_patient(tmp_path / name, *(f"{stem}.nii.gz" for stem in (*images, *others)))
    cohort = open_cohort(tmp_path)
    assert cohort.ids == ("P1", "P2")
    for scan in cohort:
        assert scan.sequences == ("T1", "FLAIR")
        (note,) = (note for note in scan.notes if note.startswith("Not taken as images"))
        assert all(f"{Path(other).name}.nii.gz" in note for other in others)


def test_each_patients_diffusion_is_told_with_its_scan_and_a_patients_own_image_stays(tmp_path: Path) -> None:
    for name in ("T1/P1", "T1/P2", "FLAIR/P1", "FLAIR/P2", "DWI/P1", "DWI/P3"):
        save_patient(tmp_path / "data" / Path(name).parent, f"{Path(name).name}.nii.gz")
    cohort = open_cohort(tmp_path / "data")
    assert set(cohort.ids) == {"P1", "P2", "P3"}  # P3 fails with a sentence
    told = {scan_id: " ".join(cohort[scan_id].notes) for scan_id in ("P1", "P2")}
    assert "Not taken as images: P1.nii.gz" in told["P1"]
    assert "Not taken" not in told["P2"]


@pytest.mark.parametrize(
    ("images", "drawn"),
    [
        ("p1/{kind}_{visit}", "p1/seg_{visit}"),
        ("p1/p1_{kind}_{visit}", "p1/p1_seg_{visit}"),
        ("p1/{kind}_{visit}", "masks/p1_seg_{visit}"),
        ("p1/BraTS/{visit}/{kind}", "p1/tumor_segmentation/p1_tumor_mask_{visit}"),
    ],
)
@pytest.mark.parametrize("visits", [("V1", "V2"), ("baseline", "fu1")])
def test_each_visit_of_one_folder_has_its_own_truth(
    tmp_path: Path, images: str, drawn: str, visits: tuple[str, str]
) -> None:
    for visit in visits:
        files = (images.format(kind=kind, visit=visit) for kind in ("t1", "flair"))
        save_patient(tmp_path, *(f"{name}.nii.gz" for name in files))
        save(tmp_path / f"{drawn.format(visit=visit)}.nii.gz", LABELS)
    if "BraTS" in images:  # another's visits of the same names
        save_patient(tmp_path / "p2" / "BraTS" / visits[0], "t1.nii.gz")
        save_patient(tmp_path / "p2" / "BraTS" / visits[1], "t1.nii.gz")
    found = {scan_id: find_truth(tmp_path, scan_id) for scan_id in open_cohort(tmp_path).ids if "p1" in scan_id}
    assert found == {f"p1_{visit}": tmp_path / f"{drawn.format(visit=visit)}.nii.gz" for visit in visits}


def test_a_drawing_that_names_no_visit_is_of_neither(tmp_path: Path) -> None:
    save_patient(tmp_path / "p1", "t1_V1.nii.gz", "t1_V2.nii.gz")
    save(tmp_path / "p1" / "seg.nii.gz", LABELS)
    assert [find_truth(tmp_path, scan_id) for scan_id in open_cohort(tmp_path).ids] == [None, None]


def test_of_raw_images_and_those_without_skull_the_latter_are_taken(tmp_path: Path) -> None:
    save_patient(tmp_path / "p1", "t1.nii.gz", "t1_bet.nii.gz", "flair.nii.gz", "flair_bet.nii.gz")
    scan = open_scan(tmp_path / "p1")
    assert {Path(file).name for file in scan.files.values()} == {"t1_bet.nii.gz", "flair_bet.nii.gz"}
    assert any("those without were taken: not flair.nii.gz, t1.nii.gz" in note for note in scan.notes)
    (tmp_path / "p1" / "flair_bet.nii.gz").unlink()
    with pytest.raises(InputError, match="two files that look like T1"):
        open_scan(tmp_path / "p1")


def test_post_in_every_name_is_the_visit_where_another_word_tells_the_agent(tmp_path: Path) -> None:
    save_patient(tmp_path / "p1", *(f"p1_post_{kind}.nii.gz" for kind in ("t1", "t1ce", "flair")))
    scan = open_scan(tmp_path / "p1")
    assert {str(kind): Path(file).name for kind, file in scan.files.items()} == {
        "T1": "p1_post_t1.nii.gz",
        "T1C": "p1_post_t1ce.nii.gz",
        "FLAIR": "p1_post_flair.nii.gz",
    }
    assert any("taken for the visit" in note for note in scan.notes)


def test_the_stroke_and_white_matter_challenges_maps_are_no_scans(tmp_path: Path) -> None:
    save_patient(tmp_path / "sub-1" / "anat", "sub-1_FLAIR.nii.gz")
    save(tmp_path / "derivatives" / "sub-1" / "sub-1_msk.nii.gz", LABELS)
    save_patient(tmp_path / "7" / "pre", "FLAIR.nii.gz")
    save(tmp_path / "7" / "wmh.nii.gz", LABELS)
    assert set(open_cohort(tmp_path).ids) == {"sub-1", "pre"}
    assert find_truth(tmp_path, "sub-1") == tmp_path / "derivatives" / "sub-1" / "sub-1_msk.nii.gz"
