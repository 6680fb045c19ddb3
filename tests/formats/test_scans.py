"""Any folder that a lab has becomes the right scans, with the right sequences, and nothing is taken silently."""

from __future__ import annotations

import pickle
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import annofree
from annofree.errors import InputError, MissingSequence
from annofree.formats import open_cohort, open_scan
from annofree.formats.layouts import find_cases
from annofree.formats.nifti import read_labels
from annofree.formats.outfolder import claim_folder
from annofree.formats.report_texts import read_reports
from annofree.scan import Scan

from .conftest import AFFINE, SHAPE, SPACING, brain_image, head_image, save, save_patient

CONVENTIONS = {
    "BraTS 2018-2021": ("case_t1.nii.gz", "case_t1ce.nii.gz", "case_t2.nii.gz", "case_flair.nii.gz"),
    "BraTS 2023-2025": ("case-t1n.nii.gz", "case-t1c.nii.gz", "case-t2w.nii.gz", "case-t2f.nii.gz"),
    "bare": ("t1n.nii.gz", "t1c.nii.gz", "t2w.nii.gz", "t2f.nii.gz"),
    "stripped": (
        "bet_case_t1_bet.nii.gz",
        "bet_case_t1c_bet.nii.gz",
        "bet_case_t2_bet.nii.gz",
        "bet_case_fla_bet.nii.gz",
    ),
    "open MS data": ("T1.nii.gz", "T1POST.nii.gz", "T2.nii.gz", "FLAIR.nii.gz"),
    "uncompressed": ("T1w.nii", "T1Gd.nii", "T2w.nii", "FLAIR.nii"),
    "BIDS": ("sub-1_T1w.nii.gz", "sub-1_ce-gadolinium_T1w.nii.gz", "sub-1_T2w.nii.gz", "sub-1_FLAIR.nii.gz"),
}


@pytest.mark.parametrize("names", CONVENTIONS.values(), ids=CONVENTIONS)
def test_every_spelling_finds_its_sequence(tmp_path: Path, names: tuple[str, ...]) -> None:
    scan = open_scan(save_patient(tmp_path / "case", *names))
    assert scan.id == "case"
    assert scan.sequences == ("T1", "T1C", "T2", "FLAIR")
    assert [Path(scan.files[s]).name for s in ("T1", "T1C", "T2", "FLAIR")] == list(names)


def test_label_maps_are_never_images_and_are_named(patient: Path) -> None:
    save(patient / "BraTS2021_00042_t1_DLMUSE.nii.gz", np.ones(SHAPE, np.uint8))
    scan = open_scan(patient)
    assert len(scan.images) == 4
    assert scan.notes == ("Not taken as images: BraTS2021_00042_seg.nii.gz, BraTS2021_00042_t1_DLMUSE.nii.gz.",)


def test_one_file_is_guessed(patient: Path) -> None:
    file = patient / "BraTS2021_00042_t2.nii.gz"
    assert open_scan(file).sequences == ("T2",)
    assert open_scan(file).id == "BraTS2021_00042"
    assert open_scan(file, sequence="t2").sequences == ("T2",)


def test_a_name_without_a_sequence_asks_for_it(tmp_path: Path) -> None:
    path = save(tmp_path / "patient7.nii.gz", brain_image())
    with pytest.raises(InputError, match=r"sequence of scan 'patient7'.*patient7.nii.gz.*--sequence"):
        open_scan(path)
    assert open_scan(path, sequence="FLAIR").id == "patient7"


def test_a_mask_is_not_opened_as_an_image(patient: Path) -> None:
    with pytest.raises(InputError, match="looks like a mask"):
        open_scan(patient / "BraTS2021_00042_seg.nii.gz")


def test_two_files_of_one_sequence_are_refused(tmp_path: Path) -> None:
    folder = save_patient(tmp_path / "p", "flair.nii.gz", "flair_2.nii.gz")
    with pytest.raises(InputError, match=r"two files that look like FLAIR.*flair.nii.gz and flair_2.nii.gz"):
        open_scan(folder)
    folder = save_patient(tmp_path / "q", "raw_fla.nii.gz", "bet_fla.nii.gz", "bet_t1.nii.gz")
    with pytest.raises(InputError, match="two files that look like FLAIR"):
        open_cohort(folder)["q"]


