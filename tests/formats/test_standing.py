"""Nothing that stands is lost: not the input of `synth`, not a plan, not a model or somebody's notes."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from annofree.errors import OutputError
from annofree.formats.standing import MARK, refuse_standing, unfinished_fit
from annofree.pipeline import fit
from annofree.synthesis.synthesise import synthesise_one

from .conftest import brain_image, save


def test_the_healthy_image_is_never_the_output(tmp_path: Path) -> None:
    source = save(tmp_path / "flair.nii.gz", brain_image())
    before = source.read_bytes()
    linked = tmp_path / "linked.nii.gz"
    linked.hardlink_to(source)
    soft = tmp_path / "soft.nii.gz"
    soft.symlink_to(source)
    new = tmp_path / "new.nii.gz"
    for image, labels in ((source, new), (new, source), (linked, new), (soft, new), (new, new)):
        for overwrite in (False, True):
            with pytest.raises(OutputError, match="named twice"):
                synthesise_one([source, image, labels], overwrite=overwrite)
    assert source.read_bytes() == before
    assert not new.exists()


def test_what_stands_is_replaced_only_when_asked(tmp_path: Path) -> None:
    source = save(tmp_path / "flair.nii.gz", brain_image())
    image, labels = tmp_path / "image.nii.gz", tmp_path / "labels.nii.gz"
    labels.write_text("my labels")
    with pytest.raises(OutputError, match=r"stands there already.*labels\.nii\.gz.*--overwrite"):
        synthesise_one([source, image, labels])
    assert labels.read_text() == "my labels"
    assert not image.exists()
    refuse_standing(image, labels, inputs=(source,), overwrite=True)
    with pytest.raises(OutputError, match="is a folder"):
        refuse_standing(tmp_path, overwrite=True)


def test_a_plan_is_not_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from annofree.cli.main import main

    save(tmp_path / "data" / "p" / "flair.nii.gz", brain_image())
    plan = tmp_path / "plan.yaml"
    plan.write_text("my plan")
    with pytest.raises(SystemExit) as stop:
        main(["plan", str(tmp_path / "data"), "-o", str(plan)])
    assert stop.value.code == 2
    assert "stands there already" in capsys.readouterr().err
    assert plan.read_text() == "my plan"


def test_a_fit_goes_on_only_in_its_own_folder(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    with suppress(KeyboardInterrupt), unfinished_fit(folder, "dae"):
        (folder / "last").mkdir()
        raise KeyboardInterrupt
    assert (folder / MARK).is_file()
    with pytest.raises(OutputError, match=r"another method.*unfinished run of 'dae'"), unfinished_fit(folder, "ae"):
        pass
    with unfinished_fit(folder, "dae"), pytest.raises(OutputError, match="Another run"), unfinished_fit(folder, "dae"):
        pass
    assert sorted(path.name for path in folder.iterdir()) == ["last"]


def test_a_fit_replaces_nothing_that_stands(tmp_path: Path) -> None:
    for name in ("h1", "h2", "h3"):
        save(tmp_path / "healthy" / name / "flair.nii.gz", brain_image())
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "thesis.txt").write_text("years of work")
    for out, words in (("notes", "for instance thesis.txt"), ("notes/thesis.txt", "it is a file")):
        with pytest.raises(OutputError, match=words):
            fit("intensity", out=tmp_path / out, healthy=tmp_path / "healthy")
    assert [path.name for path in (tmp_path / "notes").iterdir()] == ["thesis.txt"]
