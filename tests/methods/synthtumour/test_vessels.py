"""Choroid plexus and vessels inside a tumour are told by their like on the other side, and by what they go on to."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from annofree.methods.synthtumour.leak import mirrored, thin_parts, with_enhancement
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
    scan = brain_scan(spacing_mm)
    parts = thin_parts(RIM | PLEXUS, scan)
    assert [len(part) for part in parts] == [PLEXUS.sum()]
    np.testing.assert_array_equal(mirrored(parts, scan, scan, OPPOSITE), parts)


@pytest.mark.parametrize("like", [np.zeros(SHAPE, bool), OPPOSITE & box(slice(0, 60), slice(0, 41), slice(0, 60))])
def test_what_has_none_or_less_than_half_of_it_stays(like: NDArray[np.bool_]) -> None:
    scan = brain_scan()
    assert mirrored(thin_parts(RIM | PLEXUS, scan), scan, scan, like) == []
    more = OPPOSITE & box(slice(0, 60), slice(0, 45), slice(0, 60))  # 9 of 14 slices
    assert len(mirrored(thin_parts(RIM | PLEXUS, scan), scan, scan, more)) == 1


def test_the_largest_part_a_thick_one_and_a_speck_are_not_asked_about() -> None:
    scan = brain_scan()
    nodule = box(slice(36, 44), slice(20, 28), slice(20, 28))
    speck = box(slice(30, 32), slice(10, 12), slice(30, 32))
    assert thin_parts(RIM | nodule | speck, scan) == []
    assert thin_parts(PLEXUS, scan) == []


def test_of_thin_parts_the_largest_is_not_asked_about() -> None:
    smaller = PLEXUS[:, ::-1] & box(slice(0, 60), slice(12, 60), slice(0, 60))
    assert [len(part) for part in thin_parts(PLEXUS | smaller, brain_scan(1.5))] == [smaller.sum()]
    assert smaller.sum() < PLEXUS.sum()


@pytest.mark.parametrize(("along", "stays"), [(8, False), (2, True)])
def test_half_of_its_volume_is_asked_for_on_a_coarser_grid_too(along: int, stays: bool) -> None:
    scan = brain_scan()
    # voxels of 2 mm that begin half a fine voxel further, and cut at another place
    affine = np.array([[2.0, 0, 0, 10.5], [0, 2, 0, 0.5], [0, 0, 2, 0.5], [0, 0, 0, 1]])
    t1 = scan.images[Modality.T1].reshape(30, 2, 30, 2, 30, 2).mean(axis=(1, 3, 5))[5:]
    coarse = Scan("head", {Modality.T1: t1}, affine, brain=t1 > 0)
    like = OPPOSITE & box(slice(0, 60), slice(36, 36 + along), slice(0, 60))
    leaks = like.reshape(30, 2, 30, 2, 30, 2).max(axis=(1, 3, 5))[5:]
    assert (mirrored(thin_parts(RIM | PLEXUS, scan), scan, coarse, leaks) == []) is stays


@pytest.mark.parametrize("both_sides", [False, True])
def test_enhancement_with_its_like_outside_of_the_tumour_is_left_out_of_the_answer(both_sides: bool) -> None:
    scan, rng = brain_scan(), np.random.default_rng(1)
    assert scan.brain is not None
    shown = RIM | PLEXUS | OPPOSITE
    t1c = (scan.images[Modality.T1] + scan.brain * (5.0 * shown + rng.normal(0, 0.1, SHAPE))).astype(np.float32)
    scan = scan.replace(images={**scan.images, Modality.T1C: t1c})
    lesion = ndimage.binary_dilation(RIM | PLEXUS | (OPPOSITE & both_sides), iterations=2)
    odds = {region: np.where(lesion, 0.9, 0.0).astype(np.float32) for region in ("WT", "TC", "ET")}
    found = with_enhancement(odds, scan, scan, lesion)["ET"] > 0.5
    assert found[RIM].mean() > 0.95
    assert found[PLEXUS].mean() > 0.95 if both_sides else not found[PLEXUS].any()


INSIDE = box(slice(23, 25), slice(36, 40), slice(26, 34))
#: What goes on from it: 1.9 and 3.8 times its volume, and a lump.
SHORT = box(slice(23, 25), slice(40, 43), slice(20, 40))
LONG = box(slice(23, 25), slice(40, 46), slice(20, 40))
LUMP = box(slice(19, 29), slice(40, 46), slice(25, 35))


@pytest.mark.parametrize(("beyond", "stays"), [(SHORT, True), (LONG, False), (LUMP, True)])
def test_a_vessel_that_goes_on_outside_of_the_tumour_is_left_out_of_the_answer(
    beyond: NDArray[np.bool_], stays: bool
) -> None:
    scan, rng = brain_scan(1.5), np.random.default_rng(1)
    assert scan.brain is not None
    shown = RIM | INSIDE | beyond
    t1c = (scan.images[Modality.T1] + scan.brain * (5.0 * shown + rng.normal(0, 0.1, SHAPE))).astype(np.float32)
    scan = scan.replace(images={**scan.images, Modality.T1C: t1c})
    lesion = box(slice(8, 30), slice(16, 40), slice(16, 38))
    odds = {region: np.where(lesion, 0.9, 0.0).astype(np.float32) for region in ("WT", "TC", "ET")}
    found = with_enhancement(odds, scan, scan, lesion)["ET"] > 0.5
    assert found[RIM].mean() > 0.95
    assert found[INSIDE].mean() > 0.95 if stays else not found[INSIDE].any()