def test_dictionary_image_and_scan(patient: Path) -> None:
    odd = save(patient.parent / "odd.nii.gz", brain_image(1))
    scan = open_scan({"t1ce": odd, "FLAIR": patient / "BraTS2021_00042_flair.nii.gz"}, id="mine")
    assert (scan.id, scan.sequences) == ("mine", ("T1C", "FLAIR"))
    assert open_scan(scan) is scan
    assert open_scan(scan, sequence="T1C").sequences == ("T1C",)
    image = nib.Nifti1Image(brain_image(1), AFFINE)
    assert open_scan(image, sequence="T2").sequences == ("T2",)
    assert open_scan({"T1": image}).sequences == ("T1",)
    with pytest.raises(InputError, match="not known"):
        open_scan(image)
    with pytest.raises(InputError, match="Two images in memory are T1C"):  # the second does not replace the first
        open_scan({"T1C": image, "t1ce": image})
    with pytest.raises(InputError, match="ndarray is not an image"):
        open_scan(brain_image(), sequence="T1")


def test_one_sequence_of_a_folder(patient: Path) -> None:
    assert open_scan(patient, sequence="T1").sequences == ("T1",)
    (patient / "BraTS2021_00042_t1.nii.gz").unlink()
    with pytest.raises(MissingSequence, match="lacks T1"):
        open_scan(patient, sequence="T1")


def test_a_cohort_of_folders_loads_lazily_and_survives_a_bad_scan(tmp_path: Path) -> None:
    save_patient(tmp_path / "c" / "HGG" / "a", "t1.nii.gz", "flair.nii.gz")
    save_patient(tmp_path / "c" / "LGG" / "b", "b_flair.nii.gz")
    (tmp_path / "c" / "LGG" / "b" / "b_flair.nii.gz").write_bytes(b"broken")
    save_patient(tmp_path / "c" / "d", "FLAIR.nii")
    cohort = open_cohort(tmp_path / "c")
    assert cohort.ids == ("a", "b", "d")
    assert cohort["a"].sequences == ("T1", "FLAIR")
    with pytest.raises(InputError, match="b_flair"):
        cohort["b"]
    assert pickle.loads(pickle.dumps(cohort))["d"].id == "d"


def test_reading_that_began_ahead_gives_the_same_scan_or_the_same_error(tmp_path: Path) -> None:
    for name in "ab":
        save_patient(tmp_path / name, "t1.nii.gz", "flair.nii.gz")
    (tmp_path / "b" / "flair.nii.gz").write_bytes(b"broken")
    cohort = open_cohort(tmp_path)
    for name in cohort.ids:
        cohort.begin(name)
    ahead, usual = cohort["a"], open_scan(tmp_path / "a")
    assert ahead.notes == usual.notes
    np.testing.assert_array_equal(ahead.images["FLAIR"], usual.images["FLAIR"])
    assert cohort["a"].id == "a"  # read anew: what was begun is gone
    for _ in range(2):
        with pytest.raises(InputError, match="flair"):
            cohort["b"]


def test_a_flat_folder_is_split_into_cases(tmp_path: Path) -> None:
    save_patient(tmp_path, "p1_flair.nii.gz", "p1_t1.nii.gz", "p10_flair.nii.gz", "p10_t1c.nii.gz", "p2-FLAIR.nii")
    save(tmp_path / "p1_seg.nii.gz", np.ones(SHAPE, np.uint8))
    save(tmp_path / "p10_brainmask.nii.gz", (brain_image() > 0).astype(np.uint8))
    cohort = open_cohort(tmp_path)
    assert cohort.ids == ("p1", "p10", "p2")
    assert cohort["p1"].notes == ("Not taken as images: p1_seg.nii.gz.",)
    assert cohort["p10"].brain is not None
    with pytest.raises(InputError, match="holds 3 scans, and one was asked for"):
        open_scan(tmp_path)


def test_a_folder_of_unnamed_files_takes_the_sequence_given(tmp_path: Path) -> None:
    save_patient(tmp_path, "anna.nii.gz", "bert.nii.gz")
    cohort = open_cohort(tmp_path, sequence="FLAIR")
    assert [scan.sequences for scan in cohort] == [("FLAIR",), ("FLAIR",)]
    with pytest.raises(InputError, match="--sequence"):
        open_cohort(tmp_path)["anna"]


