"""Nobody is lost or mixed up on the way in: every folder with an image is a scan or a failure with a sentence."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from annofree.errors import InputError
from annofree.formats import find_truth, open_cohort, open_scan

from .conftest import SHAPE, brain_image, save, save_patient

MASK = (brain_image() > 0).astype(np.uint8)


@pytest.mark.parametrize("word", ["label", "mask", "seg", "roi", "lesion", "tumor", "gt", "labels", "ROI"])
@pytest.mark.parametrize("pattern", ["{w}_001", "{w}01", "P1_{w}", "{w}"])
def test_an_id_that_holds_a_word_of_masks_is_no_mask(tmp_path: Path, word: str, pattern: str) -> None:
    name = pattern.format(w=word)
    save_patient(tmp_path / name, f"{name}_t1.nii.gz", f"{name}_flair.nii.gz")
    save(tmp_path / name / f"{name}_seg.nii.gz", MASK)
    save_patient(tmp_path / "other", "t1.nii.gz")
    cohort = open_cohort(tmp_path)
    assert set(cohort.ids) == {name, "other"}
    assert cohort[name].sequences == ("T1", "FLAIR")
    assert cohort[name].notes == (f"Not taken as images: {name}_seg.nii.gz.",)


def test_ids_with_words_of_masks_side_by_side(tmp_path: Path) -> None:
    for case in ("seg_001", "seg_002", "lesion-study-7"):
        save_patient(tmp_path, f"{case}_t1.nii.gz", f"{case}_flair.nii.gz")
        save(tmp_path / f"{case}_mask.nii.gz", MASK)
    cohort = open_cohort(tmp_path)
    assert cohort.ids == ("lesion-study-7", "seg_001", "seg_002")
    assert all(scan.sequences == ("T1", "FLAIR") for scan in cohort)


def test_a_mask_of_a_sequence_is_told_by_its_voxels(tmp_path: Path) -> None:
    save_patient(tmp_path / "p", "p_T1.nii.gz")
    save(tmp_path / "p" / "mask_T1.nii.gz", MASK)
    save(tmp_path / "p" / "prob_p_T1.nii.gz", MASK * np.float32(0.99))
    save(tmp_path / "p" / "p_T1_mask1.nii.gz", MASK)
    assert open_scan(tmp_path / "p").files == {"T1": str(tmp_path / "p" / "p_T1.nii.gz")}


def test_an_image_called_a_mask_fails_and_is_not_lost(tmp_path: Path) -> None:
    save_patient(tmp_path / "a", "t1.nii.gz")
    save_patient(tmp_path / "b", "scan_mask.nii.gz")
    cohort = open_cohort(tmp_path)
    assert cohort.ids == ("a", "b")
    with pytest.raises(InputError, match=r"called a mask.*scan_mask\.nii\.gz"):
        cohort["b"]
    save(tmp_path / "c" / "only_mask.nii.gz", MASK)
    assert open_cohort(tmp_path).ids == ("a", "b")


@pytest.mark.parametrize(
    "names",
    [("P1_T1.nii.gz", "P2_FLAIR.nii.gz"), ("T1_P01.nii.gz", "FLAIR_P02.nii.gz"), ("sub-1_T1w.nii", "sub-2_T2w.nii")],
)
def test_files_of_two_patients_are_never_one_scan(tmp_path: Path, names: tuple[str, str]) -> None:
    save_patient(tmp_path / "x", *names)
    cohort = open_cohort(tmp_path)
    with pytest.raises(InputError, match="different patients"):
        cohort["x"]


@pytest.mark.parametrize(
    "names",
    [
        ("t1_mpr_ns_sag_p2_iso", "t2_tirm_tra_dark-fluid_320", "t1_se_tra_KM_0007", "t2_tse_tra_p2"),
        ("T1_s003", "T1_gd_s011", "T2_s005", "FLAIR_s004"),
        ("AX_T1", "AX_T1_POST", "SAG_T2", "COR_FLAIR"),
        ("CE-T1w", "T1w", "T2w", "FLAIR"),
        ("P1_T1", "T1ce", "P1_T2", "FLAIR"),
        ("5_t1_mprage_sag", "9_t1_mprage_KM", "3_t2_tse", "4_t2_flair"),
        ("x_005_t1", "x_009_t1_gd", "x_003_t2", "x_004_flair"),
        ("Series5_t1", "Series9_t1_gd", "Series3_t2", "Series4_flair"),
        ("1-T1", "2-T1Gd", "3-T2", "4-T2 FLAIR"),
    ],
)
def test_names_from_the_scanner_are_one_patient(tmp_path: Path, names: tuple[str, ...]) -> None:
    save_patient(tmp_path / "x", *(f"{name}.nii.gz" for name in names))
    scan = open_scan(tmp_path / "x")
    assert scan.id == "x"
    assert len(scan.sequences) == len({*names}) == 4


def test_two_series_of_one_kind_are_named_and_not_made_two_patients(tmp_path: Path) -> None:
    save_patient(tmp_path / "x", "5_t1_mprage.nii.gz", "6_t1_se.nii.gz", "4_flair.nii.gz")
    cohort = open_cohort(tmp_path)
    assert cohort.ids == ("x",)
    with pytest.raises(InputError, match=r"two files that look like T1 .*5_t1_mprage\.nii\.gz and 6_t1_se"):
        cohort["x"]


def test_numbers_of_patients_are_not_taken_for_series(tmp_path: Path) -> None:
    save_patient(tmp_path / "x", "01_T1.nii.gz", "02_FLAIR.nii.gz")
    with pytest.raises(InputError, match="different patients"):
        open_cohort(tmp_path)["x"]
    save_patient(tmp_path / "y", "1_FLAIR.nii.gz", "2_FLAIR.nii.gz", "3_FLAIR.nii.gz")
    assert open_cohort(tmp_path / "y").ids == ("1", "2", "3")
    save_patient(tmp_path / "z", *(f"{n}_T1.nii.gz" for n in range(1, 5)), "5_FLAIR.nii.gz")
    assert {scan.id: scan.sequences for scan in open_cohort(tmp_path / "z")} == {
        **{str(n): ("T1",) for n in range(1, 5)},
        "5": ("FLAIR",),
    }


def test_people_of_bids_with_one_image_each_are_not_taken_for_series(tmp_path: Path) -> None:
    save_patient(tmp_path / "x", "sub-01_FLAIR.nii.gz", "sub-02_FLAIR.nii.gz", "sub-03_T1w.nii.gz")
    assert open_cohort(tmp_path / "x").ids == ("sub-01", "sub-02", "sub-03")


@pytest.mark.parametrize("names", [[f"{n}_FLAIR/a" for n in range(1, 5)], ["FLAIR_2019", "FLAIR_2021"]])
def test_of_many_images_or_of_years_none_is_chosen_as_the_last_series(tmp_path: Path, names: list[str]) -> None:
    for name in (*names, "9_T1/a" if "/" in names[0] else "T1_5"):
        save_patient(tmp_path / "x" / Path(name).parent, f"{Path(name).name}.nii.gz")
    with pytest.raises(InputError, match="two files that look like FLAIR"):
        open_scan(tmp_path / "x")


@pytest.mark.parametrize("pattern", ["100{}_{}.nii.gz", "P1_{}_{}.nii.gz", "00{}_{}.nii.gz", "s0{}_{}.nii.gz"])
def test_numbers_of_series_or_of_patients_are_asked_about(tmp_path: Path, pattern: str) -> None:
    save_patient(tmp_path / "x", pattern.format(1, "T1"), pattern.format(2, "T1"), pattern.format(3, "FLAIR"))
    cohort = open_cohort(tmp_path)
    assert cohort.ids == ("x",)
    with pytest.raises(InputError, match="may be those of series or of patients"):
        cohort["x"]


@pytest.mark.parametrize(
    "pattern", ["{n}_{w}.nii.gz", "s{n:03}_{w}.nii.gz", "Meier_{w}_20200101101112_{n}.nii.gz", "{n}_{w}/NIFTI/a.nii.gz"]
)
def test_of_a_repeated_series_the_last_is_taken_and_a_note_says_so(tmp_path: Path, pattern: str) -> None:
    def saved(words: str, number: int, spacing_mm: float = 3.0) -> str:
        name = pattern.format(n=number, w=words)
        save(tmp_path / "Meier" / name, brain_image(number), np.diag([3, 3, spacing_mm, 1.0]))
        return name

    early, late = saved("t2_tse", 9), saved("t2_tse", 11)
    flair = saved("flair", 4), saved("flair", 6, 3.5)
    first, second = saved("t1_mprage", 5), saved("t1_mprage", 8)
    with pytest.raises(InputError, match=f"{first} and {second}, and one of them may be the one after contrast agent"):
        open_scan(tmp_path / "Meier")
    saved("t1_mprage_KM", 12)
    third = saved("t1_mprage", 13)
    scan = open_scan(tmp_path / "Meier")
    assert scan.id == "Meier"
    assert {str(kind): Path(file).relative_to(tmp_path / "Meier").as_posix() for kind, file in scan.files.items()} == {
        "T1": second,
        "T1C": pattern.format(n=12, w="t1_mprage_KM"),
        "T2": late,
        "FLAIR": flair[0],
    }
    assert f"Of several T2 the finest, then the last series was taken: {late}, not {early}." in scan.notes
    assert any(f"was taken: {flair[0]}, not {flair[1]}." in note for note in scan.notes)
    before = "Of several T1 the finest, then the last series before contrast agent was taken: "
    assert any(note.startswith(before + second) and first in note and third in note for note in scan.notes)


@pytest.mark.parametrize(
    "pattern",
    [
        "{p}/1_{s}/NIFTI/{s}",
        "{p}/{s}/image",
        "{p}/{s}/{p}",
        "{s}/{p}",
        "{s}/{p}_{s}",
        "{s}/{p}/{s}",
        "{p}/scans/3-{s}/resources/NIFTI/files/{s}",
    ],
)
def test_sequences_in_folders_of_their_own_are_one_scan(tmp_path: Path, pattern: str) -> None:
    for patient, kinds in {"p1": ("T1", "T1C", "FLAIR"), "p2": ("T1", "FLAIR")}.items():
        for kind in kinds:
            path = tmp_path / "x" / f"{pattern.format(p=patient, s=kind)}.nii.gz"
            save_patient(path.parent, path.name)
    found = {scan.id: scan for scan in open_cohort(tmp_path / "x")}
    assert {name: scan.sequences for name, scan in found.items()} == {
        "p1": ("T1", "T1C", "FLAIR"),
        "p2": ("T1", "FLAIR"),
    }
    assert all(
        f"/{kind}" in file or f"-{kind}" in file or f"_{kind}" in file
        for scan in found.values()
        for kind, file in scan.files.items()
    )


@pytest.mark.parametrize("pattern", ["p1/{s}/flair", "p1/{s}/image"])
def test_folders_of_two_points_in_time_stay_two_scans(tmp_path: Path, pattern: str) -> None:
    for time in ("T1", "T2"):
        path = tmp_path / "x" / f"{pattern.format(s=time)}.nii.gz"
        save_patient(path.parent, path.name)
    assert open_cohort(tmp_path / "x", sequence="FLAIR").ids == ("T1", "T2")


def test_files_of_two_patients_in_folders_of_sequences_are_not_joined(tmp_path: Path) -> None:
    save_patient(tmp_path / "x" / "T1", "p1_T1.nii.gz")
    save_patient(tmp_path / "x" / "FLAIR", "p2_FLAIR.nii.gz")
    assert [scan.sequences for scan in open_cohort(tmp_path / "x")] == [("FLAIR",), ("T1",)]


def test_folders_of_sequences_beside_the_same_images_leave_these_as_they_are(tmp_path: Path) -> None:
    for place in ("p1", "p1/T1", "p1/FLAIR"):
        for kind in ("T1", "FLAIR"):
            if place in ("p1", f"p1/{kind}"):
                save_patient(tmp_path / place, f"{kind}.nii.gz")
    cohort = open_cohort(tmp_path)
    assert cohort["p1"].sequences == ("T1", "FLAIR")
    assert [Path(file).parent.name for file in cohort["p1"].files.values()] == ["p1", "p1"]


def test_a_folder_that_says_contrast_says_it_of_a_file_called_t1(tmp_path: Path) -> None:
    for name in ("T1/T1", "T1C/T1", "FLAIR/FLAIR"):
        save_patient((tmp_path / "p1" / name).parent, f"{Path(name).name}.nii.gz")
    save_patient(tmp_path / "p1" / "T1", "T1_n4.nii.gz")  # and one more of its kind does not part it from the others
    scan = open_scan(tmp_path / "p1")
    assert {kind: Path(file).relative_to(tmp_path).as_posix() for kind, file in scan.files.items()} == {
        "T1": "p1/T1/T1.nii.gz",
        "T1C": "p1/T1C/T1.nii.gz",
        "FLAIR": "p1/FLAIR/FLAIR.nii.gz",
    }


@pytest.mark.parametrize("pattern", ["Patient {p} {s}", "TCGA-DU-{p}-{s}", "Patient_{p}_{s}"])
def test_the_second_of_numbered_patients_is_not_lost(tmp_path: Path, pattern: str) -> None:
    """`T1_2_FLAIR` is a T1 that was registered to FLAIR, and the 2 in front of any sequence is a patient's."""
    save_patient(tmp_path / "x", *(f"{pattern.format(p=p, s=s)}.nii.gz" for p in "123" for s in ("T1", "FLAIR")))
    cohort = open_cohort(tmp_path / "x")
    assert cohort.ids == tuple(pattern.format(p=p, s="").strip("-_ ") for p in "123")
    assert all(scan.sequences == ("T1", "FLAIR") for scan in cohort)


