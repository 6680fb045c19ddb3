"""The `.npy` folders of published notebooks open as scans, pair by name, and are never unpickled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annofree.errors import AnnofreeError, InputError
from annofree.formats import find_truth, open_cohort, open_scan, open_truth
from annofree.formats.npy import load_array
from annofree.scan import scoring

SHAPE = (16, 18, 14)


def write_case(folder: Path, number: int, layout: str) -> None:
    rng = np.random.default_rng(number)
    image, mask = folder / f"image_{number}.npy", folder / f"mask_{number}.npy"
    if layout == "subfolders":
        image, mask = folder / "images" / image.name, folder / "masks" / mask.name
    for path in (image, mask):
        path.parent.mkdir(parents=True, exist_ok=True)
    np.save(image, rng.normal(size=(*SHAPE, 4)).astype(np.float32))
    labels = np.zeros(SHAPE, int)
    labels[4:8, 4:8, 4:8], labels[5, 5, 5], labels[6, 6, 6] = 2, 1, 3
    np.save(mask, np.eye(4)[labels])


@pytest.mark.parametrize("layout", ["flat", "subfolders"])
def test_train_val_test_folders(tmp_path: Path, layout: str) -> None:
    for split, number in (("train", 1), ("train", 12), ("val", 1), ("test", 7)):
        write_case(tmp_path / split, number, layout)
    cohort = open_cohort(tmp_path)
    assert cohort.ids == ("train_1", "train_12", "val_1", "test_7")
    scan = cohort["train_12"]
    assert scan.sequences == ("T1", "T1C", "T2", "FLAIR")
    assert any("channels taken as T1, T1C, T2, FLAIR" in note for note in scan.notes)
    truth = open_truth(tmp_path, "train_12", scan.grid)
    assert truth.source is not None
    assert truth.source.endswith("mask_12.npy")
    with scoring():
        assert np.bincount(truth.labels.ravel()).tolist() == [16 * 18 * 14 - 64, 1, 62, 1]
    assert find_truth(tmp_path, "train_2") is None


def test_channels_can_be_named(tmp_path: Path) -> None:
    write_case(tmp_path / "train", 1, "flat")
    plain, named = (open_cohort(tmp_path, sequence=s)["train_1"] for s in (None, "T1C,T1,FLAIR,T2"))
    assert np.array_equal(plain.images["T1"], named.images["T1C"])
    with pytest.raises(InputError, match=r"4 channels.*Name them in order"):
        open_cohort(tmp_path, sequence="T1,T2")["train_1"]


def test_channels_first_and_single_channels(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(4, *SHAPE))
    np.save(tmp_path / "a.npy", values)
    assert open_scan(tmp_path / "a.npy").shape == SHAPE
    np.save(tmp_path / "b_flair.npy", values[0])
    assert open_scan(tmp_path / "b_flair.npy").sequences == ("FLAIR",)


def test_pickles_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=r"no .npy array"):
        open_scan(tmp_path / "x.npy")


@settings(max_examples=80)
@given(at=st.integers(0, 127), new=st.binary(min_size=1, max_size=6), keep=st.integers(0, 400))
def test_damaged_arrays_end_in_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, at: int, new: bytes, keep: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "image_1.npy"
    np.save(path, np.arange(60, dtype=np.float32).reshape(3, 4, 5))
    content = path.read_bytes()
    path.write_bytes((content[:at] + new + content[at + len(new) :])[:keep])
    sentence = None
    try:
        load_array(path)
    except AnnofreeError as error:
        sentence = str(error)
    assert sentence is None or ("image_1.npy" in sentence and "\n" not in sentence)
