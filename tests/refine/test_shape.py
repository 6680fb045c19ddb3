"""Refiners on shape: each against a slow reference, on anisotropic grids and at the array's edge."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from annofree import refine
from annofree.errors import InputError, SettingsError
from annofree.refine import ErodedBrain, FillHoles, KeepComponents, Median, Morphology, RefineContext
from annofree.refine.brain import eroded
from annofree.refine.holes import fill_holes

seeds = st.integers(0, 2**32 - 1)
SHAPE = (14, 13, 12)


def blobs(seed: int, shape: tuple[int, int, int] = SHAPE, share: float = 0.4, width: float = 1.0) -> np.ndarray:
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), width)
    return noise > np.quantile(noise, 1 - share)


def context(shape: tuple[int, int, int] = SHAPE, **options: object) -> RefineContext:
    values = {"scores": np.zeros(shape, np.float32), "brain": np.ones(shape, bool), "spacing_mm": (1.0, 1.0, 1.0)}
    return RefineContext(**{**values, **options})  # type: ignore[arg-type]


EVERY = [
    KeepComponents(connectivity=6, min_ml=0.01),
    KeepComponents(keep=2, by="score"),
    ErodedBrain(mm=2),
    FillHoles(),
    FillHoles(axial=True),
    Median(size=3),
    Morphology(operation="opening", mm=1.5),
    Morphology(operation="closing", mm=1.5),
    Morphology(operation="erosion", mm=1),
    Morphology(operation="dilation", mm=2),
]


@pytest.mark.parametrize("refiner", EVERY, ids=str)
def test_every_refiner_leaves_its_input_alone_and_stays_in_the_brain(refiner: refine.Refiner) -> None:
    brain = np.zeros(SHAPE, bool)
    brain[1:-1, 1:-1, 2:-1] = True
    scores = np.random.default_rng(1).normal(size=SHAPE).astype(np.float32)
    mask = blobs(1) & brain
    before = mask.copy()
    around = context(brain=brain, scores=scores, images={"T2": scores})
    result = refiner.apply(mask, around)
    np.testing.assert_array_equal(mask, before)
    assert result.dtype == bool
    assert result.shape == SHAPE
    assert result is not mask
    assert not (result & ~brain).any()
    empty = refiner.apply(np.zeros(SHAPE, bool), around)
    assert not empty.any()


@pytest.mark.parametrize("refiner", EVERY, ids=str)
def test_a_refiner_survives_json(refiner: refine.Refiner) -> None:
    assert refine.from_dict(json.loads(json.dumps(refiner.to_dict()))) == refiner


def test_text_forms() -> None:
    assert refine.parse("components:26,min_ml=0.5,keep=largest") == KeepComponents(min_ml=0.5, keep="largest")
    assert refine.parse("components:6,keep=3,by=score,hysteresis=2.5").hysteresis == 2.5  # type: ignore[attr-defined]
    assert refine.parse("morphology:closing,mm=3") == Morphology(operation="closing", mm=3)
    assert refine.parse_chain("eroded-brain:3 + fill-holes:axial=true") == (ErodedBrain(mm=3), FillHoles(axial=True))
    for kind in refine.REFINERS:
        assert refine.parse(kind).kind == kind


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("component:6", "did you mean 'components'"),
        ("components:6,min=1", "did you mean 'min_ml'"),
        ("components:7", "6, 18 or 26"),
        ("components:6,largest", "name=value"),
        ("median:4", "odd"),
        ("morphology:widening", "opening"),
        ("eroded-brain:-1", "greater than or equal to 0"),
    ],
)
def test_a_wrong_spec_is_answered_with_what_to_write(text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        refine.parse(text)


# ---- components


def slow_components(mask: np.ndarray, connectivity: int) -> list[set[tuple[int, ...]]]:
    """Flood fill by hand."""
    steps = [
        (x - 1, y - 1, z - 1)
        for x, y, z in np.ndindex(3, 3, 3)
        if 0 < abs(x - 1) + abs(y - 1) + abs(z - 1) <= {6: 1, 18: 2, 26: 3}[connectivity]
    ]
    left = {tuple(map(int, p)) for p in np.argwhere(mask)}
    found = []
    while left:
        queue = [left.pop()]
        component = set(queue)
        while queue:
            here = queue.pop()
            for step in steps:
                there = tuple(a + b for a, b in zip(here, step, strict=True))
                if there in left:
                    left.remove(there)
                    component.add(there)
                    queue.append(there)
        found.append(component)
    return found


@given(seed=seeds, connectivity=st.sampled_from([6, 18, 26]), minimum=st.integers(0, 12))
@settings(max_examples=25)
def test_components_match_a_flood_fill(seed: int, connectivity: int, minimum: int) -> None:
    mask = blobs(seed, share=0.25, width=0.6)
    found = slow_components(mask, connectivity)
    result = KeepComponents(connectivity=connectivity, min_ml=minimum / 1000).apply(mask, context())
    assert {tuple(map(int, p)) for p in np.argwhere(result)} == set().union(*(c for c in found if len(c) >= minimum))
    largest = KeepComponents(connectivity=connectivity, keep="largest").apply(mask, context())
    assert largest.sum() == max(len(c) for c in found)


def test_minimum_volume_is_in_ml_on_any_grid() -> None:
    mask = np.zeros(SHAPE, bool)
    mask[2:4, 2:4, 2:4] = True  # 8 voxels of 2 mm: 0.064 ml
    around = context(spacing_mm=(2.0, 2.0, 2.0))
    assert KeepComponents(min_ml=0.064).apply(mask, around).sum() == 8
    assert KeepComponents(min_ml=0.065).apply(mask, around).sum() == 0


def test_rank_by_score_and_hysteresis_prefer_the_confident_component() -> None:
    mask = np.zeros(SHAPE, bool)
    scores = np.zeros(SHAPE, np.float32)
    mask[1:5, 1:5, 1:5] = True
    scores[1:5, 1:5, 1:5] = 0.6  # large and lukewarm: 38
    mask[8:11, 8:11, 8:11] = True
    scores[8:11, 8:11, 8:11] = 2.0  # small and hot: 54
    around = context(scores=scores)
    assert KeepComponents(keep="largest").apply(mask, around)[2, 2, 2]
    by_score = KeepComponents(keep="largest", by="score").apply(mask, around)
    np.testing.assert_array_equal(by_score, scores == 2.0)
    np.testing.assert_array_equal(KeepComponents(hysteresis=1.5).apply(mask, around), scores == 2.0)
    np.testing.assert_array_equal(KeepComponents(keep=5, by="score").apply(mask, around), mask)


# ---- the brain's rim


@given(seed=seeds, mm=st.integers(0, 4))
@settings(max_examples=20)
def test_rim_on_a_1_mm_grid_is_so_many_erosions_with_the_cross(seed: int, mm: int) -> None:
    brain = blobs(seed, share=0.8, width=1.5)
    wanted = ndimage.binary_erosion(brain, iterations=mm) if mm else brain
    np.testing.assert_array_equal(eroded(brain, mm, (1.0, 1.0, 1.0)), wanted)
    # The two ways to measure city-block distance agree, and a float32 affine's noise changes nothing.
    np.testing.assert_array_equal(eroded(brain, mm, (1.0, 1.0 + 2e-4, 1.0)), wanted)
    np.testing.assert_array_equal(eroded(brain, mm, (0.99999994, 1.0, 1.0)), wanted)


@given(seed=seeds, mm=st.floats(0.1, 8))
@settings(max_examples=10)
def test_rim_is_measured_in_mm_on_an_anisotropic_grid(seed: int, mm: float) -> None:
    spacing = (0.9, 1.3, 5.5)
    brain = blobs(seed, (9, 8, 7), 0.8, 1.5)
    outside = np.argwhere(~np.pad(brain, 1)) - 1
    wanted = np.zeros_like(brain)
    for voxel in np.argwhere(brain):
        wanted[tuple(voxel)] = (np.abs(outside - voxel) * spacing).sum(axis=1).min() > mm + 1e-3 * 0.9
    np.testing.assert_array_equal(eroded(brain, mm, spacing), wanted)


def published_rule(flair: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The published FLAIR rule, written out: scores, brain, mask."""
    brain = flair != 0
    values = flair[brain]
    median = np.median(values)
    z = (flair - median) / (1.4826 * np.median(np.abs(values - median)))
    scores = ndimage.gaussian_filter(np.where(brain, z, -5).astype(np.float32), 1.5)
    inner = ndimage.binary_erosion(ndimage.binary_fill_holes(brain), iterations=3)
    labels, count = ndimage.label((scores > 1.5) & inner)
    mask = labels == 1 + np.argmax(ndimage.sum_labels(np.ones(labels.shape), labels, range(1, count + 1)))
    return scores, brain, mask


