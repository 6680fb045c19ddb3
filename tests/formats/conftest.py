"""Made heads: small, quick, and known to the voxel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

SHAPE = (40, 48, 42)
SPACING = 4.5
AFFINE = np.array([[-SPACING, 0, 0, 90], [0, -SPACING, 0, 108], [0, 0, SPACING, -95], [0, 0, 0, 1]])


def ellipsoid(shape: tuple[int, ...], radii_mm: tuple[float, float, float], spacing: float) -> NDArray[np.bool_]:
    axes = [(np.arange(n) - (n - 1) / 2) * spacing / r for n, r in zip(shape, radii_mm, strict=True)]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    return np.asarray(x**2 + y**2 + z**2 < 1)


def brain_image(seed: int = 0, shape: tuple[int, int, int] = SHAPE, spacing: float = SPACING) -> NDArray[np.float32]:
    """A stripped brain of 1.3 litres: grey levels around 300 with texture, 0 around it."""
    rng = np.random.default_rng(seed)
    brain = ellipsoid(shape, (66, 80, 58), spacing)
    return np.where(brain, rng.normal(300, 25, shape), 0).astype(np.float32)


def head_image(seed: int = 0) -> NDArray[np.float32]:
    """A whole head of 3.6 litres in noisy air."""
    rng = np.random.default_rng(seed)
    head = ellipsoid(SHAPE, (82, 100, 88), SPACING)
    air = np.abs(rng.normal(0, 6, SHAPE))
    return np.round(np.where(head, rng.normal(200, 60, SHAPE), air)).astype(np.float32)


def save(path: Path, array: Any, affine: Any = AFFINE, **header: Any) -> Path:
    import nibabel as nib

    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(np.asarray(array), np.asarray(affine, dtype=float))
    for key, value in header.items():
        image.header[key] = value
    nib.save(image, path)
    return path


def save_patient(folder: Path, *names: str) -> Path:
    for seed, name in enumerate(names):
        save(folder / name, brain_image(seed).astype(np.int16))
    return folder


@pytest.fixture
def patient(tmp_path: Path) -> Path:
    """A BraTS folder with four sequences and a label map."""
    names = [f"BraTS2021_00042_{word}.nii.gz" for word in ("t1", "t1ce", "t2", "flair")]
    folder = save_patient(tmp_path / "patients" / "BraTS2021_00042", *names)
    labels = np.zeros(SHAPE, np.uint8)
    labels[10:20, 20:30, 20:26], labels[12:16, 22:26, 21:24], labels[13, 23, 22] = 2, 1, 4
    save(folder / "BraTS2021_00042_seg.nii.gz", labels)
    return folder
