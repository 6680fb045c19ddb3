"""The unit of an image, a constant added to it, and a handful of extreme voxels say nothing about a tumour."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from annofree import methods
from annofree.formats.study import Study
from annofree.intensity import robust_level
from annofree.phantom import phantom_subject
from annofree.prepare.recipe import as_scan
from annofree.prepare.work import Work
from annofree.scan import Grid, Modality, Scan

Image = NDArray[np.float32]


def tiny(image: Image) -> Image:
    return image * np.float32(1e-7 / image.max())


def raised(image: Image) -> Image:
    return image + np.float32(500.0)


def with_spikes(image: Image) -> Image:
    spiked = image.copy()
    inside = np.argwhere(image > np.median(image[image > 0]))
    spiked[tuple(inside[:: len(inside) // 5][:5].T)] = 1e4 * image.max()
    return spiked


@pytest.fixture(scope="module")
def scan() -> Scan:
    return phantom_subject(seed=5, kind="glioblastoma", spacing_mm=2.0).scan


@pytest.fixture(scope="module")
def found(scan: Scan) -> Callable[[str], NDArray[np.bool_]]:
    """What a method finds in the scan as it is, asked once."""
    return cache(lambda name: methods.shipped(name).segment(scan.replace(brain=scan.foreground())).labels > 0)


@pytest.fixture(scope="module")
def finer() -> Scan:
    """A scan that every method resamples."""
    return phantom_subject(seed=5, kind="glioblastoma", spacing_mm=1.9).scan


@pytest.mark.parametrize("name", ["intensity", "dae", "weak-to-strong", "mvit-ae"])
@pytest.mark.parametrize(("change", "least_dice"), [(tiny, 1.0), (raised, 1.0), (with_spikes, 0.99)])
def test_the_answer_does_not_move(
    scan: Scan,
    found: Callable[[str], NDArray[np.bool_]],
    name: str,
    change: Callable[[Image], Image],
    least_dice: float,
) -> None:
    before = found(name)
    images = {sequence: change(np.asarray(image)) for sequence, image in scan.images.items()}
    after = methods.shipped(name).segment(scan.replace(images=images, brain=scan.foreground())).labels > 0
    assert before.sum() > 1000
    assert 2 * (before & after).sum() / (before.sum() + after.sum()) >= least_dice


@pytest.mark.parametrize("name", ["synthtumour", "intensity", "dae", "weak-to-strong", "mvit-ae", "atlas-z"])
def test_a_brain_scaled_to_mean_0_on_a_background_of_0_gives_the_same_answer(finer: Scan, name: str) -> None:
    brain, method = finer.foreground(), methods.shipped(name)

    def scaled(image: Image) -> Image:
        inside = image[brain]
        return np.where(brain, (image - inside.mean()) / inside.std(), np.float32(0.0))

    before = method.segment(finer).labels > 0
    images = {sequence: scaled(np.asarray(image)) for sequence, image in finer.images.items()}
    after = method.segment(finer.replace(images=images, brain=brain)).labels > 0
    assert before.sum() > 1000
    assert 2 * (before & after).sum() / (before.sum() + after.sum()) >= 0.99


@pytest.mark.parametrize(("lifted", "outside"), [(0.0, 0.0), (500.0, 500.0), (-700.0, -700.0)])
def test_what_lies_outside_the_brain_of_a_head_becomes_air(lifted: float, outside: float) -> None:
    head = np.zeros((20, 20, 20), np.float32)
    head[4:16, 4:16, 4:16] = 300.0
    brain = np.zeros(head.shape, bool)
    brain[6:14, 6:14, 6:14] = True
    grid = Grid(head.shape, np.eye(4))
    study = Study("p", {Modality.T1: head + lifted}, {Modality.T1: grid}, {Modality.T1: grid}, {}, brain)
    scan = as_scan(replace(Work.begin(study, Modality.T1), brain=brain))
    assert np.unique(scan.images[Modality.T1][~brain]) == outside
    assert np.unique(scan.images[Modality.T1][brain]) == 300.0 + lifted


@given(
    st.integers(0, 10**6),
    st.floats(1e-9, 1e9),
    st.floats(-1e3, 1e3),
)
def test_the_robust_scale_follows_unit_and_constant_and_no_extreme(seed: int, unit: float, constant: float) -> None:
    values = np.random.default_rng(seed).normal(100.0, 15.0, 4001)
    middle, spread = robust_level(values)
    assert middle == pytest.approx(100.0, abs=2.0)
    assert spread == pytest.approx(15.0, rel=0.1)
    moved = robust_level((values + constant) * unit)
    assert moved == pytest.approx(((middle + constant) * unit, spread * unit), rel=1e-6)
    values[:5] = 1e12
    assert robust_level(values) == pytest.approx((middle, spread), rel=0.01)


def test_where_most_values_are_equal_the_wider_spread_counts() -> None:
    values = np.zeros(1000)
    values[:300] = np.linspace(1.0, 2.0, 300)
    values[0] = 1e9
    middle, spread = robust_level(values)
    assert middle == 0.0
    assert 0.3 < spread < 0.7  # 95th percentile over the width of a normal distribution's middle 90 %
    assert robust_level(np.full(10, 7.0)) == (7.0, 1.0)
