"""The promptable refiner: what a voxel's description depends on, what the shipped network puts right, how it learns."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from annofree.phantom import phantom_subject
from annofree.refine import Promptable, RefineContext, parse
from annofree.refine.promptable.training import PromptSampler, PromptSettings, describe_cases, fit_prompt_net, prompted
from annofree.refine.promptable.voxels import FEATURES, describe_voxels, squashed
from annofree.scan import Modality
from annofree.synthesis.rough_mask import _bright, rough_mask
from annofree.training.samples import SampleSettings
from annofree.training.stream import TrainingCase

SHAPE = (36, 40, 36)


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def made_cube(seed: int) -> TrainingCase:
    """A lesion that is dark on T1 and bright on the others, in a noisy block of brain."""
    rng = np.random.default_rng(seed)
    brain = np.zeros(SHAPE, dtype=bool)
    brain[2:-2, 2:-2, 2:-2] = True
    bumps = ndimage.gaussian_filter(rng.standard_normal(SHAPE), 3)
    centre = rng.integers(14, 22, 3)
    axes = np.stack(np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij"))
    truth = np.sqrt(((axes - centre[:, None, None, None]) ** 2).sum(0)) + 1.5 * bumps / bumps.std() < 8
    gain = np.array([-40.0, 30.0, 50.0, 60.0])[:, None, None, None]
    images = (200 + gain * truth + 12 * rng.standard_normal((4, *SHAPE))) * brain
    return torch.from_numpy(images.astype(np.float32)), torch.from_numpy(brain), torch.from_numpy(truth * np.uint8(2))


def arrays(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    images, brain, labels = made_cube(seed)
    return images.numpy(), brain.numpy(), labels.numpy() > 0


def test_a_description_does_not_depend_on_the_scanner_s_scale() -> None:
    images, brain, truth = arrays()
    there, score = np.ones(4, dtype=bool), truth.astype(np.float32)
    where, rows = describe_voxels(images, brain, there, truth, score)
    again, same = describe_voxels(np.where(brain, 7 * images + 300, 0), brain, there, truth, score)
    np.testing.assert_array_equal(where, again)
    np.testing.assert_allclose(rows, same, atol=2e-3)
    assert rows.shape == (where.sum(), FEATURES)
    assert not (where & ~brain).any()


def test_a_missing_sequence_is_not_looked_at() -> None:
    images, brain, truth = arrays()
    there = np.array([True, False, True, True])
    other = images.copy()
    other[1] = np.random.default_rng(1).standard_normal(SHAPE)
    rows = [describe_voxels(i, brain, there, truth, truth.astype(np.float32))[1] for i in (images, other)]
    np.testing.assert_array_equal(*rows)


def test_scores_of_any_unit_come_to_one_scale() -> None:
    _, _, truth = arrays()
    z = ndimage.gaussian_filter(truth * 5.0, 1.0)
    mask = z > 2.0
    one, other = squashed(z, 2.0, mask), squashed(100 * z - 7, 193.0, mask)
    np.testing.assert_allclose(one, other, atol=1e-6)
    assert ((one > 0.5) == mask).all()
    np.testing.assert_array_equal(squashed(np.zeros(SHAPE), 2.0, mask), mask)


@pytest.mark.parametrize("seed", range(6))
def test_rough_masks_lie_in_the_brain_and_fit_their_scores(seed: int) -> None:
    images, brain, truth = arrays(seed)
    levels = np.where(brain, (images - 200) / 12, 0)
    labels = np.where(truth, np.uint8(2), np.uint8(0))
    rng = np.random.default_rng(seed)
    mask, score = rough_mask(labels, levels, brain, np.ones(4, dtype=bool), 2.0, rng)
    assert not (mask & ~brain).any()
    assert score.min() >= 0
    assert score.max() <= 1
    assert not ((score > 0.5) & ~mask).any()


@pytest.mark.parametrize("spacing_mm", [6.0, 14.0])
def test_a_rough_mask_on_coarse_voxels_is_not_eroded_to_nothing_nor_grown_over_all(
    spacing_mm: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fewer than one iteration was rounded to none, which ndimage takes as "until nothing changes"."""
    brain, truth = np.ones((20, 20, 20), bool), np.zeros((20, 20, 20), bool)
    truth[4:8, 4:8, 4:8] = True
    bright = truth.copy()
    bright[12:16, 12:16, 12:16] = True  # as bright, and far away
    levels = np.repeat(bright[None] * np.float32(9), 4, axis=0)
    monkeypatch.setattr("annofree.synthesis.rough_mask._wavy", None)  # what is drawn where nothing bright is left
    drawn = [
        _bright(truth, levels, brain, np.ones(4, bool), spacing_mm, np.random.default_rng(seed)) > 0.5
        for seed in range(40)
    ]
    assert all(mask[6, 6, 6] for mask in drawn)
    assert 0 < sum(mask[14, 14, 14] for mask in drawn) < 20  # in three of ten