def test_an_image_with_its_shading_evened_out_does_not_stop_the_one_without(tmp_path: Path) -> None:
    kinds = ("T1", "T1_bias", "T1c", "T1c_bias", "FLAIR", "FLAIR_bias")
    save_patient(tmp_path / "U-1_nifti", *(f"U-1_{kind}.nii.gz" for kind in kinds))
    scan = open_scan(tmp_path / "U-1_nifti")
    assert scan.sequences == ("T1", "T1C", "FLAIR")
    assert not any("bias" in file for file in scan.files.values())
    assert any("Of T1C with and without bias correction the one without was taken" in note for note in scan.notes)


@pytest.mark.parametrize(
    ("files", "taken"),
    [
        (("T1_mprage_5", "T1_mprage_5_Eq_1", "FLAIR_7"), "T1_mprage_5_Eq_1"),
        (("P1_T1", "P1_T1_Tilt_1", "P1_FLAIR", "P1_T1_ROI1"), "P1_T1_Tilt_1"),
        (("P1_T1", "P1_T1_Crop_1", "P1_FLAIR"), "P1_T1"),
    ],
)
def test_of_an_image_that_dcm2niix_wrote_twice_the_right_one_is_taken(
    tmp_path: Path, files: tuple[str, ...], taken: str
) -> None:
    save_patient(tmp_path / "P1", *(f"{name}.nii.gz" for name in files))
    scan = open_scan(tmp_path / "P1")
    assert Path(scan.files["T1"]).name == f"{taken}.nii.gz"
    assert any(note.startswith("Of T1 with and without ") for note in scan.notes)


