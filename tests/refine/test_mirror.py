"""Twins across the midline go, tumours stay."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from annofree.phantom import phantom_subject
from annofree.refine import MirrorFilter, RefineContext, from_dict, parse
from annofree.scan import Modality


@pytest.fixture(scope="module")
def context() -> RefineContext:
    scan = phantom_subject(seed=11, healthy=True, spacing_mm=4.0).scan
    brain = scan.foreground()
    return RefineContext(
        scores=np.zeros(scan.shape, np.float32), brain=brain, spacing_mm=scan.spacing_mm, images=scan.images
    )


def ball(context: RefineContext, side_mm: float, radius_mm: float) -> np.ndarray:
    """A ball beside the middle of the brain, so far to the right in mm."""
    centre = np.argwhere(context.brain).mean(axis=0) + np.array([side_mm / context.spacing_mm[0], 0, 2])
    grid = np.indices(context.brain.shape).reshape(3, -1).T
    distance = np.linalg.norm((grid - centre) * context.spacing_mm, axis=1)
    return distance.reshape(context.brain.shape) <= radius_mm


def test_a_pair_goes_and_a_single_finding_stays(context: RefineContext) -> None:
    left, right = ball(context, -34, 10), ball(context, 34, 10)
    assert not MirrorFilter().apply(left | right, context).any()
    assert np.array_equal(MirrorFilter().apply(left, context), left)


def test_a_tumour_with_a_small_island_opposite_stays_and_the_island_goes(context: RefineContext) -> None:
    tumour, island = ball(context, 34, 18), ball(context, -34, 6)
    assert np.array_equal(MirrorFilter().apply(tumour | island, context), tumour)


def test_what_crosses_the_midline_is_not_its_own_twin(context: RefineContext) -> None:
    butterfly = ball(context, 0, 24)
    far = ball(context, 58, 6) & ~butterfly
    assert (MirrorFilter().apply(butterfly | far, context) & butterfly).sum() == butterfly.sum()


def test_large_findings_and_scans_without_images_are_left_alone(context: RefineContext) -> None:
    pair = ball(context, -34, 10) | ball(context, 34, 10)
    assert np.array_equal(MirrorFilter(max_ml=1.0).apply(pair, context), pair)
    blind = RefineContext(scores=context.scores, brain=context.brain, spacing_mm=context.spacing_mm)
    assert np.array_equal(MirrorFilter().apply(pair, blind), pair)
    assert blind.notes


def lit(context: RefineContext, where: np.ndarray, **more: np.ndarray) -> RefineContext:
    """The same brain, three times as bright on FLAIR in some places."""
    assert context.images is not None
    flair = np.where(
        where, 3 * np.median(context.images[Modality.FLAIR][context.brain]), context.images[Modality.FLAIR]
    )
    images = {**context.images, Modality.FLAIR: flair.astype(np.float32)}
    return dataclasses.replace(context, images=images, **more)


def test_tissue_as_bright_on_the_other_side_is_a_twin_though_nothing_was_called_there(context: RefineContext) -> None:
    left, right = ball(context, -34, 10), ball(context, 34, 10)
    assert not MirrorFilter().apply(left, lit(context, left | right)).any()
    assert np.array_equal(MirrorFilter().apply(left, lit(context, left)), left)
    assert np.array_equal(
        MirrorFilter().apply(left, lit(context, left | ball(context, 34, 5))), left
    )  # too little of it
    assert np.array_equal(MirrorFilter(bulk=None, bright=None).apply(left, lit(context, left | right)), left)


def test_what_has_a_core_stays_whatever_lies_opposite(context: RefineContext) -> None:
    left, right = ball(context, -34, 10), ball(context, 34, 10)
    cored = lit(context, left | right, inner=ball(context, -34, 6))
    assert np.array_equal(MirrorFilter().apply(left | right, cored), left)


def test_brightness_that_nobody_called_there_is_no_tumour_here_however_large_and_cored(context: RefineContext) -> None:
    left, half = ball(context, -34, 14), ball(context, 34, 11)
    there = lit(context, left | half, inner=ball(context, -34, 10), notes=[])
    assert not MirrorFilter(max_ml=1.0).apply(left, there).any()
    assert "mirror dropped" in there.notes[0]
    little = lit(context, left | ball(context, 34, 6), inner=ball(context, -34, 10))
    assert np.array_equal(MirrorFilter().apply(left, little), left)
    # what both sides call may be two metastases, and hyperintensities do not enhance
    both = left | ball(context, 34, 14)
    assert np.array_equal(MirrorFilter(max_ml=1.0).apply(both, lit(context, both)), both)
    scores = np.where(ball(context, -34, 6), 1.0, 0.0).astype(np.float32)
    assert there.images is not None
    images = {**there.images, Modality.T1C: there.images[Modality.T1]}
    enhancing = dataclasses.replace(there, images=images, maps={"ET": scores}, cuts={"ET": 0.5})
    assert np.array_equal(MirrorFilter().apply(left, enhancing), left)
    unseen = dataclasses.replace(enhancing, images={s: i for s, i in images.items() if s != Modality.T1C})
    assert not MirrorFilter().apply(left, unseen).any()


def test_what_the_other_side_calls_for_its_most_part_is_no_tissue_that_nobody_called(context: RefineContext) -> None:
    left, right, around = ball(context, -34, 14), ball(context, 34, 12), ball(context, 34, 14)
    both = left | right
    assert np.array_equal(MirrorFilter(max_ml=1.0).apply(both, lit(context, left | around)), both)


def test_what_goes_on_across_the_midline_was_missed_there(context: RefineContext) -> None:
    half = ball(context, -22, 20) | ball(context, 0, 10)
    shown = lit(context, half | ball(context, 22, 16), inner=ball(context, -22, 14))
    assert np.array_equal(MirrorFilter().apply(half, shown), half)


def test_single_bright_voxels_are_noise(context: RefineContext) -> None:
    left, right = ball(context, -34, 14), ball(context, 34, 14)
    speckle = right & (np.random.default_rng(0).random(right.shape) < 0.4)
    noisy = dataclasses.replace(lit(context, left | speckle), spacing_mm=(2.0, 2.0, 2.0))
    assert np.array_equal(MirrorFilter(bulk=None).apply(left, noisy), left)


def test_it_survives_being_written_down() -> None:
    assert from_dict(MirrorFilter(share=0.7).to_dict()) == MirrorFilter(share=0.7)


def test_models_saved_under_the_former_name_still_load() -> None:
    before = from_dict({"kind": "twins", "share": 0.4})  # as it was before it looked at cores and at the image
    assert before == MirrorFilter(share=0.4, core=2.0, bulk=None, bright=None)
    assert from_dict({"kind": "twins", "share": 0.4, "core": 0.1, "bulk": 0.5}) == MirrorFilter(share=0.4, bright=None)
    assert parse("twins:0.4") == parse("mirror:0.4")
    assert MirrorFilter().to_dict()["kind"] == "mirror"


def test_of_two_lesions_the_better_called_one_stays(context: RefineContext) -> None:
    left, right = ball(context, -34, 18), ball(context, 34, 18)
    called = left | ball(context, 34, 14)
    found = MirrorFilter(bulk=None, max_ml=1.0).apply(called, lit(context, left | right))
    assert np.array_equal(found, called)
