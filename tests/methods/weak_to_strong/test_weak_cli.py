"""What a user types: `annofree weak ...` and `annofree synth class-folders`."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annofree.cli.main import main
from annofree.formats import read_segmentation, written_ids
from annofree.phantom import write_cohort


def run(*words: str | Path) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    return int(stop.value.code or 0)


def test_pictures_to_scores_in_one_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    for label in ("a", "b"):
        (tmp_path / "set" / label).mkdir(parents=True)
        for number in range(7):
            picture = rng.integers(0, 20, (40, 40)).astype(np.uint8)
            picture[8:30, 10 : 20 + number] += 150
            Image.fromarray(picture).save(tmp_path / "set" / label / f"{number}.jpg")
    assert (
        run("weak", "foreground", tmp_path / "set", "-o", tmp_path / "out", "--set", "epochs=1", "--set", "side=32")
        == 0
    )
    printed = capsys.readouterr().out
    assert "test (4 pictures, held out): Dice" in printed
    assert "no tumour masks" in printed


def test_scans_to_tumour_pseudo_masks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cohort = write_cohort(tmp_path / "cohort", n=2, seed=5, spacing_mm=6.0, healthy_fraction=0.0)
    assert run("weak", "tumour", cohort.scans, "-o", tmp_path / "weak") == 0
    assert "labels=" in capsys.readouterr().out
    assert set(written_ids(tmp_path / "weak" / "otsu")) == set(cohort.ids)
    assert read_segmentation(tmp_path / "weak" / "otsu", cohort.ids[0]).provenance["tier"] == "T0"


def test_mistakes_end_in_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("weak", "tumor", tmp_path, "-o", tmp_path / "x") == 2
    assert "Use one of foreground, tumour, tune" in capsys.readouterr().err
    assert run("weak", "foreground", tmp_path, "-o", tmp_path / "x", "--set", "epoch=3") == 2
    assert "did you mean 'epochs'" in capsys.readouterr().err
    assert run("weak", "foreground", tmp_path / "none", "-o", tmp_path / "x") == 2
    assert "no such folder" in capsys.readouterr().err
    cohort = write_cohort(tmp_path / "cohort", n=3, seed=5, spacing_mm=6.0)
    assert run("weak", "foreground", cohort.scans, "-o", tmp_path / "x") == 2
    assert "none of its 3 folders holds a .jpg or .png file" in capsys.readouterr().err
    picture = next(cohort.scans.rglob("*_t1.nii.gz"))
    assert run("weak", "foreground", picture, "-o", tmp_path / "x") == 2
    assert "A file was given where a folder is needed" in capsys.readouterr().err
    assert run("weak", "tune", cohort.scans, "-o", tmp_path / "x") == 2
    assert "Nothing would be learned from the scans" in capsys.readouterr().err
    assert run("weak", "tune", picture, "-o", tmp_path / "x", "--set", "labels=otsu") == 2
    assert "1 scan cannot be split into training, validation and test" in capsys.readouterr().err
    (tmp_path / "t1").mkdir()
    for one in cohort.scans.rglob("*_t1.nii.gz"):
        shutil.copy(one, tmp_path / "t1")
    assert run("weak", "tune", tmp_path / "t1", "-o", tmp_path / "x", "--set", "labels=otsu") == 2
    assert "lacks FLAIR, T2" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()  # or the command put right would find an unfinished run of other scans
    for wrong, said in (
        ("learning_rates=[0.001, -1]", "greater than 0 (given -1)"),
        ("bce_weights=[0.5, 2]", "less than or equal to 1 (given 2)"),
        ("bce_weights=[3]", "annofree: 'bce_weights.0': Input should be less than or equal to 1 (given 3).\n"),
    ):
        given = ("--set", "labels=otsu", "--set", wrong)
        assert run("weak", "tune", cohort.scans, "-o", tmp_path / "x", *given) == 2
        assert said in capsys.readouterr().err
        assert not (tmp_path / "x").exists()  # refused before the first training, not at its own turn
    assert run("weak", "tune", cohort.scans, "-o", tmp_path / "x", "--set", "seeds=1") == 2
    assert "'seeds': Input should be a list, such as [1, 2] (given 1)" in capsys.readouterr().err
    assert run("synth", "class-folders") == 2
    assert "-o FOLDER" in capsys.readouterr().err