def test_what_lies_beside_the_raw_data_of_bids_is_no_patient(tmp_path: Path) -> None:
    (tmp_path / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.8.0"}')
    save_patient(tmp_path / "sub-01" / "anat", "sub-01_FLAIR.nii.gz")
    beside = tmp_path / "derivatives" / "prep" / "sub-01" / "anat"
    save_patient(beside, "sub-01_desc-preproc_FLAIR.nii.gz")
    save_patient(tmp_path / "sourcedata" / "sub-01", "FLAIR.nii.gz")
    assert open_cohort(tmp_path).ids == ("sub-01",)
    assert open_cohort(tmp_path / "derivatives").ids == ("sub-01",)
    other = tmp_path / "derivatives" / "prep" / "sub-02" / "anat"
    save_patient(other, "sub-02_FLAIR.nii.gz")
    save_patient(tmp_path / "derivatives" / "mean", "T1.nii.gz")
    assert open_cohort(tmp_path).ids == ("sub-01", "sub-02")  # of whom there is nothing else
    (tmp_path / "sub-01" / "anat" / "sub-01_FLAIR.nii.gz").unlink()
    save_patient(tmp_path / "sub-01" / "func", "sub-01_bold.nii.gz")
    assert open_cohort(tmp_path)["sub-01"].sequences == ("FLAIR",)  # no image of the raw data would be lost else


def test_ids_behind_the_sequence(tmp_path: Path) -> None:
    save_patient(tmp_path / "x", "T1_P01.nii.gz", "FLAIR_P01.nii.gz", "T1_P02.nii.gz", "FLAIR_P02.nii.gz")
    assert {scan.id: scan.sequences for scan in open_cohort(tmp_path)} == {
        "P01": ("T1", "FLAIR"),
        "P02": ("T1", "FLAIR"),
    }


@pytest.mark.parametrize("ids", [("c1", "c2"), ("p1", "p2"), ("s1", "s2")])
def test_short_ids_behind_every_sequence(tmp_path: Path, ids: tuple[str, str]) -> None:
    save_patient(tmp_path, *(f"{kind}_{patient}.nii.gz" for patient in ids for kind in ("t1", "t1ce", "flair")))
    found = {scan.id: scan.sequences for scan in open_cohort(tmp_path)}
    assert found == dict.fromkeys(ids, ("T1", "T1C", "FLAIR"))


def test_one_id_behind_every_sequence_is_one_where_t1c_has_a_name_of_its_own(tmp_path: Path) -> None:
    save_patient(tmp_path / "a", "t1_c1.nii.gz", "t1ce_c1.nii.gz", "flair_c1.nii.gz")
    assert open_scan(tmp_path / "a").sequences == ("T1", "T1C", "FLAIR")
    save_patient(tmp_path / "b", "t1_c1.nii.gz", "flair_c1.nii.gz")  # c1 may be contrast agent
    with pytest.raises(InputError, match=r"doubtful.*t1_c1"):
        open_scan(tmp_path / "b")
    save_patient(tmp_path / "c", *(f"{kind}_{echo}.nii.gz" for kind in ("t2", "flair") for echo in ("e1", "e2")))
    with pytest.raises(InputError, match="two files that look like FLAIR"):
        open_scan(tmp_path / "c")


@pytest.mark.parametrize("pattern", ["P1_{visit}_{kind}", "P1_{kind}_{visit}"])
@pytest.mark.parametrize("visits", [("preop", "postop"), ("pre-op", "post-op"), ("baseline", "followup"), ("v1", "v2")])
def test_two_visits_with_a_sequence_in_common_are_two_scans(
    tmp_path: Path, visits: tuple[str, str], pattern: str
) -> None:
    for visit in visits:
        save_patient(tmp_path, *(f"{pattern.format(visit=visit, kind=kind)}.nii.gz" for kind in ("t1", "flair")))
        save(tmp_path / f"P1_{visit}_seg.nii.gz", MASK)
    found = {scan.id: scan.sequences for scan in open_cohort(tmp_path)}
    assert found == {f"P1_{visit}": ("T1", "FLAIR") for visit in visits}
    for visit in visits:
        assert find_truth(tmp_path, f"P1_{visit}") == tmp_path / f"P1_{visit}_seg.nii.gz"


def test_patients_of_one_visit_each_keep_their_ids(tmp_path: Path) -> None:
    for case in ("P1_preop", "P2_postop"):
        save_patient(tmp_path, f"{case}_t1.nii.gz", f"{case}_flair.nii.gz")
    assert open_cohort(tmp_path).ids == ("P1", "P2")


def test_sessions_whose_files_do_not_name_them_are_two_scans(tmp_path: Path) -> None:
    for session in ("ses-1", "ses-2"):
        save_patient(tmp_path / "sub-01" / session / "anat", "sub-01_T1w.nii.gz")
    assert open_cohort(tmp_path).ids == ("sub-01_ses-1", "sub-01_ses-2")


def test_post_behind_every_sequence_may_be_the_visit(tmp_path: Path) -> None:
    save_patient(tmp_path / "a", "T1_post_m3.nii.gz", "FLAIR_post_m3.nii.gz")
    with pytest.raises(InputError, match=r"doubtful.*T1_post_m3.*'post' stands in the name of every image"):
        open_scan(tmp_path / "a")
    save_patient(tmp_path / "b", "T1_post_m3.nii.gz", "FLAIR_m3.nii.gz")
    assert open_scan(tmp_path / "b").sequences == ("T1C", "FLAIR")


def test_what_a_program_put_beside_a_scan_is_no_patient(tmp_path: Path) -> None:
    save_patient(tmp_path / "week-1", "T1.nii.gz", "FLAIR.nii.gz")
    save_patient(tmp_path / "week-1" / "DeepBraTumIA-segmentation" / "skull_strip", "flair_skull_strip.nii.gz")
    save_patient(tmp_path / "predicted" / "week-2", "T1.nii.gz")  # beside a patient lie other patients
    assert set(open_cohort(tmp_path).ids) == {"week-1", "week-2"}


def test_two_dates_are_two_visits(tmp_path: Path) -> None:
    save_patient(tmp_path / "x", "P1_T1_20200101.nii.gz", "P1_FLAIR_20210505.nii.gz")
    with pytest.raises(InputError, match="different patients or visits"):
        open_cohort(tmp_path)["x"]


@pytest.mark.parametrize("visits", [("bl", "fu1"), ("initial", "fu"), ("prert", "postrt"), ("preoperation", "fup2")])
def test_two_visits_in_front_of_the_sequence_are_two_scans_with_their_truths(
    tmp_path: Path, visits: tuple[str, str]
) -> None:
    for visit in visits:
        save_patient(tmp_path, f"P1_{visit}_t1.nii.gz", f"P1_{visit}_flair.nii.gz")
        save(tmp_path / f"P1_{visit}_seg.nii.gz", MASK)
    found = {scan.id: find_truth(tmp_path, scan.id) for scan in open_cohort(tmp_path)}
    assert found == {f"P1_{visit}": tmp_path / f"P1_{visit}_seg.nii.gz" for visit in visits}


def test_two_patients_with_a_shared_sequence_are_two_scans(tmp_path: Path) -> None:
    save_patient(tmp_path / "x", "P1_T1.nii.gz", "P1_FLAIR.nii.gz", "P2_FLAIR.nii.gz")
    assert {scan.id: scan.sequences for scan in open_cohort(tmp_path)} == {"P1": ("T1", "FLAIR"), "P2": ("FLAIR",)}


def test_sessions_of_one_subject_are_scans_of_their_own(tmp_path: Path) -> None:
    for subject in ("01", "02"):
        for session in ("pre", "post"):
            stem = f"sub-{subject}_ses-{session}"
            anat = tmp_path / f"sub-{subject}" / f"ses-{session}" / "anat"
            save_patient(anat, f"{stem}_T1w.nii.gz", f"{stem}_ce-gad_T1w.nii.gz", f"{stem}_run-1_FLAIR.nii.gz")
            save(anat.parent / "dwi" / f"{stem}_dwi.nii.gz", brain_image())
    cohort = open_cohort(tmp_path)
    assert cohort.ids == tuple(f"sub-{s}_ses-{n}" for s in ("01", "02") for n in ("post", "pre"))
    assert all(scan.sequences == ("T1", "T1C", "FLAIR") for scan in cohort)


def test_sessions_in_folders_that_say_nothing_get_their_parents_names(tmp_path: Path) -> None:
    for subject in ("a", "b"):
        for session in ("2020", "2021"):
            save_patient(tmp_path / subject / session / "nifti", "T1.nii.gz")
    assert open_cohort(tmp_path).ids == ("a_2020", "a_2021", "b_2020", "b_2021")


def test_patients_below_a_stray_image_are_found(tmp_path: Path) -> None:
    save_patient(tmp_path, "T1.nii.gz")
    save_patient(tmp_path / "p1", "T1.nii.gz")
    assert set(open_cohort(tmp_path).ids) == {tmp_path.name, "p1"}


def test_deep_folders_are_found(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*"abcdefghij", "p1")
    save_patient(deep, "T1.nii.gz")
    assert open_cohort(tmp_path).ids == ("p1",)


def test_nifti_beside_arrays_is_found(tmp_path: Path) -> None:
    np.save(tmp_path / "image_1.npy", np.random.default_rng(0).random((8, 8, 8, 4)).astype(np.float32))
    save_patient(tmp_path / "p1", "T1.nii.gz")
    assert set(open_cohort(tmp_path).ids) == {"1", "p1"}


def test_links_to_themselves_and_loops_do_no_harm(tmp_path: Path) -> None:
    save_patient(tmp_path / "p1", "T1.nii.gz")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "p1" / "up").symlink_to(tmp_path)
    (tmp_path / "p2").mkdir()
    (tmp_path / "p2" / "T1.nii.gz").symlink_to("T1.nii.gz")
    (tmp_path / "p3").mkdir()
    (tmp_path / "p3" / "T1.nii.gz").symlink_to(tmp_path / "gone.nii.gz")
    cohort = open_cohort(tmp_path)
    assert cohort.ids == ("p1", "p2", "p3")
    assert cohort["p1"].sequences == ("T1",)
    for lost in ("p2", "p3"):
        with pytest.raises(InputError, match=rf"{lost}/T1\.nii\.gz"):
            cohort[lost]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_a_failure_of_its_own(tmp_path: Path) -> None:
    save_patient(tmp_path / "p1", "T1.nii.gz")
    closed = save_patient(tmp_path / "p2", "T1.nii.gz")
    closed.chmod(0)
    try:
        cohort = open_cohort(tmp_path)
        assert cohort.ids == ("p1", "p2")
        with pytest.raises(InputError, match="cannot be read"):
            cohort["p2"]
    finally:
        closed.chmod(0o755)