@pytest.mark.real
@pytest.mark.parametrize("case", ["BraTS2021_00006", "BraTS2021_01660"])
def test_the_published_flair_rule_is_reproduced_bit_for_bit(shared_data: object, case: str) -> None:
    image = nib.load(f"{shared_data}/patients/{case}/{case}_flair.nii.gz")  # type: ignore[attr-defined]
    scores, brain, wanted = published_rule(np.asarray(image.dataobj, dtype=np.float32))
    spacing = tuple(float(s) for s in image.header.get_zooms())
    around = RefineContext(scores=scores, brain=brain, spacing_mm=spacing)  # type: ignore[arg-type]
    chain = refine.parse_chain("eroded-brain:3 + components:6,keep=largest")
    # The rule fills the brain's holes, so that a bright hole counts: the mask is not cut to the brain before.
    np.testing.assert_array_equal(refine.refine(scores > 1.5, chain, around), wanted)


def test_the_published_flair_rule_is_reproduced_on_a_made_head() -> None:
    generator = np.random.default_rng(4)
    grid = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) for n in (48, 56, 44)), indexing="ij"))
    head = (grid**2).sum(axis=0) < 0.8
    flair = np.where(head, 100 + 10 * ndimage.gaussian_filter(generator.normal(size=head.shape), 1) * 5, 0)
    flair[20:34, 24:36, 18:30] += 60 * head[20:34, 24:36, 18:30]
    flair[10:12, 20:22, 20:22] = 0  # a hole in the brain
    scores, brain, wanted = published_rule(flair.astype(np.float32))
    chain = (ErodedBrain(mm=3), KeepComponents(connectivity=6, keep="largest"))
    result = refine.refine(scores > 1.5, chain, RefineContext(scores, brain, (1.0, 1.0, 1.0)))
    assert wanted.sum() > 1000
    np.testing.assert_array_equal(result, wanted)


