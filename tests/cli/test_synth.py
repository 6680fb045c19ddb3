"""`annofree synth` as a user meets it."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from annofree.phantom import write_cohort
from command_line import call


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("healthy")
    axes = np.meshgrid(*(np.arange(n) - (n - 1) / 2 for n in (60, 70, 60)), indexing="ij", sparse=True)
    brain = sum(a**2 for a in axes) < 26**2
    for name in ("a", "b"):
        image = np.where(brain, np.random.default_rng(0).normal(100, 9, brain.shape), 0).astype(np.float32)
        (folder / name).mkdir()
        nib.save(nib.Nifti1Image(image, np.diag([-2.5, -2.5, 2.5, 1.0])), folder / name / "flair.nii.gz")
    return folder


def test_one_image(healthy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image, labels = tmp_path / "img.nii.gz", tmp_path / "lab.nii.gz"
    assert call("synth", healthy / "a" / "flair.nii.gz", image, labels, "--seed", 3) == 0
    assert "ml requested" in capsys.readouterr().out
    source, made, found = (nib.load(f) for f in (healthy / "a" / "flair.nii.gz", image, labels))
    assert np.array_equal(source.affine, made.affine)
    assert np.array_equal(source.affine, found.affine)
    tumour = np.asarray(found.dataobj) > 0
    assert 5_000 < tumour.sum() * 2.5**3 < 200_000
    assert made.get_fdata()[tumour].mean() > source.get_fdata()[tumour].mean()


def test_a_published_folder(healthy: Path, tmp_path: Path) -> None:
    out = tmp_path / "Task100"
    assert call("synth", "-o", out, "--preset", "published", "--healthy", healthy) == 0
    assert sorted(p.name for p in out.iterdir()) == [
        "cases.csv", "dataset.json", "imagesTr", "labelsTr", "splits_final.json"
    ]  # fmt: skip
    assert len(list((out / "imagesTr").glob("*val_0000.nii.gz"))) == 1


def test_a_default_folder_needs_no_data(tmp_path: Path) -> None:
    assert call("synth", "-o", tmp_path / "made", "--n", 1, "--layout", "folders") == 0
    assert (tmp_path / "made" / "cases.csv").is_file()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("-o", "out", "--preset", "publised"), "Use one of default, published"),
        (("-o", "out", "--preset", "published"), "--healthy"),
        ((), "-o"),
        (("one.nii.gz", "two.nii.gz"), "three files"),
    ],
)
def test_a_wrong_order_says_what_is_missing(
    arguments: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("synth", *arguments) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("class-folders", "-o", "OUT", "--set", "foo=1"), "'synth' of class-folders does not look at --set"),
        (("mix", "-o", "OUT", "--layout", "folders"), "'synth' of mix does not look at --layout"),
        (("-o", "OUT", "--labels", "x"), "'synth' of a folder does not look at --labels"),
        (("a.nii.gz", "b.nii.gz", "c.nii.gz", "--healthy", "x"), "'synth' of one image does not look at --healthy"),
    ],
)
def test_an_option_of_another_form_is_refused(
    arguments: tuple[str, ...], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("synth", *(str(tmp_path / "out") if word == "OUT" else word for word in arguments)) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_sequence_that_one_brain_lacks_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = write_cohort(tmp_path / "h", n=2, seed=4, spacing_mm=4.0, healthy_fraction=0.5)
    next((made.scans / made.ids[1]).glob("*_flair.nii.gz")).unlink()
    assert call("synth", "-o", tmp_path / "o", "--n", 1, "--healthy", made.scans) == 0
    assert f"FLAIR is left out: {made.ids[1]} lacks it" in capsys.readouterr().err
    assert len(list((tmp_path / "o" / "imagesTr").iterdir())) == 3


def test_nobody_is_healthy_and_a_patient(healthy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("synth", "-o", tmp_path / "o", "--n", 1, "--healthy", healthy, "--patients", healthy / "b") == 2
    assert "b is among the healthy scans and among the patients" in capsys.readouterr().err


def test_files_to_write_are_named_like_volumes(
    healthy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("synth", healthy / "a" / "flair.nii.gz", tmp_path / "i.nii.gz", tmp_path / "l.txt") == 2
    assert "is no volume's" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("content", "says"), [(b"no map", "is not"), (None, "lacks the deep structures")])
def test_what_is_no_label_map_is_named(
    content: bytes | None, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "maps" / "m.nii.gz"
    file.parent.mkdir()
    if content is None:
        nib.save(nib.Nifti1Image(np.ones((8, 8, 8), np.uint8) * 2, np.eye(4)), file)
    else:
        file.write_bytes(content)
    assert call("synth", "-o", tmp_path / "o", "--n", 1, "--labelmaps", file.parent) == 2
    said = capsys.readouterr().err
    assert says in said
    assert str(file) in said
