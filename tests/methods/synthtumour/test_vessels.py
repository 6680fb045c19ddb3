"""Choroid plexus and vessels inside a tumour are told by their like on the other side."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from annofree.methods.synthtumour.vessels import thin_parts, without_vessels
from annofree.scan import Modality, Scan

SHAPE = (60, 60, 60)


def box(x: slice, y: slice, z: slice) -> NDArray[np.bool_]:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[x, y, z] = True
    return mask


RIM = box(slice(12, 22), slice(20, 30), slice(20, 30))
PLEXUS = box(slice(23, 25), slice(36, 50), slice(27, 31))
OPPOSITE = PLEXUS[::-1]


def brain_scan(spacing_mm: float = 1.0) -> Scan:
    """A brain that is symmetric but for noise."""
    brain = ((np.indices(SHAPE) - 29.5) ** 2).sum(axis=0) < 28**2
    tissue = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=SHAPE), 3.0)
    t1 = (brain * (1.0 + 3.0 * (tissue + tissue[::-1]))).astype(np.float32)
    affine = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    return Scan("head", {Modality.T1: t1}, affine, brain=brain)


@pytest.mark.parametrize("spacing_mm", [1.0, 1.5])
def test_what_has_its_like_on_the_other_side_is_no_tumour(spacing_mm: float) -> None:
    scan, enhancing = brain_scan(spacing_mm), np.where(RIM | PLEXUS, 0.9, 0.0).astype(np.float32)
    parts = thin_parts(enhancing > 0.5, scan)
    assert [len(part) for part in parts] == [PLEXUS.sum()]
    kept = without_vessels(enhancing, parts, scan, scan, OPPOSITE)
    np.testing.assert_array_equal(kept > 0.5, RIM)
    assert enhancing[PLEXUS].all()  # the score that was given is as it was


@pytest.mark.parametrize("like", [np.zeros(SHAPE, bool), OPPOSITE & box(slice(0, 60), slice(0, 41), slice(0, 60))])
def test_what_has_none_or_less_than_half_of_it_stays(like: NDArray[np.bool_]) -> None:
    scan, enhancing = brain_scan(), np.where(RIM | PLEXUS, 0.9, 0.0).astype(np.float32)
    kept = without_vessels(enhancing, thin_parts(enhancing > 0.5, scan), scan, scan, like)
    np.testing.assert_array_equal(kept, enhancing)


def test_the_largest_part_a_thick_one_and_a_speck_are_not_asked_about() -> None:
    scan = brain_scan()
    nodule = box(slice(36, 44), slice(20, 28), slice(20, 28))
    speck = box(slice(30, 32), slice(10, 12), slice(30, 32))
    assert thin_parts(RIM | nodule | speck, scan) == []
    assert thin_parts(PLEXUS, scan) == []