def test_the_shipped_network_improves_masks_of_phantoms_and_stays_near() -> None:
    subject = phantom_subject(seed=5, kind="glioblastoma")
    truth, scan = subject.labels > 0, subject.scan
    assert scan.brain is not None
    context = RefineContext(np.zeros(truth.shape, np.float32), scan.brain, scan.spacing_mm, scan.images)
    core_missing = truth & ~ndimage.binary_erosion(truth, iterations=2)
    too_large = ndimage.binary_dilation(truth, iterations=2) & scan.brain
    for rough in (core_missing, too_large):
        found = Promptable().apply(rough, context)
        assert dice(found, truth) > dice(rough, truth) + 0.02
        assert not (found & ~scan.brain).any()
        assert ndimage.distance_transform_edt(~rough, sampling=2.0)[found].max() < 14
    assert context.notes == []


def test_voxels_of_another_size_get_the_same_outline() -> None:
    found = []
    for spacing in (2.0, 1.5):
        subject = phantom_subject(seed=5, kind="diffuse", spacing_mm=spacing)
        truth, scan = subject.labels > 0, subject.scan
        assert scan.brain is not None
        context = RefineContext(np.zeros(truth.shape, np.float32), scan.brain, scan.spacing_mm, scan.images)
        rough = ndimage.distance_transform_edt(~truth, sampling=spacing) <= 4.0
        found.append(dice(Promptable().apply(rough & scan.brain, context), truth))
    assert abs(found[0] - found[1]) < 0.04


def test_without_images_the_mask_comes_back() -> None:
    _, brain, truth = arrays()
    context = RefineContext(np.zeros(SHAPE, np.float32), brain, (2.0, 2.0, 2.0))
    np.testing.assert_array_equal(Promptable().apply(truth, context), truth)
    assert "no images" in context.notes[0]
    one = {Modality.FLAIR: np.zeros(SHAPE, np.float32)}
    assert not Promptable().apply(truth & False, RefineContext(context.scores, brain, (2.0, 2.0, 2.0), one)).any()


def test_components_beyond_the_most_stay() -> None:
    images, brain, truth = arrays()
    mask = truth.copy()
    mask[4:6, 4:6, 4:6] = True
    context = RefineContext(
        np.zeros(SHAPE, np.float32), brain, (2.0, 2.0, 2.0), dict(zip(Modality, images, strict=True))
    )
    found = Promptable(most=1).apply(mask, context)
    assert found[4:6, 4:6, 4:6].all()
    assert parse("promptable:3") == Promptable(most=3)


def test_a_training_is_resumed_and_learns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from annofree.refine.promptable import training as prompt

    monkeypatch.setattr(prompt, "MadeCases", lambda *asked: made_cube)
    recipe = PromptSettings(cases=4, faults=3, validation_cases=3)
    recipe = recipe.model_copy(update={"train": recipe.train.model_copy(update={"steps": 40, "validate_every": 20})})
    trained = fit_prompt_net(None, tmp_path, recipe)  # type: ignore[arg-type]
    log = [line for line in (tmp_path / "log.jsonl").read_text().splitlines() if "score" in line]
    first, last = ({k: float(v) for k, v in json.loads(line).items()} for line in (log[0], log[-1]))
    assert trained.step == 40
    assert last["score"] > last["before"] + 0.05
    assert last["score"] >= first["score"] - 0.02
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "cases").iterdir()}
    files = describe_cases(made_cube, recipe, tmp_path / "cases")
    assert {file: file.stat().st_mtime_ns for file in files} == before
    draw = PromptSampler(files, 64, 0)
    assert torch.equal(draw(5, 1)["x"], PromptSampler(files, 64, 0)(5, 1)["x"])


def test_a_cube_without_a_tumour_teaches_that_there_is_none() -> None:
    images, brain, _ = made_cube(0)
    found = prompted((images, brain, torch.zeros(SHAPE, dtype=torch.uint8)), np.random.default_rng(0), SampleSettings())
    assert found.mask.any()
    assert not found.truth.any()
    assert len(found.rows) == found.where.sum()
