"""PNG slices in the published folders: read as a cohort, and bad ones refused with a sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from annofree.errors import InputError
from annofree.formats import open_cohort, open_scan, open_truth
from annofree.formats.slices import FOLDERS, published_grid, read_png, write_slices
from annofree.scan import Modality, scoring


def levels(seed: int = 0, count: int = 6, size: int = 32) -> NDArray[np.uint8]:
    """A blob in the dark, brightest at the patient's left front."""
    rng = np.random.default_rng(seed)
    out = np.zeros((size, size, count), dtype=np.uint8)
    out[6:26, 4:28] = rng.integers(40, 120, (20, 24, count), dtype=np.uint8)
    out[8:12, 20:26] = 250
    return out


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """The four published folders, two subjects each."""
    for number, name in enumerate(FOLDERS):
        for subject in ("a", "b"):
            values = levels(number + ord(subject))
            write_slices(tmp_path / name, f"{name[:4]}_{subject}", values, first=40)
            if name != "HCP_train_data":
                mask = np.where(values > 200, np.uint8(255), np.uint8(0))
                write_slices(tmp_path / name, f"{name[:4]}_{subject}", mask, kind="seg", first=40)
    texts = tmp_path / "In_house_data" / "TXT"
    texts.mkdir()
    (texts / "In_h_a.txt").write_text("Mass in the left frontal lobe.")
    return tmp_path


def test_a_published_folder_is_a_cohort_with_reports(published: Path) -> None:
    cohort = open_cohort(published / "In_house_data", sequence="FLAIR")
    assert cohort.ids == ("In_h_a", "In_h_b")
    scan = cohort["In_h_a"]
    assert scan.report == "Mass in the left frontal lobe."  # TXT/ lies beside img/
    assert cohort["In_h_b"].report is None
    other = open_cohort(published / "In_house_data", reports={"In_h_a": "Another."}, sequence="FLAIR")["In_h_a"]
    assert other.report == "Another."
    assert scan.sequences == (Modality.FLAIR,)
    assert np.array_equal(scan.images[Modality.FLAIR], levels(1 + ord("a")))
    assert scan.grid.same_as(published_grid(32, 70, 6))


def test_without_a_word_on_the_sequence_slices_are_t2_and_the_scan_says_so(published: Path) -> None:
    scan = open_cohort(published / "HCP_train_data")["HCP__b"]
    assert scan.sequences == (Modality.T2,)
    assert any("as T2" in note and "no geometry" in note for note in scan.notes)


def test_masks_are_truth_and_stay_closed(published: Path) -> None:
    folder = published / "final_test_data"
    scan = open_cohort(folder)["fina_a"]
    truth = open_truth(folder, "fina_a", scan.grid)
    with scoring():
        assert np.array_equal(truth.labels > 0, levels(3 + ord("a")) > 200)
    assert truth.regions == ("WT",)


def test_slices_that_only_have_a_mask_here_and_there_line_up(published: Path) -> None:
    folder = published / "sample_test_data"
    for number in (40, 41, 45):
        (folder / "seg" / f"samp_b_{number}.png").unlink()
    scan = open_cohort(folder)["samp_b"]
    truth = open_truth(folder, "samp_b", scan.grid)
    with scoring():
        found = truth.labels.any(axis=(0, 1))
    assert found.tolist() == [False, False, True, True, True, False]


def test_slices_are_stacked_by_number_not_by_name(tmp_path: Path) -> None:
    values = levels(count=12)
    write_slices(tmp_path, "p", values, first=5)  # p_10 sorts before p_5 by name
    assert np.array_equal(open_scan(tmp_path, sequence="T2").images[Modality.T2], values)


def test_the_front_is_at_the_top_and_the_left_at_the_left(tmp_path: Path) -> None:
    write_slices(tmp_path, "p", levels(count=1))
    file = next(tmp_path.rglob("*.png"))
    shown = np.asarray(Image.open(file))
    assert shown[7, 9] == 250  # x 9 of 32 from the left, y 24 of 32 seen from the top
    assert shown[24, 9] < 250
    assert np.array_equal(read_png(file), levels(count=1)[:, :, 0])


def test_the_root_of_the_data_set_asks_which_folder(published: Path) -> None:
    with pytest.raises(InputError, match=r"several data sets of slices.*HCP_train_data"):
        open_cohort(published)


def _damage(folder: Path, kind: str) -> None:
    file = sorted(folder.glob("*.png"))[2]
    if kind == "cut short":
        file.write_bytes(file.read_bytes()[:60])
    elif kind == "no picture":
        file.write_text("hello")
    elif kind == "colour":
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(file)
    elif kind == "16 bits":
        Image.fromarray(np.full((32, 32), 3000, dtype=np.uint16)).save(file)
    elif kind == "size":
        Image.fromarray(np.zeros((16, 16), dtype=np.uint8)).save(file)


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("cut short", "cannot be read"),
        ("no picture", "cannot be read"),
        ("colour", "not a grey image of 8 bits"),
        ("16 bits", "not a grey image of 8 bits"),
        ("size", "differ in size"),
    ],
)
def test_a_bad_slice_is_named(tmp_path: Path, kind: str, sentence: str) -> None:
    write_slices(tmp_path, "p", levels())
    _damage(tmp_path / "img", kind)
    with pytest.raises(InputError, match=sentence) as caught:
        open_scan(tmp_path, sequence="T2")
    assert "\n" not in str(caught.value)
    assert ".png" in str(caught.value)