def test_a_doubtful_name_is_asked_about_only_where_it_matters(tmp_path: Path) -> None:
    save_patient(tmp_path / "p", "p_T1.nii.gz", "p_T1_foo.nii.gz", "p_FLAIR.nii.gz")
    with pytest.raises(InputError, match=r"doubtful.*p_T1_foo\.nii\.gz.*'foo' is not known"):
        open_scan(tmp_path / "p")
    assert open_scan(tmp_path / "p", sequence="FLAIR").sequences == ("FLAIR",)
    assert open_scan(tmp_path / "p" / "p_T1_foo.nii.gz", sequence="T1C").sequences == ("T1C",)
    save_patient(tmp_path / "p", "p_T1ce.nii.gz")
    scan = open_scan(tmp_path / "p")
    assert scan.sequences == ("T1", "T1C", "FLAIR")
    assert scan.notes == ("Not taken as images: p_T1_foo.nii.gz.",)


def test_initials_that_look_like_contrast_belong_to_the_patient(tmp_path: Path) -> None:
    save_patient(
        tmp_path / "flat", "CE_012_T1.nii.gz", "CE_012_FLAIR.nii.gz", "CE_013_T1.nii.gz", "CE_013_FLAIR.nii.gz"
    )
    assert {s.id: s.sequences for s in open_cohort(tmp_path / "flat")} == {
        "CE_012": ("T1", "FLAIR"),
        "CE_013": ("T1", "FLAIR"),
    }
    save_patient(tmp_path / "GD_1", "GD_1_T1.nii.gz", "GD_1_T1_gd.nii.gz")
    assert open_scan(tmp_path / "GD_1").sequences == ("T1", "T1C")