def test_several_folders_and_files_at_once(tmp_path: Path) -> None:
    a = save_patient(tmp_path / "one" / "p", "flair.nii.gz")
    b = save_patient(tmp_path / "two" / "p", "flair.nii.gz")
    cohort = open_cohort([a, b / "flair.nii.gz"])
    assert cohort.ids == ("one_p", "two_p")


def test_same_folder_twice_is_refused(patient: Path) -> None:
    with pytest.raises(InputError, match="Two scans are called"):
        open_cohort([patient, patient])


def test_synthtumour_layout(tmp_path: Path) -> None:
    folder = save_patient(tmp_path / "OAS1", "flair.nii.gz")
    save(folder / "flair_brainmask.nii.gz", (brain_image() > 0).astype(np.float32))
    scan = open_cohort(tmp_path)["OAS1"]
    assert scan.brain is not None
    assert np.array_equal(scan.brain, scan.images["FLAIR"] != 0)


def test_reports_are_attached_by_id(patient: Path) -> None:
    texts = patient.parent / "texts"
    texts.mkdir()
    (texts / "BraTS2021_00042.txt").write_text("Left frontal mass.")
    assert open_cohort(patient, reports=texts)["BraTS2021_00042"].report == "Left frontal mass."
    table = patient.parent / "reports.csv"
    table.write_text('id,text\nBraTS2021_00042,"Mass, left."\n')
    assert open_cohort(patient, reports=table)["BraTS2021_00042"].report == "Mass, left."
    with pytest.raises(InputError, match="No report belongs"):
        open_cohort(patient, reports={"other": "text"})
    assert open_scan(patient, report="A mass.").report == "A mass."


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "it is empty"),
        ({"a.dcm": b"x"}, "do not begin like DICOM"),
        ({"notes.txt": b"x"}, "none of its 1 files is NIfTI"),
        ({"x_seg.nii.gz": b"x"}, "masks or label maps"),
    ],
)
def test_a_folder_without_images_says_what_it_holds(tmp_path: Path, files: dict[str, bytes], words: str) -> None:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=words):
        open_cohort(tmp_path)


def finer(scale: float, shift_mm: tuple[float, float, float] = (0, 0, 0)) -> np.ndarray:
    affine = AFFINE.copy()
    affine[:3, :3] = affine[:3, :3] * scale
    affine[:3, 3] += shift_mm
    return affine


def test_other_grids_of_the_same_world_are_resampled_and_said(tmp_path: Path) -> None:
    ramp = np.where(brain_image() > 0, np.arange(SHAPE[0], dtype=np.float32)[:, None, None] + 100, 0)
    save(tmp_path / "t1.nii.gz", ramp)
    fine = (80, 96, 84)
    save(tmp_path / "flair.nii.gz", brain_image(shape=fine, spacing=SPACING / 2), finer(0.5))
    scan = open_scan(tmp_path)
    assert scan.shape == fine
    assert any("T1 lay on another grid" in note and "FLAIR" in note for note in scan.notes)
    # Where both are brain, the ramp along x is met at half steps.
    x = (scan.images["T1"][:, 40, 40][::-1] - 100)[30:50]
    assert np.allclose(x, np.arange(30, 50) / 2, atol=1e-3)


def test_the_finest_grid_wins_and_flair_breaks_ties(tmp_path: Path) -> None:
    save(tmp_path / "flair.nii.gz", brain_image())
    save(tmp_path / "t1.nii.gz", brain_image(1), finer(1, (2, 0, 0)))
    scan = open_scan(tmp_path)
    assert scan.native is not None
    assert np.array_equal(scan.native.affine, AFFINE)
    assert any("T1 lay on another grid" in note for note in scan.notes)


def test_fields_of_view_far_apart_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "flair.nii.gz", brain_image())
    save(tmp_path / "t1.nii.gz", brain_image(1), finer(1, (0, 140, 0)))
    with pytest.raises(InputError, match=r"fields of view of FLAIR and T1 of scan.*hardly overlap.*share 3"):
        open_scan(tmp_path)


