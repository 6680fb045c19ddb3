"""However a file stores its axes, the scan is RAS+ and the answer goes back to the voxel it came from."""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annofree.formats import open_scan

ORDERS = list(product(permutations(range(3)), product((1, -1), repeat=3)))


def image_with(directions: np.ndarray, origin: tuple[float, float, float], seed: int) -> nib.Nifti1Image:
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = directions, origin
    array = np.random.default_rng(seed).integers(0, 2000, (4, 5, 6)).astype(np.float32)
    return nib.Nifti1Image(array, affine)


def check_round_trip(image: nib.Nifti1Image) -> None:
    scan = open_scan(image, sequence="T1")
    array = scan.images["T1"]
    original = image.get_fdata(dtype=np.float32)
    assert np.array_equal(scan.to_native(array), original)
    assert array.flags.c_contiguous
    # Every voxel stays where it was in the world.
    for index in product((0, -1), repeat=3):
        canonical = [i % n for i, n in zip(index, scan.shape, strict=True)]
        world = scan.affine @ [*canonical, 1]
        back = np.linalg.solve(image.affine, world)[:3]
        assert np.abs(back - np.round(back)).max() < 1e-4
        assert original[tuple(np.round(back).astype(int))] == array[tuple(canonical)]
    # Closest canonical: among the 48 ways to lay out the axes none points more to the right, front and top.
    cosines = scan.affine[:3, :3] / np.asarray(scan.spacing_mm)
    best = max(sum(s * cosines[i, p] for i, (p, s) in enumerate(zip(p_, s_, strict=True))) for p_, s_ in ORDERS)
    assert np.trace(cosines) == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize(("order", "signs"), ORDERS)
def test_all_48_orders(order: tuple[int, ...], signs: tuple[int, ...]) -> None:
    directions = np.zeros((3, 3))
    for axis, (target, sign) in enumerate(zip(order, signs, strict=True)):
        directions[target, axis] = sign * (1.0, 1.5, 3.0)[axis]
    check_round_trip(image_with(directions, (-10, 20, 5), 1))


@settings(max_examples=120)
@given(
    angles=st.tuples(*[st.floats(-3.14, 3.14)] * 3),
    spacing=st.tuples(*[st.floats(0.3, 6)] * 3),
    origin=st.tuples(*[st.floats(-200, 200)] * 3),
    mirror=st.booleans(),
    seed=st.integers(0, 9),
)
def test_oblique(
    angles: tuple[float, float, float],
    spacing: tuple[float, float, float],
    origin: tuple[float, float, float],
    mirror: bool,
    seed: int,
) -> None:
    (a, b, c), turn = angles, np.eye(3)
    for axis, angle in enumerate((a, b, c)):
        i, j = [k for k in range(3) if k != axis]
        step = np.eye(3)
        step[i, i] = step[j, j] = np.cos(angle)
        step[i, j], step[j, i] = -np.sin(angle), np.sin(angle)
        turn = turn @ step
    directions = turn @ np.diag(spacing) @ np.diag([-1 if mirror else 1, 1, 1])
    check_round_trip(image_with(directions, origin, seed))


@pytest.mark.real
def test_one_real_head_in_all_its_orders(shared_data: Path) -> None:
    files = sorted((shared_data / "orientation").glob("*.nii.gz"))
    assert len(files) >= 47
    reference = None
    for path in files:
        native = nib.load(path)
        assert path.name.startswith("".join(nib.aff2axcodes(native.affine)))
        # The head has its skull; an ellipsoid under its top is no brain, and has the size and the place of one.
        canonical = nib.as_closest_canonical(native)
        head = np.asarray(canonical.dataobj, dtype=np.float32) > 40
        top = int(np.flatnonzero(head.sum(axis=(0, 1)) > 20).max())
        edges = np.asarray(canonical.header.get_zooms()[:3], dtype=float)
        middle = np.array([*(places.mean() for places in np.nonzero(head[:, :, top // 2 :])[:2]), top - 68 / edges[2]])
        away = (np.stack(np.indices(head.shape), axis=-1) - middle) * edges / np.array([58.0, 75, 55])
        mask = ((away**2).sum(axis=-1) < 1).astype(np.uint8)
        scan = open_scan(native, sequence="T1", brain_mask=mask)
        array = scan.images["T1"]
        reference = array if reference is None else reference
        assert np.abs(array - reference).max() < 0.5
        stored = np.asarray(native.dataobj, dtype=np.float32)
        assert np.array_equal(scan.to_native(array), np.where(scan.to_native(mask) > 0, stored, 0))