# ---- holes, median, morphology


@given(seed=seeds)
@settings(max_examples=20)
def test_filling_equals_scipy(seed: int) -> None:
    mask = blobs(seed, share=0.6, width=0.8)
    np.testing.assert_array_equal(fill_holes(mask), ndimage.binary_fill_holes(mask))
    slices = np.stack([ndimage.binary_fill_holes(mask[:, :, k]) for k in range(mask.shape[2])], axis=2)
    np.testing.assert_array_equal(fill_holes(mask, axial=True), slices)


def test_a_large_cavity_stays_open_and_a_ventricle_is_not_filled_outside_the_brain() -> None:
    mask = np.zeros(SHAPE, bool)
    mask[1:11, 1:11, 1:11] = True
    mask[2:6, 2:6, 2:6] = False  # 0.064 ml
    mask[8, 8, 8] = False
    result = FillHoles(max_ml=0.01).apply(mask, context())
    assert result[8, 8, 8]
    assert not result[3, 3, 3]
    assert FillHoles().apply(mask, context())[3, 3, 3]


@given(seed=seeds, size=st.sampled_from([1, 3, 5]), axial=st.booleans())
@settings(max_examples=15)
def test_median_equals_scipy(seed: int, size: int, axial: bool) -> None:
    mask = blobs(seed)
    window = (size, size, 1) if axial else size
    wanted = ndimage.median_filter(mask.astype(np.uint8), size=window, mode="constant").astype(bool)
    np.testing.assert_array_equal(Median(size=size, axial=axial).apply(mask, context()), wanted)


@given(seed=seeds, mm=st.floats(0.5, 4), operation=st.sampled_from(["opening", "closing", "erosion", "dilation"]))
@settings(max_examples=25)
def test_morphology_uses_a_ball_in_mm_on_an_anisotropic_grid(seed: int, mm: float, operation: str) -> None:
    spacing = (1.0, 1.5, 2.5)
    mask = blobs(seed, (10, 9, 8), 0.4, 1.2)
    reach = [int(mm / s) + 1 for s in spacing]
    offsets = np.stack(np.meshgrid(*(np.arange(-r, r + 1) for r in reach), indexing="ij"))
    ball = np.sqrt(sum((o * s) ** 2 for o, s in zip(offsets, spacing, strict=True))) <= mm * (1 + 1e-6)
    wide = np.pad(mask, 8)
    wanted = getattr(ndimage, f"binary_{operation}")(wide, ball)[8:-8, 8:-8, 8:-8]
    result = Morphology(operation=operation, mm=mm).apply(mask, context(mask.shape, spacing_mm=spacing))
    np.testing.assert_array_equal(result, wanted)


# ---- what healthy scans say about size


def test_a_minimum_volume_from_healthy_scans_silences_the_next_healthy_person() -> None:
    masks = []
    for size in (3, 1, 4, 2):
        mask = np.zeros(SHAPE, bool)
        mask[1 : 1 + size, 1, 1] = True
        mask[8, 8, 8] = True
        masks.append((mask, 0.001))
    minimum = refine.healthy_min_ml(masks, alpha=0.2)
    assert minimum == pytest.approx(0.005)
    assert not any(KeepComponents(min_ml=minimum).apply(m, context()).any() for m, _ in masks)
    assert refine.healthy_min_ml(masks, alpha=0.5) == pytest.approx(0.004)
    empty = [(np.zeros(SHAPE, bool), 0.001)] * 4
    assert refine.healthy_min_ml(empty, alpha=0.2) == pytest.approx(0.001)
    with pytest.raises(InputError, match="at least 9 healthy scans: 4 were given"):
        refine.healthy_min_ml(masks, alpha=0.1)


def test_a_mask_on_another_grid_is_refused() -> None:
    with pytest.raises(InputError, match="shape"):
        refine.refine(np.zeros((2, 2, 2), bool), [FillHoles()], context())
