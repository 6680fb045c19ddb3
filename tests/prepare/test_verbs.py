"""Raw heads from the command line: prepare, and segment with masks on every grid."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
from prepare_made_head import brain_of, grid, head, points_of

import annofree as af
from annofree.formats import open_cohort
from annofree.formats.outfolder import write_json
from annofree.prepare import Recipe
from annofree.progress import listening
from annofree.scan import Modality
from command_line import call

GRIDS = {"T1": grid((43, 51, 40), (4.5, 4.5, 4.5)), "FLAIR": grid((48, 57, 26), (4.0, 4.0, 7.0), 10.0)}


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sequences of one head with its skull, on grids of their own, and the brain on T1's."""
    folder = tmp_path_factory.mktemp("raw") / "p7"
    folder.mkdir()
    for name, own in GRIDS.items():
        nibabel.save(nibabel.Nifti1Image(head(name, own), own.affine), folder / f"p7_{name.lower()}.nii.gz")
    brain = brain_of(points_of(GRIDS["T1"])).reshape(GRIDS["T1"].shape).astype(np.uint8)
    nibabel.save(nibabel.Nifti1Image(brain, GRIDS["T1"].affine), folder / "p7_brainmask.nii.gz")
    return folder


def test_prepare_writes_a_folder_that_needs_no_preparation(
    patient: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert call("prepare", patient, "-o", out, "--coregister", "headers", "--reference", "FLAIR") == 0
    assert "p7, grid: The scan lies on the grid of FLAIR; T1 drawn on it linearly." in capsys.readouterr().out
    record = json.loads((out / "p7" / "preparation.json").read_text())
    assert [step["name"] for step in record["steps"]] == ["input", "brain", "co-registration", "grid", "template"]
    assert (out / "p7" / "p7_brain.png").stat().st_size > 1000
    again = af.open_scan(out / "p7")
    assert again.preparation is None
    assert again.grid.same_as(GRIDS["FLAIR"])
    assert again.brain is not None
    litres = again.brain.sum() * again.voxel_ml / 1000
    whole = brain_of(points_of(GRIDS["T1"])).sum() * GRIDS["T1"].voxel_ml / 1000
    assert abs(litres / whole - 1) < 0.01
    assert call("prepare", patient, "-o", out, "--coregister", "headers") == 2
    assert "failed p7: " in (said := capsys.readouterr().err)
    assert "not empty" in said


def test_a_program_that_is_not_installed_is_missed_before_any_scan_is_read(
    patient: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for command in (("prepare", patient), ("segment", patient), ("segment", patient, "--dry-run")):
        assert call(*command, "-o", tmp_path / "out", "--brain", "hd-bet") == 2
        assert "there is no program 'hd-bet'. Install it, or leave --brain out" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_long_steps_are_told_one_after_the_other(patient: Path) -> None:
    heard: list[str] = []
    with listening(lambda _, what: heard.append(what)):
        open_cohort(patient, prepare=Recipe())["p7"]
    assert heard == ["reading", "finding the brain", "bringing sequences together"]


def test_a_stopped_prepare_goes_on(
    patient: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from annofree.prepare import folder as written

    for name in ("p1", "p2"):
        shutil.copytree(patient, tmp_path / "in" / name)
    order = ("prepare", tmp_path / "in", "-o", tmp_path / "out", "--coregister", "headers")
    done = []

    def stop(path: Path, record: object) -> None:
        if done:
            raise KeyboardInterrupt
        done.append(path)
        write_json(path, record)  # type: ignore[arg-type]

    monkeypatch.setattr(written, "write_json", stop)
    assert call(*order) == 130
    assert "goes on from there" in capsys.readouterr().err
    (first,) = (tmp_path / "out").iterdir()
    before = {path: path.stat().st_mtime_ns for path in first.iterdir()}
    monkeypatch.undo()
    assert call(*order) == 0
    said = capsys.readouterr().out
    assert f"{first.name}: prepared before, left as it is" in said
    assert {path: path.stat().st_mtime_ns for path in first.iterdir()} == before
    assert sorted(path.name.split("_")[1] for path in (tmp_path / "out").glob("*/*_t1.nii.gz")) == ["t1.nii.gz"] * 2
    assert call(*order, "--bias", "n4") == 2
    assert said.count("not empty") == 0
    assert capsys.readouterr().err.count("not empty") == 2


def test_segment_takes_the_raw_head_and_draws_masks_on_every_grid(patient: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ("--method", "intensity-published", "--no-locate", "--no-review", "--coregister", "headers")
    assert call("segment", patient, "-o", out, *options, "--native", "all") == 0
    volumes, shapes = {}, {}
    for space in ("orig", "T1", "FLAIR"):
        image = nibabel.load(next(out.glob(f"sub-p7/anat/*space-{space}_label-lesion*mask.nii.gz")))
        shapes[space] = image.shape
        volumes[space] = np.asarray(image.dataobj).sum() * abs(np.linalg.det(image.affine[:3, :3])) / 1000
    assert shapes["T1"] == GRIDS["T1"].shape
    assert shapes["FLAIR"] == GRIDS["FLAIR"].shape
    assert volumes["orig"] > 5  # the lump has 11 ml
    assert volumes["T1"] == pytest.approx(volumes["orig"], rel=0.1)  # some 100 voxels of 0.1 ml
    assert volumes["FLAIR"] == pytest.approx(volumes["orig"], rel=0.1)
    assert call("rethreshold", out, "--threshold", "fixed:3.5", "--overwrite", "--no-locate") == 0
    for space in ("T1", "FLAIR"):  # decided again with the others
        image = nibabel.load(next(out.glob(f"sub-p7/anat/*space-{space}_label-lesion*mask.nii.gz")))
        new = np.asarray(image.dataobj).sum() * abs(np.linalg.det(image.affine[:3, :3])) / 1000
        assert image.shape == GRIDS[space].shape
        assert 0 < new < 0.95 * volumes[space]


def test_a_result_in_python_is_saved_on_every_grid_too(patient: Path, tmp_path: Path) -> None:
    recipe = Recipe(coregister="headers", native="all")
    af.segment(patient, method="intensity-published", locate=False, prepare=recipe).save(tmp_path / "out", page=False)
    names = {path.name.split("_")[1] for path in (tmp_path / "out").glob("sub-p7/anat/*label-lesion*mask.nii.gz")}
    assert names == {"space-orig", "space-T1", "space-FLAIR"}


def test_the_room_is_the_verb(patient: Path) -> None:
    scan = af.prepare(patient, coregister="headers", reference=Modality.FLAIR)
    assert scan.preparation is not None
    assert scan.preparation.reference == Modality.FLAIR
    assert scan.grid.same_as(GRIDS["FLAIR"])


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cohort of one whose head moved by 16 mm between two sequences, as volunteers' do; the brain mask is T1's."""
    folder = tmp_path_factory.mktemp("moved") / "scans" / "v1"
    folder.mkdir(parents=True)
    movement = np.eye(4)
    movement[:3, 3] = (4.0, -6.0, 14.0)
    for name, own in GRIDS.items():
        image = head(name, own, movement if name == "FLAIR" else None)
        nibabel.save(nibabel.Nifti1Image(image, own.affine), folder / f"v1_{name.lower()}.nii.gz")
    brain = brain_of(points_of(GRIDS["T1"])).reshape(GRIDS["T1"].shape).astype(np.uint8)
    nibabel.save(nibabel.Nifti1Image(brain, GRIDS["T1"].affine), folder / "v1_brainmask.nii.gz")
    return folder.parent


@pytest.mark.slow
def test_healthy_people_who_moved_are_registered_before_they_carry_made_tumours(moved: Path, tmp_path: Path) -> None:
    free = ("--set", "tumours.healthy_share=1.0", "--n", 1, "--layout", "folders")
    assert call("synth", "-o", tmp_path / "o", "--healthy", moved, "--brain-mask", "*_brainmask.nii.gz", *free) == 0
    t1, flair = (nibabel.load(next((tmp_path / "o").rglob(f"*_{name}.nii.gz"))).get_fdata() for name in ("t1", "flair"))
    fluid = [(image < 0.5 * np.median(image[t1 > 0])) & (t1 > 0) for image in (t1, flair)]  # dark on both
    assert 2 * (fluid[0] & fluid[1]).sum() / (fluid[0].sum() + fluid[1].sum()) > 0.6


def test_a_comparison_of_methods_registers_as_segment_does(moved: Path) -> None:
    from annofree.bench.plan import Data
    from annofree.bench.runs import Place

    place = Place(Data(name="moved", brain_mask="*_brainmask.nii.gz"), moved, moved, None)
    (scan,) = place.cohort()
    assert scan.preparation is not None
    steps = {step.name: step for step in scan.preparation.steps}
    assert 15 < steps["co-registration"].quality["FLAIR moved_mm"] < 17
