"""A mask that is no brain mask gives litres of tumour: soft masks are cut at one half, and other things are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from annofree.errors import InputError
from annofree.formats import open_cohort, open_scan
from annofree.scan import Grid, Modality, Scan, to_canonical

from .conftest import AFFINE, SHAPE, SPACING, brain_image, ellipsoid, head_image, save

BRAIN = brain_image() > 0
LITRES = float(BRAIN.sum()) * SPACING**3 / 1e6


def litres(folder: Path, mask: Any, affine: Any = AFFINE, *, head: bool = True) -> tuple[float, tuple[str, ...]]:
    path = save(folder / "flair.nii.gz", head_image() if head else brain_image())
    scan = open_scan(path, brain_mask=save(folder / "masks" / "mask.nii.gz", mask, affine))
    assert scan.brain is not None
    return float(scan.brain.sum() * scan.voxel_ml / 1000), scan.notes


def softened(sigma: float = 1.2) -> NDArray[np.float32]:
    return np.asarray(ndimage.gaussian_filter(BRAIN.astype(np.float32), sigma))


SOFT = {
    "blurred": softened(),
    "much blurred": softened(2.0),
    "spline": np.clip(1.12 * softened() - 0.02, -0.02, 1.1).astype(np.float32),
    "ringing": np.where(softened() < 0.01, -0.02, np.where(softened() > 0.98, 1.05, softened())).astype(np.float32),
    "bytes": np.round(255 * softened()).astype(np.uint8),
    "percent": np.round(100 * softened()).astype(np.int16),
    "255 in floats": (255 * softened()).astype(np.float32),
    "unsure": (0.9 * softened() + 0.03).astype(np.float32),
}


@pytest.mark.parametrize("mask", SOFT.values(), ids=SOFT)
@pytest.mark.parametrize("head", [True, False])
def test_soft_masks_are_cut_at_one_half(tmp_path: Path, mask: NDArray[Any], head: bool) -> None:
    measured, notes = litres(tmp_path, mask, head=head)
    assert measured == pytest.approx(LITRES, rel=0.06)  # a convex shape shrinks as it is blurred
    assert any("mask was soft" in note for note in notes)


def labels(seed: int = 0) -> NDArray[np.int16]:
    regions = np.random.default_rng(seed).integers(1, 208, (8, 10, 9)).repeat(5, 0).repeat(5, 1).repeat(5, 2)
    return np.where(BRAIN, regions[: SHAPE[0], : SHAPE[1], : SHAPE[2]], 0).astype(np.int16)


HARD = {
    "binary": BRAIN.astype(np.uint8),
    "255": BRAIN.astype(np.uint8) * np.uint8(255),
    "floats": BRAIN.astype(np.float64),
    "labels": labels(),
    "labels in floats": labels().astype(np.float32),
    "three tissues": np.where(BRAIN, 1 + np.indices(SHAPE)[0] % 3, 0).astype(np.uint8),
    "minus one outside": np.where(BRAIN, 1, -1).astype(np.int16),
    "the stripped image": brain_image(),
    "specks": (BRAIN | (np.random.default_rng(0).random(SHAPE) < 1e-3)).astype(np.uint8),
}


@pytest.mark.parametrize("mask", HARD.values(), ids=HARD)
@pytest.mark.parametrize("head", [True, False])
def test_hard_masks_and_label_maps_are_taken_whole(tmp_path: Path, mask: NDArray[Any], head: bool) -> None:
    measured, notes = litres(tmp_path, mask, head=head)
    assert measured == pytest.approx(LITRES, rel=0.06)
    assert not any("mask was soft" in note for note in notes)
    assert any(note == "Brain mask: mask.nii.gz." for note in notes)


def moved(*voxels: int) -> NDArray[np.uint8]:
    return np.roll(BRAIN, voxels, axis=(0, 1, 2)).astype(np.uint8)


def sphere(radius_mm: float, at: tuple[int, int, int] = (20, 24, 21)) -> NDArray[np.uint8]:
    away = np.sqrt(((np.indices(SHAPE) - np.reshape(at, (3, 1, 1, 1))) ** 2).sum(axis=0)) * SPACING
    return (away < radius_mm).astype(np.uint8)


SHELL = (BRAIN & ~ndimage.binary_erosion(BRAIN, iterations=2)).astype(np.uint8)
WRONG = {
    "a tumour": (sphere(25), "ml"),
    "a large tumour": (sphere(40), "of the head|stripped"),
    "tumour probabilities": (sphere(25) * np.float32(0.93), "ml"),
    "inverted": ((~BRAIN).astype(np.uint8), "litres"),
    "inverted and soft": (1 - softened(), "litres"),
    "the whole head": ((head_image() > 40).astype(np.uint8), "litres|stripped"),
    "shifted to the side": (moved(7, 0, 0), "outside the head|beside the middle|stripped"),
    "shifted up": (moved(0, 0, 12), "outside the head|stripped"),
    "shifted down": (moved(0, 0, -13), "from the top|outside the head|stripped"),
    "one half": (np.where(np.indices(SHAPE)[0] < 20, BRAIN, 0).astype(np.uint8), "beside the middle|stripped"),
    "grey matter only": (SHELL, "outline|stripped"),
    "nothing": (np.zeros(SHAPE, np.uint8), "nothing"),
    "everything": (np.ones(SHAPE, np.uint8), "every voxel"),
    "pieces": ((np.indices(SHAPE).sum(axis=0) // 4 % 2 * BRAIN).astype(np.uint8), "pieces|outline|stripped"),
}


@pytest.mark.parametrize(("mask", "words"), WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("head", [True, False])
def test_what_is_no_brain_is_refused_by_name(tmp_path: Path, mask: NDArray[Any], words: str, head: bool) -> None:
    with pytest.raises(InputError, match=rf"brain mask of scan.*mask\.nii\.gz.*({words})"):
        litres(tmp_path, mask, head=head)


@pytest.mark.parametrize("steps", [(0, 0, 4), (3, 3, 3), (0, 5, 0)])
def test_a_mask_that_lies_beside_a_stripped_brain_is_refused(tmp_path: Path, steps: tuple[int, int, int]) -> None:
    """Cut or padded without its origin: it still shares three quarters of the brain, and neither holds the other."""
    with pytest.raises(InputError, match=r"mask\.nii\.gz.*of it lies inside that brain; it looks shifted or turned"):
        litres(tmp_path, moved(*steps), head=False)


@pytest.mark.parametrize("change", [ndimage.binary_erosion, ndimage.binary_dilation])
def test_a_tight_or_loose_mask_of_a_stripped_brain_is_taken(tmp_path: Path, change: Any) -> None:
    mask = change(BRAIN, iterations=1)
    assert litres(tmp_path, mask.astype(np.uint8), head=False)[0] == pytest.approx(mask.sum() * SPACING**3 / 1e6)


def test_a_mask_of_another_place_is_refused(tmp_path: Path) -> None:
    away = AFFINE.copy()
    away[:3, 3] += 150
    with pytest.raises(InputError, match=r"mask\.nii\.gz.*lies outside the images"):
        litres(tmp_path, BRAIN.astype(np.uint8), away)


@pytest.mark.parametrize("factor", [0.5, 1 / 3, 2.0, 1.37])
def test_a_mask_keeps_its_volume_across_grids(factor: float) -> None:
    from annofree.formats.brain_mask import _carried

    fine = ellipsoid((90, 100, 90), (66, 80, 58), 2.0)
    own = Grid(fine.shape, np.diag([2.0, 2, 2, 1]))  # type: ignore[arg-type]
    shape = tuple(int(np.ceil(n / factor)) for n in fine.shape)
    affine = np.diag([2 * factor, 2 * factor, 2 * factor, 1])
    affine[:3, 3] = factor - 1
    carried = _carried(fine, own, Grid(shape, affine), "p", Path("m"))  # type: ignore[arg-type]
    assert carried.sum() * factor**3 == pytest.approx(fine.sum(), rel=0.01)


def test_a_found_mask_is_checked_too(tmp_path: Path) -> None:
    save(tmp_path / "p" / "flair.nii.gz", head_image())
    save(tmp_path / "p" / "flair_brainmask.nii.gz", sphere(25))
    with pytest.raises(InputError, match=r"flair_brainmask\.nii\.gz.*ml"):
        open_cohort(tmp_path)["p"]


def test_masks_in_memory_are_checked_too(tmp_path: Path) -> None:
    path = save(tmp_path / "flair.nii.gz", head_image())
    assert open_scan(path, brain_mask=BRAIN[::-1, ::-1]).brain is not None
    with pytest.raises(InputError, match="ml"):
        open_scan(path, brain_mask=sphere(25) > 0)


def test_an_array_of_any_plain_numbers_is_a_brain_mask_and_no_other() -> None:
    head, brain = nib.Nifti1Image(head_image(), AFFINE), ellipsoid(SHAPE, (66, 80, 58), SPACING)
    inside = to_canonical(brain, Grid(SHAPE, AFFINE))
    for mask in (inside, inside * 255, inside.astype(np.uint8) * 255, inside * 65535.0):
        scan = open_scan(head, sequence="FLAIR", brain_mask=mask)
        np.testing.assert_array_equal(scan.brain, inside)
    for other in (inside * 1j, inside.astype(str)):
        with pytest.raises(InputError, match="holds no plain numbers but"):
            open_scan(head, sequence="FLAIR", brain_mask=other)


def test_a_cohort_takes_no_array_as_brain_mask(tmp_path: Path) -> None:
    save(tmp_path / "p1" / "flair.nii.gz", brain_image())
    with pytest.raises(InputError, match="A ndarray is no brain mask"):
        open_cohort(tmp_path, brain_mask=np.ones(SHAPE, bool))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [complex, str])
def test_images_of_other_than_real_numbers_are_refused(kind: type) -> None:
    with pytest.raises(InputError, match="T1 of scan 'p1' holds"):
        Scan("p1", {Modality.T1: np.ones((2, 2, 2)).astype(kind)}, np.eye(4))
