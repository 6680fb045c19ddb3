"""A run and its repetition: what is reused, what `run.json` holds, and whether masks come out the same."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annofree.batch.rerun import rerun
from annofree.batch.run import run
from annofree.errors import InputError
from annofree.formats import open_cohort, read_segmentation
from annofree.pipeline import Choice
from command_line import call

from .conftest import made_cohort, written

CHOICE = Choice(method="intensity-published")


@pytest.fixture(scope="module")
def done(balls: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with one scan that failed; a copy of the scans stands beside it."""
    folder = tmp_path_factory.mktemp("done")
    shutil.copytree(balls, folder / "scans")
    (folder / "scans" / "broken").mkdir()
    (folder / "scans" / "broken" / "broken_flair.nii.gz").write_bytes(b"not an image")
    report = run(open_cohort(folder / "scans"), CHOICE, folder / "out", locate=False)
    assert (len(report.rows), len(report.failures)) == (3, 1)
    return folder


@pytest.fixture
def copy(done: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
    shutil.copytree(done, tmp_path / "copy")
    manifest = tmp_path / "copy" / "out" / "run.json"
    manifest.write_text(manifest.read_text().replace(str(done), str(tmp_path / "copy")))
    return tmp_path / "copy"


def edit(manifest: Path, **changes: Any) -> None:
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), **changes}))


def test_the_manifest_tells_everything_that_decides_a_mask(done: Path) -> None:
    told = json.loads((done / "out" / "run.json").read_text())
    assert told["annofree"]
    assert set(told["packages"]) >= {"numpy", "onnxruntime", "SimpleITK"}
    assert told["choice"]["method"] == "intensity-published"
    assert told["device"] == "cpu"
    assert told["scans"]["broken"]["state"] == "failed"
    scan = told["scans"]["ball-000"]
    assert scan["seconds"] > 0
    flair = next(entry for entry in scan["inputs"] if entry["role"] == "FLAIR")
    assert Path(flair["path"]) == done / "scans" / "ball-000" / "ball-000_flair.nii.gz"
    assert len(flair["sha256"]) == len(scan["outputs"]["labels"]) == 64