def test_a_whole_head_needs_a_brain_mask(tmp_path: Path) -> None:
    path = save(tmp_path / "flair.nii.gz", head_image())
    with pytest.raises(InputError, match=r"whole head with skull.*flair.nii.gz.*--brain-mask"):
        open_scan(path)
    inside = brain_image() > 0
    half = AFFINE @ np.diag([1, 1, 0.5, 1])
    mask = save(tmp_path / "elsewhere" / "mask.nii.gz", np.repeat(inside, 2, axis=2) * np.uint8(1), half)
    scan = open_scan(path, brain_mask=mask)
    assert scan.brain is not None
    assert not scan.images["FLAIR"][~scan.brain].any()
    assert any("outside the brain mask was set to 0" in note for note in scan.notes)
    # The mask lay on another grid: resampled, it is the same brain to within its rim.
    ras = inside[::-1, ::-1]
    assert (scan.brain != ras).sum() < 0.06 * ras.sum()


def test_brain_mask_patterns_serve_a_cohort(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(tmp_path / name / "flair.nii.gz", head_image())
        save(tmp_path / name / "t1_DLMUSE.nii.gz", (brain_image() > 0) * np.uint8(47))
    assert all(scan.brain is not None for scan in open_cohort(tmp_path, brain_mask="*_DLMUSE.nii.gz"))
    with pytest.raises(InputError, match="fits 0 files"):
        open_cohort(tmp_path, brain_mask="*_none.nii.gz")["a"]
    with pytest.raises(InputError, match="One brain mask was given for 2 scans"):
        open_cohort(tmp_path, brain_mask=tmp_path / "a" / "t1_DLMUSE.nii.gz")


def test_an_empty_brain_mask_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "flair.nii.gz", brain_image())
    mask = save(tmp_path / "m.nii.gz", np.zeros(SHAPE, np.uint8))
    with pytest.raises(InputError, match="covers nothing"):
        open_scan(path, brain_mask=mask)


@pytest.mark.parametrize("change", ["rescaled", "negative background", "z-scored", "cropped", "float noise"])
def test_stripped_brains_pass_whatever_their_grey_levels(tmp_path: Path, change: str) -> None:
    image = brain_image()
    brain = image > 0
    if change == "rescaled":
        image = np.round(image / image.max() * 32767).astype(np.int16)
    elif change == "negative background":
        image = np.where(brain, image - 310, -1000).astype(np.float32)
    elif change == "z-scored":
        image = np.where(brain, (image - 300) / 25, 0).astype(np.float32)
    elif change == "cropped":
        image = image[6:34, 8:40, 8:34]
    else:
        image = np.where(brain, image, np.random.default_rng(0).normal(0, 1e-4, SHAPE) * 0 + 1e-5).astype(np.float32)
    assert isinstance(open_scan(save(tmp_path / "flair.nii.gz", image)), Scan)


@pytest.mark.parametrize("cleaned", [False, True])
def test_heads_are_refused_with_and_without_cleaned_air(tmp_path: Path, cleaned: bool) -> None:
    head = head_image()
    if cleaned:
        head[head < 40] = 0
    with pytest.raises(InputError, match="whole head"):
        open_scan(save(tmp_path / "flair.nii.gz", head))


@pytest.mark.real
def test_real_folders_pass_or_are_refused(shared_data: Path) -> None:
    four = ("T1", "T1C", "T2", "FLAIR")
    for folder, count in (("patients", 7), ("unlabelled", 5), ("ms", 1)):
        cases = find_cases(shared_data / folder)
        assert len(cases) == count
        assert all(sorted(name for name, _ in case.images) == sorted(four) for case in cases.values())
    assert all(scan.sequences == ("FLAIR",) for scan in open_cohort(shared_data / "unlabelled", sequence="FLAIR"))
    assert open_cohort(shared_data / "ms")["open_ms_patient26"].sequences == four
    assert open_scan(shared_data / "patients" / "BraTS2021_00006").sequences == four
    healthy = open_cohort(shared_data / "healthy")
    assert healthy["OAS30135"].brain is not None
    for number in (1, 5, 6, 12):
        with pytest.raises(InputError, match=r"FLAIR, T1 of scan .* show a whole head"):
            healthy[f"nichart_Subj{number}"]
    masked = open_cohort(shared_data / "healthy", brain_mask="*_DLMUSE.nii.gz")["nichart_Subj1"]
    assert masked.brain is not None
    assert 1.2 < masked.brain.sum() * masked.voxel_ml / 1000 < 1.8
    for path in (shared_data / "raw" / "TCGA-FG-6692").glob("raw_*"):
        with pytest.raises(InputError, match="whole head"):
            open_scan(path)
    assert open_scan(shared_data / "raw" / "TCGA-FG-6692" / "bet_fla.nii.gz").sequences == ("FLAIR",)


