"""The mirror: a tilted head, a lesion, any voxel size; and honest answers for brains that are not there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annofree.anatomy.symmetry import MidsagittalPlane, midsagittal_plane, mirrored
from annofree.errors import InputError


def tilted_brain(yaw_deg, roll_deg, shift_mm=0.0, shape=(50, 60, 46), spacing=(4.0, 4.0, 4.0), lesion=False):
    """A mirror-symmetric made brain about a known plane: ventricles, a gradient front to back, a dark cerebellum."""
    yaw, roll = np.deg2rad([yaw_deg, roll_deg])
    normal = np.array([np.cos(yaw) * np.cos(roll), np.sin(yaw) * np.cos(roll), np.sin(roll)])
    right, spacing = normal, np.asarray(spacing)
    up = np.array([0.0, 0.0, 1.0]) - normal[2] * normal
    up /= np.linalg.norm(up)
    front = np.cross(up, right)
    centre = (np.asarray(shape) - 1) / 2 * spacing + shift_mm * normal
    points = np.stack(np.meshgrid(*(np.arange(n) * s for n, s in zip(shape, spacing, strict=True)), indexing="ij"), -1)
    x, y, z = (((points - centre) @ axis) for axis in (right, front, up))
    brain = (x / 66) ** 2 + (y / 84) ** 2 + (z / 60) ** 2 < 1
    image = 100 + 0.2 * y + 10 * np.cos(x / 9) * np.cos(y / 11)
    image[((abs(x) - 12) / 7) ** 2 + (y / 35) ** 2 + (z / 14) ** 2 < 1] = 40
    image[(x / 45) ** 2 + ((y + 45) / 28) ** 2 + ((z + 32) / 22) ** 2 < 1] = 80
    if lesion:
        image[((x - 30) / 22) ** 2 + ((y - 10) / 25) ** 2 + ((z - 10) / 22) ** 2 < 1] = 220
    return np.where(brain, image, 0).astype(np.float32)[None], brain, normal


@pytest.mark.parametrize("lesion", [False, True])
@pytest.mark.parametrize(("yaw", "roll", "shift"), [(0, 0, 0), (15, -8, 9), (-20, 12, -6)])
def test_plane_of_a_tilted_head_is_found_and_a_tumour_does_not_pull_it(yaw, roll, shift, lesion):
    images, brain, normal = tilted_brain(yaw, roll, shift, lesion=lesion)
    plane = midsagittal_plane(images, brain, (4.0, 4.0, 4.0))
    angle = np.rad2deg(np.arccos(np.clip(normal @ plane.normal, -1, 1)))
    assert angle < 1.5
    centre = (np.asarray(brain.shape) - 1) * 2.0 + shift * normal
    assert abs(centre @ np.asarray(plane.normal) - plane.offset_mm) < 1.5


def test_voxel_size_does_not_move_the_plane():
    fine, brain, _ = tilted_brain(8, 4, 3, shape=(100, 60, 92), spacing=(2.0, 4.0, 2.0))
    coarse, small, _ = tilted_brain(8, 4, 3)
    a = midsagittal_plane(fine, brain, (2.0, 4.0, 2.0))
    b = midsagittal_plane(coarse, small, (4.0, 4.0, 4.0))
    assert np.rad2deg(np.arccos(np.clip(np.dot(a.normal, b.normal), -1, 1))) < 1.5


def test_mirrored_lesion_lies_on_the_other_side_at_the_same_height():
    images, brain, _ = tilted_brain(10, 5, lesion=True)
    there, plane = mirrored(images, brain, (4.0, 4.0, 4.0))
    distance = np.tensordot(plane.normal, 4.0 * np.indices(brain.shape), axes=1) - plane.offset_mm
    assert distance[images[0] > 160].mean() > 20
    assert distance[there[0] > 160].mean() < -20
    assert (there[0] > 160).sum() == pytest.approx((images[0] > 160).sum(), rel=0.1)
    assert not there[0][~brain].any()


def test_two_runs_give_the_same_plane():
    images, brain, _ = tilted_brain(7, -3, lesion=True)
    spacing = (4.0, 4.0, 4.0)
    assert midsagittal_plane(images, brain, spacing) == midsagittal_plane(images.copy(), brain.copy(), spacing)


@given(
    st.floats(-0.4, 0.4),
    st.floats(-0.4, 0.4),
    st.floats(0, 90),
    st.tuples(*[st.floats(0.5, 6.0)] * 3),
)
def test_reflecting_twice_is_doing_nothing(yaw, roll, offset, spacing):
    normal = (np.cos(yaw) * np.cos(roll), np.sin(yaw) * np.cos(roll), np.sin(roll))
    matrix = MidsagittalPlane(normal, offset, 1.0).reflection(spacing)
    np.testing.assert_allclose(matrix @ matrix, np.eye(4), atol=1e-9)


def test_empty_brain_gives_the_middle_of_the_array_and_says_that_it_means_nothing():
    images, brain = np.zeros((2, 9, 5, 5), np.float32), np.zeros((9, 5, 5), bool)
    there, plane = mirrored(images, brain, (1.0, 1.0, 1.0))
    assert (plane.normal, plane.offset_mm, plane.similarity) == ((1.0, 0.0, 0.0), 4.0, 0.0)
    assert not there.any()


def test_mask_of_another_shape_is_refused():
    with pytest.raises(InputError, match=r"\(C, X, Y, Z\)"):
        midsagittal_plane(np.zeros((1, 9, 5, 5), np.float32), np.zeros((9, 5, 6), bool), (1.0, 1.0, 1.0))


@pytest.mark.filterwarnings("error")
def test_a_film_of_brain_has_the_plane_of_its_array() -> None:
    film = np.random.default_rng(0).random((40, 1, 40)).astype(np.float32)
    plane = midsagittal_plane(film[None], np.ones(film.shape, bool), (1.0, 1.0, 1.0))
    assert (plane.normal, plane.offset_mm, plane.similarity) == ((1.0, 0.0, 0.0), 19.5, 0.0)
