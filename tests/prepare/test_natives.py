"""Masks come back onto any grid with their volume and their place."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from annofree.formats.carried import carried_mask, carried_scores
from annofree.scan import Grid

millimetres = st.floats(-6, 6)
degrees = st.floats(-25, 25)


def rotation(x: float, y: float, z: float) -> np.ndarray:
    matrix = np.eye(3)
    for axis, angle in enumerate(np.deg2rad((x, y, z))):
        turn = np.eye(3)
        i, j = [(1, 2), (0, 2), (0, 1)][axis]
        turn[i, i] = turn[j, j] = np.cos(angle)
        turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
        matrix = matrix @ turn
    return matrix


def oblique(extent_mm: float, spacing_mm: tuple[float, ...], angles: tuple[float, ...], flips: tuple[int, ...]) -> Grid:
    shape = tuple(int(np.ceil(extent_mm / spacing)) for spacing in spacing_mm)
    affine = np.eye(4)
    affine[:3, :3] = rotation(*angles) * np.asarray(spacing_mm) * np.asarray(flips)
    affine[:3, 3] = -affine[:3, :3] @ ((np.asarray(shape) - 1) / 2)
    return Grid(shape, affine)  # type: ignore[arg-type]


def ball(grid: Grid, centre: np.ndarray, radii: tuple[float, float, float]) -> np.ndarray:
    points = np.indices(grid.shape).reshape(3, -1).T @ grid.affine[:3, :3].T + grid.affine[:3, 3] - centre
    return (((points / radii) ** 2).sum(axis=1) < 1).reshape(grid.shape)


def centre_mm(mask: np.ndarray, grid: Grid) -> np.ndarray:
    return np.argwhere(mask).mean(axis=0) @ grid.affine[:3, :3].T + grid.affine[:3, 3]


@settings(max_examples=12)
@given(
    angles=st.tuples(degrees, degrees, degrees),
    flips=st.tuples(*[st.sampled_from((-1, 1))] * 3),
    thick=st.sampled_from((1.0, 2.0, 4.0, 6.0)),
    shift=st.tuples(millimetres, millimetres, millimetres),
    nod=degrees,
)
def test_volume_within_one_percent_and_place_within_half_a_voxel(
    angles: tuple[float, ...], flips: tuple[int, ...], thick: float, shift: tuple[float, ...], nod: float
) -> None:
    own = oblique(110, (1.0, 1.0, 1.5), (0, 0, 0), (1, 1, 1))
    there = oblique(150, (0.9, 1.1, thick), angles, flips)
    movement = np.eye(4)
    movement[:3, :3], movement[:3, 3] = rotation(nod, 0, 0), shift
    mask = ball(own, np.array([3.0, -4.0, 2.0]), (26, 31, 24))
    found = carried_mask(mask, own, there, movement)
    before, after = mask.sum() * own.voxel_ml, found.sum() * there.voxel_ml
    assert abs(after / before - 1) < 0.01
    expected = movement[:3, :3] @ centre_mm(mask, own) + movement[:3, 3]
    off = np.linalg.inv(there.affine[:3, :3]) @ (centre_mm(found, there) - expected)
    assert np.abs(off).max() < 0.5


def test_a_partial_field_keeps_what_lies_inside_it() -> None:
    own = oblique(110, (1.0, 1.0, 1.0), (0, 0, 0), (1, 1, 1))
    whole = oblique(110, (1.0, 1.0, 1.0), (0, 0, 0), (1, 1, 1))
    half = Grid((110, 110, 55), whole.affine)
    mask = ball(own, np.zeros(3), (30, 30, 30))
    assert np.array_equal(carried_mask(mask, own, half, np.eye(4)), mask[:, :, :55])


def test_scores_are_averaged_not_sampled() -> None:
    own = oblique(16, (1.0, 1.0, 1.0), (0, 0, 0), (1, 1, 1))
    there = oblique(16, (1.0, 1.0, 4.0), (0, 0, 0), (1, 1, 1))
    values = np.zeros(own.shape, np.float32)
    values[:, :, 4:8] = np.array([0.0, 0.4, 0.8, 1.2], np.float32)
    found = carried_scores(values, own, there, np.eye(4))
    assert np.allclose(found[4:12, 4:12, 1], 0.6, atol=1e-5)


def test_a_thin_mask_on_thick_slices_keeps_its_volume() -> None:
    own = oblique(80, (1.0, 1.0, 1.0), (0, 0, 0), (1, 1, 1))
    there = oblique(90, (0.9, 0.9, 5.5), (4, 7, 0), (1, 1, 1))
    mask = ball(own, np.zeros(3), (22, 26, 20)) & ~ball(own, np.zeros(3), (19, 23, 17))  # a rim of 3 mm
    found = carried_mask(mask, own, there, np.eye(4))
    assert abs(found.sum() * there.voxel_ml / (mask.sum() * own.voxel_ml) - 1) < 0.01