def test_a_name_and_the_callers_word_may_not_contradict(tmp_path: Path) -> None:
    (tmp_path / "p1").mkdir()
    file = save(tmp_path / "p1" / "p1_T1w.nii.gz", brain_image())
    for source in (file, file.parent):  # of a folder, --sequence takes that sequence, and there is none
        with pytest.raises(InputError, match=r"'p1_T1w.nii.gz' says T1, and --sequence says FLAIR"):
            open_scan(source, sequence="FLAIR")
    with pytest.raises(InputError, match="says T1, and --sequence says T2"):
        open_scan(nib.load(file), sequence="T2")
    assert open_scan(file, sequence="T1").sequences == ("T1",)
    assert open_scan({"FLAIR": file}).sequences == ("FLAIR",)
    doubtful = file.rename(file.with_name("p1_T1_xyz.nii.gz"))
    with pytest.raises(InputError, match="says T1 or T1C, and --sequence says FLAIR"):
        open_scan(doubtful, sequence="FLAIR")
    assert open_scan(doubtful, sequence="T1C").sequences == ("T1C",)


def test_masks_that_are_named_like_images_are_no_scan(tmp_path: Path) -> None:
    patient = tmp_path / "c" / "p1"
    (patient / "hdbet").mkdir(parents=True)
    save(patient / "p1_flair.nii.gz", brain_image())
    save(patient / "hdbet" / "hdbet_native_flair.nii.gz", (brain_image() > 0).astype(np.uint8))
    cohort = open_cohort(tmp_path / "c")
    assert len(cohort) == 2  # found, and told why it is not taken
    assert cohort["p1"].sequences == ("FLAIR",)
    with pytest.raises(InputError, match=r"holds a mask or a label map.*hdbet_native_flair.*2 different values"):
        cohort["hdbet"]


def test_a_misspelt_sequence_is_told_before_any_scan_is_opened(patient: Path) -> None:
    with pytest.raises(InputError, match="'FLIAR' is not a sequence"):
        open_cohort(patient, sequence="FLIAR")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("run.json", "it is the record of a run. Repeat that run with annofree rerun"),
        ("run-20260101T000000.json", "it is the record of a run"),
        ("results.tsv", "it is a table"),
        ("evaluation.tsv", "it is a table"),
        ("index.html", "it is a page. Open it in a browser"),
        ("plan.yaml", "it is a file of settings. Give a plan to annofree bench"),
        ("network.onnx", "it is a network. Give the folder of its model with --model"),
    ],
)
def test_what_annofree_wrote_and_is_no_image_is_told_by_name(tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / name).write_text("{}")
    for sequence in (None, "FLAIR"):
        with pytest.raises(InputError, match="This is no image") as caught:
            open_cohort(tmp_path / name, sequence=sequence)
        assert says in str(caught.value)
    with pytest.raises(InputError, match="This is no image"):
        read_labels(tmp_path / name)


def test_folders_of_results_and_of_models_are_told_apart_from_scans(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"it is a model. Give it with --model, and name the scans"):
        open_cohort(Path(annofree.__file__).parent / "weights" / "synthtumour")
    claim_folder(tmp_path / "out")
    with pytest.raises(InputError, match=r"it holds results of annofree. Name the scans themselves"):
        open_cohort(tmp_path / "out")
    for name in ("run.json", "index.html"):
        (tmp_path / name).write_text('{"started": "2026"}')
        with pytest.raises(InputError, match="This is no report"):
            read_reports(tmp_path / name)
