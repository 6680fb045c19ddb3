"""A made study with sequences on grids of their own comes out registered, stripped, and with the way back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
from prepare_made_head import brain_of, grid, head, movement, points_of

from annofree.errors import InputError
from annofree.formats import open_scan
from annofree.formats.study import Study
from annofree.preparation import Preparation
from annofree.prepare import Recipe
from annofree.prepare.bias import CorrectBias, bias_field
from annofree.prepare.brain_ladder import FindBrain
from annofree.prepare.check import looks_like_ct
from annofree.prepare.recipe import Remembered, again
from annofree.prepare.regrid import Regrid
from annofree.prepare.rigid import register
from annofree.prepare.work import Work
from annofree.scan import Grid, Modality, Scan

MOVED = movement((9.0, -6.0, 14.0), 7.0)
FINE = grid((64, 76, 60), (3.0, 3.0, 3.0))
COARSE = grid((43, 51, 40), (4.5, 4.5, 4.5))
THICK = grid((86, 102, 34), (2.2, 2.2, 6.0), 8.0)


def study(**changes: object) -> Study:
    images = {Modality.T1: head("T1", FINE), Modality.FLAIR: head("FLAIR", THICK, MOVED, seed=1)}
    grids = {Modality.T1: FINE, Modality.FLAIR: THICK}
    brain = brain_of(points_of(THICK) @ np.linalg.inv(MOVED)[:3, :3].T + np.linalg.inv(MOVED)[:3, 3])
    values = {"brain": brain.reshape(THICK.shape), "heads": {Modality.T1: "made", Modality.FLAIR: "made"}} | changes
    return Study("made", images, grids, grids, files={"T1": "t1.nii.gz", "FLAIR": "flair.nii.gz"}, **values)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def prepared() -> Scan:
    return Recipe(reference=Modality.FLAIR)(study())


def test_the_movement_is_found_within_a_millimetre(prepared: Scan) -> None:
    assert prepared.preparation is not None
    found = prepared.preparation.movements[Modality.T1]
    points = points_of(FINE)[brain_of(points_of(FINE))][::101]
    there = points @ MOVED[:3, :3].T + MOVED[:3, 3]  # T1 lies in the head's own world
    back = there @ found[:3, :3].T + found[:3, 3]
    assert np.linalg.norm(back - points, axis=1).mean() < 1.0


def test_the_scan_lies_on_the_reference_and_has_no_skull(prepared: Scan) -> None:
    assert prepared.grid.same_as(THICK)
    assert prepared.brain is not None
    assert all((image[~prepared.brain] == 0).all() for image in prepared.images.values())
    expected = study().brain
    assert isinstance(expected, np.ndarray)
    assert np.array_equal(prepared.brain, expected)


def test_a_mask_outlined_on_one_sequence_is_carried_to_the_reference_by_the_movement(prepared: Scan) -> None:
    given, told = study(), prepared.preparation
    assert told is not None
    brain = brain_of(points_of(FINE)).reshape(FINE.shape)
    start = Work(given, Modality.FLAIR, given.images, given.grids, told.movements, brain, Modality.T1)
    found, expected = Regrid()(start).brain, given.brain
    assert found is not None
    assert 2 * (found & expected).sum() / (found.sum() + expected.sum()) > 0.98


@pytest.mark.parametrize(("part", "on"), [(0.5, Modality.FLAIR), (0.85, Modality.T1)])
def test_a_stripped_slab_does_not_cut_the_brain_of_the_other_sequence(part: float, on: Modality) -> None:
    """Where T1 shows half of the brain, the brain is what FLAIR shows; where nearly all, T1 comes first."""
    grids = {Modality.T1: FINE, Modality.FLAIR: COARSE}
    inside = {kind: brain_of(points_of(own)).reshape(own.shape) for kind, own in grids.items()}
    images = {kind: np.where(inside[kind], head(str(kind), own), np.float32(0)) for kind, own in grids.items()}
    images[Modality.T1][:, :, : int(FINE.shape[2] * (1 - part))] = 0
    found = FindBrain()(Work.begin(Study("made", images, grids, grids), Modality.FLAIR))
    assert found.brain_on is on
    assert found.brain is not None
    assert found.brain.sum() == pytest.approx(inside[on].sum(), rel=0.05)


def test_every_step_says_what_it_did_with_a_number(prepared: Scan) -> None:
    assert prepared.preparation is not None
    steps = {step.name: step for step in prepared.preparation.steps}
    assert list(steps) == ["input", "brain", "co-registration", "grid", "template"]
    assert 15 < steps["co-registration"].quality["T1 moved_mm"] < 22
    assert steps["brain"].picture.startswith("data:image/png;base64,")
    assert all(step.did.endswith(".") for step in steps.values())


def test_a_stored_record_prepares_the_same_scan_again(prepared: Scan) -> None:
    assert prepared.preparation is not None
    record = Preparation.from_dict(prepared.preparation.to_dict()).to_dict()
    replay = again({"preparation": record})
    assert replay is not None
    same = replay(study(brain=prepared.brain))
    for name, image in prepared.images.items():
        assert np.array_equal(image, same.images[name])
    assert again({}) is None


def test_a_head_that_is_read_again_is_not_registered_again(prepared: Scan, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fit reads each scan several times: after the first it is drawn from what was found, refusals too."""
    once = Remembered(reference=Modality.FLAIR)
    first = once(study())
    with monkeypatch.context() as nothing_else:
        nothing_else.setattr(Recipe, "steps", ())
        second = once(study())
    for scan in (first, second):
        assert scan.brain is not None
        assert prepared.brain is not None
        assert np.array_equal(scan.brain, prepared.brain)
        assert all(np.array_equal(image, prepared.images[name]) for name, image in scan.images.items())
        assert scan.notes == prepared.notes
    assert second.preparation is first.preparation
    with pytest.raises(InputError, match="4 slices") as refused:
        once(_flat())
    monkeypatch.setattr(Recipe, "steps", ())
    with pytest.raises(InputError) as again_refused:
        once(_flat())
    assert str(again_refused.value) == str(refused.value)


