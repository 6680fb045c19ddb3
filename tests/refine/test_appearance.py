"""The border follows the patient's own images, and nothing is found where nothing was."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from annofree.refine import from_dict, parse
from annofree.refine.appearance import Appearance
from annofree.refine.base import RefineContext
from annofree.scan import Modality

SPACING = (2.0, 2.0, 2.0)


def ball(radius: float, shape: tuple[int, int, int] = (40, 40, 40)) -> NDArray[np.bool_]:
    axes = np.indices(shape) - 19.5
    return (axes**2).sum(0) < radius**2


def overlap(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return 2 * float((a & b).sum()) / float(a.sum() + b.sum())


def scene(seed: int = 0) -> tuple[NDArray[np.bool_], RefineContext]:
    """A brain of two tissues with a lesion that only both sequences together tell from them, and a timid score."""
    rng = np.random.default_rng(seed)
    brain, lesion = ball(18), ball(8)
    grey = ndimage.gaussian_filter(rng.normal(size=brain.shape), 3) > 0
    flair = np.where(grey, 1.3, 1.0) + 0.4 * lesion + rng.normal(0, 0.08, brain.shape)
    t1 = np.where(grey, 0.7, 1.0) - 0.3 * lesion + rng.normal(0, 0.08, brain.shape)
    distance = ndimage.distance_transform_edt(~ball(5)) - ndimage.distance_transform_edt(ball(5))
    scores = (1 / (1 + np.exp(distance))).astype(np.float32) * brain
    images = {Modality.FLAIR: (flair * brain).astype(np.float32), Modality.T1: (t1 * brain).astype(np.float32)}
    return lesion, RefineContext(scores=scores, brain=brain, spacing_mm=SPACING, images=images, threshold_value=0.5)


def test_a_timid_mask_grows_to_the_border_that_the_images_show() -> None:
    lesion, context = scene()
    mask = context.scores > 0.5
    found = Appearance(even=0.5).apply(mask, context)
    assert overlap(mask, lesion) < 0.55
    assert overlap(found, lesion) > 0.85


def test_a_bold_mask_shrinks_but_not_below_its_inside() -> None:
    lesion, context = scene()
    mask = ball(11)
    found = Appearance(certain_above=0.9).apply(mask, context)
    assert overlap(found, lesion) > overlap(mask, lesion) + 0.05
    assert found[ball(6)].all()


def test_a_few_other_voxels_draw_no_other_border() -> None:
    _, context = scene()
    mask = context.scores > 0.5
    asked = Appearance(samples=100, certain_above=0.5, smooth_odds_mm=0.0)
    found = asked.apply(mask, context)
    edge = np.argwhere(mask & ~ndimage.binary_erosion(mask))
    for seed in range(5):
        other = mask.copy()
        other[tuple(np.random.default_rng(seed).permutation(edge)[:3].T)] = False
        assert overlap(asked.apply(other, context), found) > 0.97
    # a voxel at the lowest corner moves the box that is looked at, and only what that adds may become an example
    corner = mask.copy()
    corner[tuple(edge[0] - [1, 0, 0])] = True
    assert overlap(asked.apply(corner, context), found) > 0.95
    wide = asked.model_copy(update={"around_mm": 60.0})
    assert overlap(wide.apply(corner, context), wide.apply(mask, context)) > 0.97


def test_no_new_lesion_appears() -> None:
    lesion, context = scene()
    assert context.images is not None
    twin = np.roll(ball(4), 12, axis=0)
    for sequence, step in ((Modality.FLAIR, 0.4), (Modality.T1, -0.3)):
        context.images[sequence][twin] += step
    found = Appearance(reach_mm=6).apply(context.scores > 0.5, context)
    assert not found[twin & ~lesion].any()


def test_the_same_answer_whatever_the_scale_of_the_images() -> None:
    _, context = scene()
    assert context.images is not None
    mask = context.scores > 0.5
    scaled = {s: 700 * image + 3000 * context.brain for s, image in context.images.items()}
    other = RefineContext(scores=context.scores, brain=context.brain, spacing_mm=SPACING, images=scaled)
    assert overlap(Appearance().apply(mask, context), Appearance().apply(mask, other)) > 0.995


@pytest.mark.parametrize("images", [None, {}])
def test_without_images_the_mask_comes_back_with_a_note(images: dict[Modality, NDArray[np.float32]] | None) -> None:
    _, context = scene()
    mask = context.scores > 0.5
    bare = RefineContext(scores=context.scores, brain=context.brain, spacing_mm=SPACING, images=images)
    found = Appearance().apply(mask, bare)
    assert np.array_equal(found, mask)
    assert found is not mask
    assert bare.notes == ["appearance skipped: none of the sequences it may look at is at hand"]


def test_too_little_to_learn_from_changes_nothing() -> None:
    _, context = scene()
    speck = np.zeros_like(context.brain)
    speck[20, 20, 20] = True
    assert np.array_equal(Appearance().apply(speck, context), speck)
    assert context.notes == ["appearance skipped: the finding is too thin to show an inside of its own"]
    assert not Appearance().apply(np.zeros_like(speck), context).any()


def test_it_is_written_and_read_as_text_and_as_data() -> None:
    refiner = parse("appearance:6,weight=1")
    assert refiner == Appearance(reach_mm=6, weight=1)
    assert from_dict(refiner.to_dict()) == refiner
    before = {name: value for name, value in refiner.to_dict().items() if name not in ("rounds", "thin_mm")}
    assert from_dict(before) == Appearance(**{**refiner.model_dump(), "rounds": 1, "thin_mm": 0.0})