def test_a_folder_without_any_of_the_four_fails_by_name(tmp_path: Path) -> None:
    save_patient(tmp_path / "p1", "T1.nii.gz")
    save_patient(tmp_path / "p2", "dwi.nii.gz", "adc.nii.gz")
    cohort = open_cohort(tmp_path)
    assert cohort.ids == ("p1", "p2")
    with pytest.raises(InputError, match=r"no T1, T1C, T2 or FLAIR.*adc\.nii\.gz"):
        cohort["p2"]


def test_our_own_output_inside_a_cohort_is_no_patient(tmp_path: Path) -> None:
    from annofree.formats.outfolder import claim_folder

    save_patient(tmp_path / "p1", "T1.nii.gz")
    out = claim_folder(tmp_path / "out")
    save(out / "sub-p1" / "anat" / "sub-p1_space-orig_label-WT_desc-x_probseg.nii.gz", brain_image())
    assert open_cohort(tmp_path).ids == ("p1",)


def test_a_mask_called_flair_is_no_image(tmp_path: Path) -> None:
    path = save(tmp_path / "flair.nii.gz", MASK)
    with pytest.raises(InputError, match="mask or a label map"):
        open_scan(path)
    assert MASK.shape == SHAPE


def test_initials_that_look_like_contrast_belong_to_the_patient_beside_a_label_map_too(tmp_path: Path) -> None:
    for case in ("CE_012", "CE_013"):
        save_patient(tmp_path / "flat", f"{case}_T1.nii.gz", f"{case}_FLAIR.nii.gz")
        save(tmp_path / "flat" / f"{case}_seg.nii.gz", MASK)
    assert {scan.id: scan.sequences for scan in open_cohort(tmp_path / "flat")} == {
        "CE_012": ("T1", "FLAIR"),
        "CE_013": ("T1", "FLAIR"),
    }


def test_a_folder_is_read_alike_from_within_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_patient(tmp_path / "GD_1", "GD_1_T1.nii.gz", "GD_1_T1_gd.nii.gz")
    monkeypatch.chdir(tmp_path / "GD_1")
    scan = open_scan(".")
    assert (scan.id, scan.sequences) == ("GD_1", ("T1", "T1C"))
