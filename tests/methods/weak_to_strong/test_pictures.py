"""Class folders of pictures: reading, splitting, pairing, foreground masks, and the 2-D U-Net that learns them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annofree.errors import AnnofreeError, InputError, OutputError
from annofree.formats.class_folders import (
    open_class_folders,
    pair_by_name,
    read_grey,
    read_mask,
    split_by_class,
    write_mask,
)
from annofree.methods.weak_to_strong.foreground import ForegroundSettings, Pictures, learn_foreground, make_masks
from annofree.methods.weak_to_strong.otsu import foreground_mask
from annofree.phantom.disk import write_class_folders
from annofree.scan import Modality


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pictures") / "set"
    kinds, sequences = ("glioblastoma", "healthy"), (Modality.T1C, Modality.T2)
    return write_class_folders(root, 4, seed=3, kinds=kinds, sequences=sequences, spacing_mm=4.0)


def disc(radius: int = 20, side: int = 64) -> np.ndarray:
    y, x = np.ogrid[:side, :side]
    return (((x - side // 2) ** 2 + (y - side // 2) ** 2) < radius**2).astype(np.uint8) * 200


def test_phantom_pictures_are_jpeg_by_class_and_the_seed_decides_them(folders: Path, tmp_path: Path) -> None:
    found = open_class_folders(folders)
    assert found.labels == ("glioblastoma T1C", "glioblastoma T2", "healthy T1C", "healthy T2")
    assert len(found.pictures) == 16
    with Image.open(found.pictures[0].path) as image:
        assert image.format == "JPEG"
        assert image.mode == "L"
    assert len(np.unique(np.asarray(read_grey(found.pictures[0].path)))) > 50
    again = write_class_folders(
        tmp_path / "again", 4, seed=3, kinds=("glioblastoma",), sequences=(Modality.T2,), spacing_mm=4.0
    )
    name = "glioblastoma T2/002.jpg"
    assert (again / name).read_bytes() == (folders / name).read_bytes()
    with pytest.raises(OutputError, match="not empty"):
        write_class_folders(folders)


def test_a_class_is_split_70_15_15_and_the_seed_decides(tmp_path: Path) -> None:
    for label, count in (("a", 20), ("b", 7)):
        (tmp_path / label).mkdir()
        for number in range(count):
            Image.fromarray(disc()).save(tmp_path / label / f"{number}.png")
    found = open_class_folders(tmp_path)
    parts = split_by_class(found, seed=42)
    sizes = {part: [sum(p.label == label for p in pictures) for label in "ab"] for part, pictures in parts.items()}
    assert sizes == {"train": [14, 4], "val": [3, 1], "test": [3, 2]}  # first two rounded down, by class
    assert sorted(p.name for part in parts.values() for p in part) == sorted(p.name for p in found.pictures)
    assert parts == split_by_class(found, seed=42)
    assert parts != split_by_class(found, seed=43)


def test_a_class_without_a_readable_picture_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        open_class_folders(tmp_path / "nowhere")
    with pytest.raises(InputError, match="no class folders"):
        open_class_folders(tmp_path)
    (tmp_path / "good").mkdir()
    Image.fromarray(disc()).save(tmp_path / "good" / "a.png")
    (tmp_path / "good" / "broken.jpg").write_bytes(b"no picture")
    found = open_class_folders(tmp_path)
    assert len(found.pictures) == 1
    assert "broken.jpg" in found.skipped[0]
    (tmp_path / "bad").mkdir()
    with pytest.raises(InputError, match=r"bad.*no .jpg or .png"):
        open_class_folders(tmp_path)
    (tmp_path / "bad" / "x.jpeg").write_bytes(b"\xff\xd8 cut")
    with pytest.raises(InputError, match="none of its 1 pictures can be read"):
        open_class_folders(tmp_path)


def test_a_picture_cut_short_is_left_out_and_named(folders: Path, tmp_path: Path) -> None:
    (tmp_path / "set" / "a").mkdir(parents=True)
    whole = (folders / "healthy T2" / "000.jpg").read_bytes()
    for number in range(4):
        (tmp_path / "set" / "a" / f"{number}.jpg").write_bytes(whole if number else whole[: len(whole) // 2])
    skipped = make_masks(tmp_path / "set", tmp_path / "out", ForegroundSettings(side=64))
    assert len(skipped) == 1
    assert "a/0.jpg" in skipped[0]


def test_foreground_is_the_whole_head_without_specks_and_holes() -> None:
    picture = disc()
    picture[2:4, 2:4] = 255  # a speck in the air
    picture[31:33, 31:33] = 0  # a dark spot in the head
    assert np.array_equal(foreground_mask(picture), disc(20) > 0) or (
        np.count_nonzero(foreground_mask(picture) != (disc(20) > 0)) < 0.03 * np.count_nonzero(disc(20))
    )
    assert not foreground_mask(picture)[:6, :6].any()
    assert foreground_mask(picture)[32, 32]
    touching = np.zeros((64, 64), np.uint8)
    touching[:, :30] = 180
    assert foreground_mask(touching)[0, 0]
    with pytest.raises(InputError, match="one grey level"):
        foreground_mask(np.zeros((8, 8), np.uint8))


def test_masks_survive_the_disk_unchanged_and_lossy_ones_are_refused(tmp_path: Path) -> None:
    mask = disc() > 0
    assert np.array_equal(read_mask(write_mask(tmp_path / "m.png", mask)), mask)
    with pytest.raises(OutputError, match="PNG"):
        write_mask(tmp_path / "m.jpg", mask)
    Image.fromarray(disc()).save(tmp_path / "old.jpg")
    with pytest.raises(InputError, match="other values than 0 and 255"):
        read_mask(tmp_path / "old.jpg")


def test_pairs_are_made_by_name_never_by_order(tmp_path: Path) -> None:
    images = [tmp_path / "a" / "2.jpg", tmp_path / "b" / "2.jpg", tmp_path / "a" / "10.jpg"]
    masks = [tmp_path / "m" / label / name for label, name in (("a", "10.png"), ("b", "2.png"), ("a", "2.png"))]
    assert [(i.parent.name, m.parent.name, i.stem == m.stem) for i, m in pair_by_name(images, masks)] == [
        ("a", "a", True),
        ("b", "b", True),
        ("a", "a", True),
    ]
    with pytest.raises(InputError, match=r"no mask of its name.*|a/10"):
        pair_by_name(images, masks[1:])
    with pytest.raises(InputError, match="no picture of its name"):
        pair_by_name(images[1:], masks)


def test_the_weak_stage_scores_pictures_that_it_never_saw(folders: Path, tmp_path: Path) -> None:
    settings = ForegroundSettings(side=32, epochs=12, learning_rate=3e-3)
    made = learn_foreground(folders, tmp_path / "out", settings)
    assert [score.part for score in made.scores] == ["train", "test"]  # 4 a class leave none to validate
    assert sum(score.pictures for score in made.scores) == 16
    test = made.scores[-1]
    assert test.dice > 0.8
    assert test.iou < test.dice
    assert "foreground" in next((tmp_path / "out" / "test").glob("*masks")).name
    pictures = Pictures.read(tmp_path / "out" / "test")
    assert pictures.images.shape == pictures.masks.shape
    lone = next((tmp_path / "out" / "train" / "images").rglob("*.png"))
    lone.unlink()
    with pytest.raises(AnnofreeError, match="no picture of its name"):
        Pictures.read(tmp_path / "out" / "train")


def _split_set(root: Path, **parts: dict[str, int]) -> Path:
    """A set that comes already split: pictures by part and class, the same file names in every part."""
    rng = np.random.default_rng(0)
    for part, classes in parts.items():
        for label, number in classes.items():
            for index in range(number):
                path = root / part / label / f"p{index}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(rng.integers(0, 255, (32, 32), dtype=np.uint8)).save(path)
    return root


def test_a_set_that_comes_already_split_keeps_its_split(tmp_path: Path) -> None:
    root = _split_set(tmp_path / "set", Training={"glioma": 6, "none": 4}, valid={"glioma": 2}, Testing={"none": 3})
    found = open_class_folders(root)
    assert found.labels == ("glioma", "none")  # not "Training" and "Testing"
    parts = split_by_class(found, seed=1)
    assert {part: len(pictures) for part, pictures in parts.items()} == {"train": 10, "val": 2, "test": 3}
    folders = {"train": "Training", "val": "valid", "test": "Testing"}
    for part, pictures in parts.items():
        assert {picture.path.parents[1].name for picture in pictures} == {folders[part]}
    make_masks(root, tmp_path / "out", ForegroundSettings(side=32))
    for part, number in (("train", 10), ("val", 2), ("test", 3)):  # same names in all parts, none lost
        assert len(list((tmp_path / "out" / part / "images").rglob("*.png"))) == number


def test_validation_is_cut_from_training_where_a_split_set_has_none(tmp_path: Path) -> None:
    root = _split_set(tmp_path / "set", train={"a": 17, "b": 17}, test={"a": 5, "b": 5})
    parts = split_by_class(open_class_folders(root), seed=1)
    assert {part: len(pictures) for part, pictures in parts.items()} == {"train": 28, "val": 6, "test": 10}
    assert all(picture.part == "train" for picture in (*parts["train"], *parts["val"]))
    assert not {p.path for p in parts["train"]} & {p.path for p in parts["val"]}


def test_half_split_sets_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="beside other folders"):
        open_class_folders(_split_set(tmp_path / "a", train={"x": 2}, test={"x": 2}, extra={"x": 2}))
    with pytest.raises(InputError, match="no training part"):
        open_class_folders(_split_set(tmp_path / "b", val={"x": 2}, test={"x": 2}))
    with pytest.raises(InputError, match="same part"):
        open_class_folders(_split_set(tmp_path / "c", train={"x": 2}, training={"x": 2}))
