"""The random walker moves a wrong surface to the image's edge, and leaves the mask alone where it cannot."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from annofree.refine import RandomWalker, RefineContext
from annofree.scan import Modality

SHAPE = (44, 44, 40)


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def made(seed: int = 0, noise: float = 0.4) -> tuple[np.ndarray, RefineContext]:
    """A smooth-edged lesion of about 6 ml, bright on FLAIR, dark on T1, in a noisy textured brain."""
    generator = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*(np.arange(n) - n / 2 for n in SHAPE), indexing="ij"))
    bumps = ndimage.gaussian_filter(generator.normal(size=SHAPE), 5)
    truth = np.sqrt((grid**2).sum(axis=0)) + 2 * bumps / bumps.std() < 11
    brain = np.sqrt((grid**2).sum(axis=0)) < 19
    soft = ndimage.gaussian_filter(truth.astype(np.float32), 0.8)
    images = {}
    for sequence, contrast in ((Modality.T1, -1.0), (Modality.FLAIR, 2.0)):
        texture = ndimage.gaussian_filter(generator.normal(size=SHAPE), 3)
        image = contrast * soft + 0.3 * texture / texture.std() + noise * generator.normal(size=SHAPE)
        images[sequence] = (np.where(brain, 300 * (image + 5), 0)).astype(np.float32)
    return truth, RefineContext(np.zeros(SHAPE, np.float32), brain, (1.0, 1.0, 1.0), images)


@pytest.mark.parametrize("off_mm", [-2, 2])
def test_a_surface_two_mm_off_moves_to_the_edge(off_mm: int) -> None:
    truth, context = made()
    distance = ndimage.distance_transform_edt(~truth) - ndimage.distance_transform_edt(truth)
    wrong = distance < off_mm
    result = RandomWalker().apply(wrong, context)
    assert dice(wrong, truth) < 0.85
    assert dice(result, truth) > 0.94
    assert context.notes == []


def test_it_changes_nothing_outside_the_shell() -> None:
    truth, context = made()
    walker = RandomWalker(inner_mm=2, outer_mm=2)
    changed = walker.apply(truth, context) != truth
    inside, outside = ndimage.distance_transform_edt(truth), ndimage.distance_transform_edt(~truth)
    assert changed.any()
    assert not (changed & ((inside > 2) | (outside > 2))).any()


def test_contrast_and_scale_of_a_sequence_do_not_matter() -> None:
    truth, context = made()
    other = {s: (5000 - 7 * image).astype(np.float32) for s, image in (context.images or {}).items()}
    same = RefineContext(context.scores, context.brain, context.spacing_mm, other)
    wrong = ndimage.binary_dilation(truth, iterations=2)
    first, second = RandomWalker().apply(wrong, context), RandomWalker().apply(wrong, same)
    assert (first != second).sum() <= 5  # float32 rounding of the scaled image


def test_a_thin_lesion_does_not_vanish() -> None:
    truth, context = made()
    mask = truth.copy()
    mask[4:7, 22, 20] = True
    result = RandomWalker(inner_mm=5, outer_mm=3).apply(mask, context)
    labels, count = ndimage.label(mask, np.ones((3, 3, 3)))
    for label in range(1, count + 1):
        assert result[labels == label].any()


def test_certain_scores_are_not_touched() -> None:
    truth, context = made()
    wrong = ndimage.binary_dilation(truth, iterations=2)
    scores = wrong.astype(np.float32)
    sure = RefineContext(scores, context.brain, context.spacing_mm, context.images)
    result = RandomWalker(certain_above=0.9, certain_below=0.1).apply(wrong, sure)
    np.testing.assert_array_equal(result, wrong)


def test_it_says_why_it_could_not_run() -> None:
    truth, context = made()
    cases = {
        "none of the sequences": (RandomWalker(sequences=(Modality.T2,)), context),
        "larger than 100": (RandomWalker(max_shell_vox=100), context),
        "no uncertain shell": (RandomWalker(), RefineContext(context.scores, truth, (1.0, 1.0, 1.0), context.images)),
        "flat": (
            RandomWalker(),
            RefineContext(context.scores, context.brain, (1.0, 1.0, 1.0), {Modality.T1: np.ones(SHAPE, np.float32)}),
        ),
        "at hand": (RandomWalker(), RefineContext(context.scores, context.brain, (1.0, 1.0, 1.0))),
    }
    for reason, (walker, around) in cases.items():
        around.notes.clear()
        np.testing.assert_array_equal(walker.apply(truth, around), truth)
        assert len(around.notes) == 1
        assert reason in around.notes[0]
