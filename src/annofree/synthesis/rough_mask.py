"""Rough masks of made tumours, as methods draw them: what the promptable refiner learns to put right."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from annofree.masks import Mask, components

Floats = NDArray[np.floating[Any]]

_FLAIR, _T2, _T1C = 3, 2, 1
#: How often each kind of fault is drawn.
FAULTS = {"surface": 0.35, "blur": 0.1, "part": 0.2, "bright": 0.35}


def rough_mask(
    labels: NDArray[np.uint8],
    values: Floats,
    brain: Mask,
    present: Mask,
    spacing_mm: float,
    rng: np.random.Generator,
) -> tuple[Mask, NDArray[np.float32]]:
    """A faulty mask of the whole tumour and the score that it could have been cut from.

    Labels (X, Y, Z) are 0..3 and may hold no tumour at all; values (4, X, Y, Z) are in units of healthy tissue, and
    `present` (4,) says which sequences there are.

    Returns:
        The mask (inside the brain, rarely empty) and the score, 0 to 1, one half at the threshold.
    """
    fault = str(rng.choice(list(FAULTS), p=list(FAULTS.values())))
    truth = labels > 0
    if not truth.any():
        truth = _blob(brain, spacing_mm, rng)
        fault = "bright" if rng.random() < 0.6 else "surface"
    if fault == "bright":
        score = _bright(truth, values, brain, present, spacing_mm, rng)
    elif fault == "blur":
        sigma = rng.uniform(1.5, 8.0) / spacing_mm
        score = ndimage.gaussian_filter(truth.astype(np.float32), sigma) + 0.5 - rng.uniform(0.3, 0.7)
    else:
        base = _part(truth, labels, rng) if fault == "part" else truth
        score = _wavy(base, spacing_mm, rng)
    if rng.random() < 0.25:
        score = np.maximum(score, _wavy(_blob(brain, spacing_mm, rng), spacing_mm, rng))
    if rng.random() < 0.2:
        score = np.minimum(score, 1.0 - _wavy(_blob(truth, spacing_mm, rng), spacing_mm, rng))
    score = np.clip(score, 0.0, 1.0) * brain
    mask = score > 0.5
    if rng.random() < 0.5:
        mask = ndimage.binary_fill_holes(mask) & brain
    if rng.random() < 0.3:
        score = mask.astype(np.float32)
    return mask, score.astype(np.float32)


def _signed_mm(mask: Mask, spacing_mm: float) -> Floats:
    """Depth inside the mask in mm, negative outside."""
    if not mask.any():
        return np.full(mask.shape, -100.0)
    inside = ndimage.distance_transform_edt(mask, sampling=spacing_mm)
    depth: Floats = inside - ndimage.distance_transform_edt(~mask, sampling=spacing_mm)
    return depth


def _waves(shape: tuple[int, ...], wave_vox: float, rng: np.random.Generator) -> Floats:
    """Smooth noise of deviation 1: a random lattice, about `wave_vox` apart, joined linearly."""
    lattice = rng.standard_normal(tuple(int(n / wave_vox) + 2 for n in shape)).astype(np.float32)
    noise = lattice
    for axis, n in enumerate(shape):
        place = np.arange(n) * ((lattice.shape[axis] - 1) / max(n, 2))
        low = place.astype(int)
        weight = (place - low).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
        noise = np.take(noise, low, axis) * (1 - weight) + np.take(noise, low + 1, axis) * weight
    return noise / max(float(noise.std()), 1e-6)


def _wavy(mask: Mask, spacing_mm: float, rng: np.random.Generator) -> Floats:
    """A soft score whose surface is too far out or in, and uneven."""
    moved = rng.normal(0.0, 3.0) + rng.uniform(0.0, 4.0) * _waves(mask.shape, rng.uniform(5.0, 25.0) / spacing_mm, rng)
    score: Floats = np.clip(0.5 + 0.5 * (_signed_mm(mask, spacing_mm) + moved) / rng.uniform(2.0, 10.0), 0.0, 1.0)
    return score


def _part(truth: Mask, labels: NDArray[np.uint8], rng: np.random.Generator) -> Mask:
    """Only some of the tumour's parts, or what lies on one side of a plane."""
    kept = ((1, 3), (3,), (2,), (2, 3), ())[int(rng.integers(5))]
    part: Mask = np.isin(labels, kept)
    if part.sum() >= 20 and part.sum() < truth.sum():
        return part
    points = np.argwhere(truth)
    direction = rng.standard_normal(3)
    along = points @ direction
    cut = np.zeros_like(truth)
    chosen = points[along > np.quantile(along, rng.uniform(0.1, 0.6))]
    cut[tuple(chosen.T)] = True
    return cut


def _blob(where: Mask, spacing_mm: float, rng: np.random.Generator) -> Mask:
    """A lump of 3 to 14 mm radius about a voxel of `where`."""
    points = np.argwhere(where)
    if not len(points):
        return np.zeros_like(where)
    centre = points[int(rng.integers(len(points)))]
    axes = np.ogrid[tuple(slice(0, n) for n in where.shape)]
    squares = sum(((axis - c) * spacing_mm) ** 2 for axis, c in zip(axes, centre, strict=True))
    radius = rng.uniform(3.0, 14.0) + 2.0 * _waves(where.shape, 10.0 / spacing_mm, rng)
    lump: Mask = np.sqrt(squares) < radius
    return lump


def _bright(
    truth: Mask, values: Floats, brain: Mask, present: Mask, spacing_mm: float, rng: np.random.Generator
) -> Floats:
    """What a threshold on one sequence calls tumour, about the tumour or everywhere."""
    wanted = [c for c, share in ((_FLAIR, 1.0), (_T2, 0.3), (_T1C, 0.2)) if present[c] and rng.random() < share]
    channel = wanted[-1] if wanted else int(np.flatnonzero(present)[-1])
    smooth = ndimage.gaussian_filter(values[channel], rng.uniform(0.5, 1.5))
    inside = brain
    # no iterations would mean as many as change something
    if rng.random() < 0.5 and (steps := round(3.0 / spacing_mm)):
        inside = ndimage.binary_erosion(brain, iterations=steps)
    threshold = rng.uniform(0.8, 3.5)
    parts, count = components((smooth > threshold) & inside)
    kept = np.ones(count + 1, dtype=bool)
    if rng.random() < 0.7:
        kept[:] = False
        steps = round(6.0 / spacing_mm)
        kept[np.unique(parts[ndimage.binary_dilation(truth, iterations=steps) if steps else truth])] = True
    kept[0] = False
    if not kept.any():
        return _wavy(truth, spacing_mm, rng)
    score = np.clip(0.5 + 0.5 * (smooth - threshold) / rng.uniform(0.5, 3.0), 0.0, 1.0)
    score[~kept[parts] & (score > 0.5)] = 0.5
    result: Floats = score
    return result