def _flat() -> Study:
    """What has too few slices to be a head."""
    grids = {Modality.T1: Grid((64, 64, 4), np.diag([3.0, 3.0, 30.0, 1.0]))}
    images = {Modality.T1: np.ones((64, 64, 4), np.float32)}
    return Study("flat", images, grids, grids, heads={Modality.T1: "made"})


def test_the_movement_is_the_same_to_the_last_bit_on_one_and_two_threads() -> None:
    import SimpleITK

    images = head("T1", COARSE), COARSE, head("FLAIR", COARSE, MOVED, seed=1), COARSE
    before = SimpleITK.ProcessObject.GetGlobalDefaultNumberOfThreads()
    found = []
    try:
        for threads in (1, 2):
            SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
            found.append(register(*images).matrix)
            assert SimpleITK.ProcessObject.GetGlobalDefaultNumberOfThreads() == threads
    finally:
        SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(before)
    assert np.array_equal(*found)


def test_strangers_are_refused_with_the_step_and_its_number() -> None:
    noise = np.random.default_rng(0).normal(100, 20, THICK.shape).astype(np.float32)
    given = study()
    images = {**given.images, Modality.FLAIR: noise}
    other = Study("made", images, given.grids, given.natives, given.heads, given.brain, files=given.files)
    with pytest.raises(InputError, match=r"Co-registration: T1 of scan 'made' does not fit FLAIR.*nats.*--coregister"):
        Recipe(reference=Modality.FLAIR)(other)


def spoilt(change: Callable[[np.ndarray], np.ndarray]) -> Study:
    given = study()
    images = {Modality.T1: change(np.array(given.images[Modality.T1]))}
    cut = {Modality.T1: grid(images[Modality.T1].shape, (3.0, 3.0, 3.0))}  # type: ignore[arg-type]
    return Study("made", images, cut, cut, {Modality.T1: "made"}, files={"T1": "t1.nii.gz"})


def test_ct_and_a_few_slices_are_refused_by_the_first_step() -> None:
    def hounsfield(image: np.ndarray) -> np.ndarray:
        return np.where(image < 15, -1000, np.where(image > 200, 900, image / 4)).astype(np.float32)

    with pytest.raises(InputError, match=r"Input: T1 .*as in CT"):
        Recipe()(spoilt(hounsfield))
    with pytest.raises(InputError, match=r"Input: T1 .*5 slices"):
        Recipe()(spoilt(lambda image: image[:, :, 28:33]))
    assert not looks_like_ct(head("T1", FINE))
    assert not looks_like_ct(head("T1", FINE) - 1024)


def test_shading_is_divided_out_and_a_tumour_stays_bright() -> None:
    brain = brain_of(points_of(COARSE)).reshape(COARSE.shape)
    clean = head("FLAIR", COARSE)
    shade = np.linspace(0.7, 1.4, COARSE.shape[1], dtype=np.float32)[None, :, None]
    field = bias_field(clean * shade, brain, COARSE, CorrectBias(mode="n4", spacing_mm=9.0))
    mended = clean * shade / field
    lump = clean > 190
    lump &= brain

    def contrast(image: np.ndarray) -> float:
        return float(np.median(image[lump]) / np.median(image[brain & ~lump]))

    assert np.std(np.log(shade / field)[brain]) < 0.5 * np.std(np.log(np.broadcast_to(shade, COARSE.shape)[brain]))
    assert contrast(mended) > 0.9 * contrast(clean)


def test_files_on_two_grids_are_prepared_by_open_scan(tmp_path: Path) -> None:
    given = study()
    for name, image in given.images.items():
        nibabel.save(nibabel.Nifti1Image(image, given.grids[name].affine), tmp_path / f"p_{name.lower()}.nii.gz")
    brain = given.brain
    assert isinstance(brain, np.ndarray)
    nibabel.save(nibabel.Nifti1Image(brain.astype(np.uint8), THICK.affine), tmp_path / "p_brainmask.nii.gz")
    scan = open_scan(tmp_path, prepare=Recipe(reference=Modality.FLAIR))
    assert scan.preparation is not None
    assert scan.brain is not None
    assert abs(scan.brain.sum() / brain.sum() - 1) < 0.01
    headers = open_scan(tmp_path)
    assert headers.preparation is None