def test_the_same_run_again_gives_the_same_bits_and_keeps_nothing(
    done: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(done.rglob("*"))
    main_code = call("rerun", done / "out" / "run.json")
    said = capsys.readouterr()
    assert main_code == 0
    assert "4 of 4 scans came out the same to the last bit" in said.out
    assert "not as it was" not in said.err
    assert sorted(done.rglob("*")) == before


def test_masks_that_are_kept_are_the_same_files(done: Path, tmp_path: Path) -> None:
    report = rerun(done / "out", tmp_path / "again", only=["ball-001"])
    assert report.reproduced
    again = written(tmp_path / "again")
    first = written(done / "out")
    assert all(first[name] == content for name, content in again.items() if name.startswith("sub-"))
    with pytest.raises(InputError, match="would write into the run"):
        rerun(done / "out", done / "out")
    with pytest.raises(InputError, match="has no scan nobody"):
        rerun(done / "out", only=["nobody"])


def test_a_changed_image_is_named(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = copy / "scans" / "ball-001" / "ball-001_flair.nii.gz"
    (copy / "scans" / "ball-000" / "ball-000_flair.nii.gz").write_bytes(other.read_bytes())
    (copy / "scans" / "ball-002" / "ball-002_t2.nii.gz").unlink()
    edit(copy / "out" / "run.json", annofree="0.0.1")
    report = rerun(copy / "out")
    states = {scan.id: (scan.mask, scan.why) for scan in report.scans}
    assert states["ball-000"][0] == "differs"
    assert states["ball-000"][1][0].startswith("FLAIR has changed")
    assert states["ball-001"] == ("same", ())
    assert states["ball-002"][0] == "same"  # the method looks at FLAIR only
    assert states["ball-002"][1][0].startswith("T2 is gone")
    assert states["broken"] == ("same", ("it failed, as it did then",))
    assert any(sentence.startswith("annofree was 0.0.1") for sentence in report.circumstances)
    assert not report.reproduced


def test_a_changed_model_is_named_and_its_results_are_not_reused(balls: Path, tmp_path: Path) -> None:
    from annofree.methods import WEIGHTS

    model = tmp_path / "model"
    shutil.copytree(WEIGHTS / "intensity", model)
    weights = model / "model.safetensors"
    weights.write_bytes(b"one")
    cohort = open_cohort(balls).subset(["ball-000"])
    choice = Choice(model=str(model))
    run(cohort, choice, tmp_path / "out", locate=False)
    assert run(cohort, choice, tmp_path / "out", locate=False).reused == ["ball-000"]
    weights.write_bytes(b"two")
    assert run(cohort, choice, tmp_path / "out", locate=False).reused == []
    weights.write_bytes(b"three")
    assert rerun(tmp_path / "out").circumstances == ("the model's file model.safetensors has changed",)


def test_what_is_done_is_known_without_reading_an_image(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def refuse(case: Any, *_: object) -> None:
        read.append(case.id)
        raise InputError("read")

    monkeypatch.setattr("annofree.formats.scans.read_study", refuse)
    report = run(open_cohort(copy / "scans").subset(["ball-000"]), CHOICE, copy / "out", locate=False)
    assert (report.reused, read) == ([], ["ball-000"])  # it lies elsewhere now, so its results name other files
    monkeypatch.undo()
    cohort = open_cohort(copy / "scans")
    run(cohort, CHOICE, copy / "out", locate=False)
    monkeypatch.setattr("annofree.formats.scans.read_study", refuse)
    read.clear()
    for file in (copy / "scans" / "ball-000").iterdir():
        file.touch()  # a new time, and the same content
    report = run(cohort, CHOICE, copy / "out", locate=False)
    assert read == ["broken"]
    assert len(report.reused) == 3
    (copy / "out" / "sub-ball000" / "anat").rename(copy / "gone")
    run(cohort, CHOICE, copy / "out", locate=False)
    assert sorted(read[1:]) == ["ball-000", "broken"]


def test_masks_with_another_threshold_are_not_taken_for_those_of_the_run(copy: Path) -> None:
    from annofree.batch.rethreshold import rethreshold

    rethreshold(copy / "out", "fixed:2.5", overwrite=True, locate=False)
    told = json.loads((copy / "out" / "run.json").read_text())
    (step,) = told["rethresholds"]
    assert step["threshold"]["value"] == 2.5
    again = rerun(copy / "out", copy / "new")
    assert again.reproduced  # the run and what was done to its masks afterwards
    ids = [scan_id for scan_id in told["scans"] if told["scans"][scan_id]["state"] == "done"]
    for scan_id in ids:
        now, then = (read_segmentation(copy / name, scan_id) for name in ("new", "out"))
        assert np.array_equal(now.labels, then.labels)
        assert now.thresholds["WT"].value == 2.5
    assert run(open_cohort(copy / "scans"), CHOICE, copy / "out", locate=False).reused == []


def test_masks_with_other_refiners_come_out_the_same_again(copy: Path) -> None:
    at = ("rethreshold", copy / "out", "--no-locate", "--overwrite")
    assert call(*at, "--refine", "own", "--refine", "median:5", "--threshold", "fixed:2.5") == 0
    before = read_segmentation(copy / "out", "ball-000")
    chain = [refiner["kind"] for refiner in before.provenance["refiners"]["WT"]]
    assert chain == ["eroded-brain", "components", "median"]
    assert rerun(copy / "out", only=["ball-000"]).reproduced
    assert call(*at, "--refine", "none") == 0
    bare = read_segmentation(copy / "out", "ball-000")
    assert bare.provenance["refiners"]["WT"] == []
    assert np.array_equal(bare.labels > 0, (bare.scores["WT"].values > 2.5) & bare.brain)
    assert rerun(copy / "out", only=["ball-000"]).reproduced


def test_a_rethreshold_that_changes_nothing_is_refused(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("rethreshold", copy / "out", "--overwrite") == 2
    assert "Nothing to change was given. Give --threshold, such as fixed:0.7, or --refine." in capsys.readouterr().err


def test_a_manifest_of_the_first_form_is_read(copy: Path) -> None:
    file = copy / "out" / "run.json"
    told = json.loads(file.read_text())
    assert told["form"] == 2
    old = {**told, "form": 1, "choice": {k: v for k, v in told["choice"].items() if k != "device"}}
    old["method"] = {k: v for k, v in told["method"].items() if k != "device"}
    file.write_text(json.dumps(old))
    again = rerun(file)
    assert again.reproduced
    file.write_text(json.dumps({**told, "form": 3}))
    with pytest.raises(InputError, match="newer version"):
        rerun(file)


def test_scans_from_memory_are_told_apart_by_their_voxels(tmp_path: Path) -> None:
    cohort = made_cohort(tmp_path, a="never")
    scan = cohort["a"]
    held = type(cohort).of([scan])
    run(held, CHOICE, tmp_path / "out", locate=False)
    assert run(held, CHOICE, tmp_path / "out", locate=False).reused == ["a"]
    other = type(cohort).of([scan.replace(images={s: image * 2 + 1 for s, image in scan.images.items()})])
    assert run(other, CHOICE, tmp_path / "out", locate=False).reused == []
    with pytest.raises(InputError, match="came from memory"):
        rerun(tmp_path / "out")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"choice": {}, "scans": {}, "opened": {}, "form": 99}'])
def test_what_is_no_manifest_is_said(content: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(InputError, match="manifest"):
        rerun(tmp_path)
