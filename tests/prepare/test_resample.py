"""Networks see the scan at their spacing, and what they say comes back to the voxel it was about."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from annofree.errors import InputError
from annofree.prepare.resample import back, grid_at, resample, to_spacing
from annofree.scan import Grid, Modality, Scan


def smooth(shape: tuple[int, int, int], seed: int = 0) -> np.ndarray:
    return ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 2).astype(np.float32)


def oblique(seed: int, shear: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    affine = np.eye(4)
    affine[:3, :3] = turn @ (np.diag(rng.uniform(0.6, 3, 3)) + shear * np.triu(np.ones((3, 3)), 1))
    affine[:3, 3] = rng.uniform(-50, 50, 3)
    return affine


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), order=st.sampled_from([0, 1]), shear=st.sampled_from([0.0, 0.3]))
def test_agrees_with_scipy_on_any_affine(seed: int, order: int, shear: float) -> None:
    image = smooth((13, 11, 9), seed)
    from_grid = Grid(image.shape, oblique(seed, shear))
    step = np.eye(4)
    step[:3, :3] = np.diag([0.83, 1.21, 0.9])
    step[:3, 3] = (0.9, 1.7, 0.6)
    to_grid = Grid((12, 7, 8), from_grid.affine @ step)
    ours = resample(image, from_grid, to_grid, order)
    indices = np.linalg.inv(from_grid.affine) @ to_grid.affine
    theirs = ndimage.affine_transform(image, indices[:3, :3], indices[:3, 3], to_grid.shape, order=order, cval=np.nan)
    points = np.einsum("ij,jxyz->ixyz", indices[:3, :3], np.indices(to_grid.shape)) + indices[:3, 3].reshape(3, 1, 1, 1)
    limits = (np.array(image.shape) - 1).reshape(3, 1, 1, 1)
    ties = np.abs(points - np.floor(points) - 0.5) < 1e-3
    sure = ((points >= 0) & (points <= limits)).all(axis=0) & ~(ties.any(axis=0) & (order == 0))
    assert sure.sum() > 100
    assert np.abs(ours - theirs)[sure].max() < 1e-4


def test_outside_takes_the_value_given_and_types_are_kept() -> None:
    grid = Grid((6, 6, 6), np.eye(4))
    shifted = np.eye(4)
    shifted[0, 3] = 4
    labels = np.full((6, 6, 6), 3, np.uint8)
    result = resample(labels, grid, Grid((6, 6, 6), shifted), 0, outside=1)
    assert result.dtype == np.uint8
    assert (result[:2] == 3).all()
    assert (result[2:] == 1).all()
    assert resample(labels > 0, grid, Grid((6, 6, 6), shifted), 0).dtype == bool


def test_bad_arguments_are_named() -> None:
    grid = Grid((6, 6, 6), np.eye(4))
    with pytest.raises(InputError, match="order 2"):
        resample(np.zeros((6, 6, 6)), grid, grid, 2)
    with pytest.raises(InputError, match=r"\(5, 6, 6\)"):
        resample(np.zeros((5, 6, 6)), grid, grid, 1)
    with pytest.raises(InputError, match="0 mm"):
        grid_at(grid, 0)


@settings(max_examples=40)
@given(seed=st.integers(0, 1000), spacing=st.floats(0.7, 4))
def test_a_new_grid_covers_the_old_field_of_view_around_the_same_centre(seed: int, spacing: float) -> None:
    old = Grid((21, 34, 17), oblique(seed))
    new = grid_at(old, spacing)
    assert np.allclose(new.spacing_mm, spacing)
    centres = [g.affine @ [*(np.asarray(g.shape) - 1) / 2, 1] for g in (old, new)]
    assert np.allclose(*centres)
    extent = [np.asarray(g.shape) * g.spacing_mm for g in (old, new)]
    assert (extent[1] >= extent[0] - 0.0101 * spacing).all()
    assert (extent[1] <= extent[0] + spacing).all()


def test_there_and_back() -> None:
    image = smooth((40, 44, 36))
    scan = Scan("s", {Modality.FLAIR: image}, np.diag([1.0, 1, 1, 1]), brain=image > 0)
    coarse = to_spacing(scan, 2.0)
    assert coarse.shape == (20, 22, 18)
    assert coarse.brain is not None
    assert coarse.native is scan.native
    assert "Resampled linearly to 2 x 2 x 2 mm." in coarse.notes
    # Two to one with centres between voxels is the mean of eight.
    mean = image.reshape(20, 2, 22, 2, 18, 2).mean(axis=(1, 3, 5))
    assert np.abs(coarse.images[Modality.FLAIR] - mean).max() < 1e-5
    returned = back(coarse.images[Modality.FLAIR], coarse, scan)
    assert returned.shape == image.shape
    assert np.corrcoef(returned.ravel(), image.ravel())[0, 1] > 0.98
    blob = np.zeros(scan.shape, np.uint8)
    blob[10:30, 12:32, 8:28] = 2
    there = resample(blob, scan.grid, coarse.grid, 0)
    assert np.array_equal(back(there, coarse, scan, order=0), blob)


def test_the_same_spacing_changes_nothing() -> None:
    scan = Scan("s", {Modality.T1: smooth((9, 9, 9))}, np.eye(4))
    assert to_spacing(scan, 1.0) is scan


def test_thick_slices_keep_their_value_to_both_ends() -> None:
    """What lies past the middle of the last slice belongs to it and is no air."""
    image = np.full((8, 8, 10), 100, np.float32)
    fine = to_spacing(Scan("s", {Modality.T1: image}, np.diag([1.0, 1, 5, 1]), brain=image > 0), 1.0)
    assert fine.shape == (8, 8, 50)
    assert np.allclose(fine.images[Modality.T1], 100)
    assert fine.brain is not None
    assert fine.brain.all()


def test_strong_coarsening_does_not_alias() -> None:
    stripes = np.zeros((48, 12, 12), np.float32)
    stripes[::2] = 1
    scan = Scan("s", {Modality.T1: stripes}, np.eye(4))
    coarse = to_spacing(scan, (5.0, 1.0, 1.0)).images[Modality.T1]
    assert np.abs(coarse[2:-2] - 0.5).max() < 0.05
