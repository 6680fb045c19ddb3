"""What the promptable refiner looks at and how it decides, one voxel at a time.

A rough mask says what a lesion and its surroundings look like in this patient; every voxel near the mask is described
in those terms, and a small perceptron, trained on made tumours, calls it lesion or not. Describing voxels relative to
the prompt is what lets so small a network do: it never has to learn what a brain looks like.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from annofree.inference.channels import SEQUENCES
from annofree.inference.network import Network
from annofree.inference.predict import sigmoid
from annofree.intensity import robust_level
from annofree.masks import Mask

Floats = NDArray[np.floating[Any]]

SPACING_MM = 2.0
REACH_MM = 12.0
"""Voxels further than this from the rough mask are not looked at, in training and afterwards."""
FEATURES = 6 + 5 * SEQUENCES + 4

#: Depth inside the mask, and distance from it, from which a voxel shows what lesion and surroundings look like, mm.
_DEEP_MM, _FAR_MM = 3.0, 4.0
_LEAST_VOX = 50


def describe_voxels(
    images: Floats, brain: Mask, present: Mask, mask: Mask, score: Floats
) -> tuple[Mask, NDArray[np.float32]]:
    """The voxels near a rough mask, each in terms of what the mask holds and what lies around it.

    Args:
        images: (4, X, Y, Z) grey levels on a grid of 2 mm, in the order T1, T1C, T2, FLAIR.
        brain: (X, Y, Z).
        present: (4,) which sequences are there.
        mask: (X, Y, Z) the rough mask, not empty.
        score: (X, Y, Z) 0 to 1, one half at the threshold (see `squashed`).

    Returns:
        Which voxels are described: the brain within reach of the mask; and (N, features) float32, in that order.
    """
    depth = _signed_mm(mask)
    where = brain & (depth > -REACH_MM)
    inner = mask & brain & (depth > min(_DEEP_MM, float(depth.max()) / 2))
    outer = brain & (depth < -_FAR_MM) & (depth > -2 * REACH_MM)
    if outer.sum() < _LEAST_VOX:
        outer = brain & ~mask if (brain & ~mask).sum() >= _LEAST_VOX else brain
    if not inner.any():
        inner = mask
    pairs = zip(images, present, strict=True)
    values = np.stack([_against(image, brain, outer) if there else 0 * image for image, there in pairs])
    ml = float(mask.sum()) * SPACING_MM**3 / 1000.0
    columns: list[Floats | float] = [
        np.clip(depth / REACH_MM, -1, 1),
        np.clip(depth / 4.0, -1, 1),
        2.0 * score - 1.0,
        2.0 * _smooth(score, 2.0) - 1.0,
        np.clip(ndimage.distance_transform_edt(brain, sampling=SPACING_MM) / 10.0, 0, 1),
        np.log10(max(ml, 0.01)) / 2.0,
    ]
    fine = [_smooth(value, 0.5) for value in values]
    for value, sharp, there in zip(values, fine, present, strict=True):
        contrast = float(np.median(value[inner])) if there else 0.0
        between = (sharp - contrast / 2) / max(abs(contrast), 1.0) * (1.0 if contrast >= 0 else -1.0)
        columns += [
            np.clip(sharp / 4.0, -2, 2),
            np.clip(_smooth(value, 2.0) / 4.0, -2, 2),
            np.clip(contrast / 4.0, -2, 2),
            np.clip(between, -2, 2) if there else 0.0,
            float(there),
        ]
    likeness, separation = _likeness(np.stack(fine, axis=-1)[..., present], inner, outer)
    columns += [np.clip(_smooth(likeness, sigma), -3, 3) / 2.0 for sigma in (0.0, 1.0, 3.0)]
    columns.append(min(separation, 10.0) / 5.0)
    rows = np.empty((int(where.sum()), FEATURES), dtype=np.float32)
    for index, column in enumerate(columns):
        rows[:, index] = column[where] if isinstance(column, np.ndarray) else column
    return where, rows


def squashed(score: Floats, threshold: float, mask: Mask) -> Floats:
    """Any score on one scale: 0.5 at its threshold, 1 at what is typical inside the mask, 0 as far below.

    All arrays are (X, Y, Z). It is the mask itself where the score does not rise above its threshold inside it.
    """
    above = score[mask & (score > threshold)]
    width = float(np.median(above)) - threshold if above.size else 0.0
    if not width > 0:
        return mask.astype(np.float32)
    result: Floats = np.clip(0.5 + 0.5 * (score - threshold) / width, 0.0, 1.0)
    return result


def predict_near(network: Network, where: Mask, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Lesion probability of the voxels that `describe_voxels` described, by a `PromptNet`; smoothed, 0 elsewhere."""
    found = np.zeros(where.shape, dtype=np.float32)
    found[where] = sigmoid(network(rows))
    return np.where(where, _smooth(found, 0.5), np.float32(0.0))


def _signed_mm(mask: Mask) -> Floats:
    """Depth inside the mask in mm, negative outside."""
    outside = ndimage.distance_transform_edt(~mask, sampling=SPACING_MM)
    depth: Floats = ndimage.distance_transform_edt(mask, sampling=SPACING_MM) - outside
    return depth


def _smooth(values: Floats, sigma_vox: float) -> Floats:
    return ndimage.gaussian_filter(values, sigma_vox, truncate=3.0) if sigma_vox > 0 else values


def _against(image: Floats, brain: Mask, outer: Mask) -> NDArray[np.float32]:
    """Grey levels in units of the surroundings: robust middle 0, spread 1; 0 outside the brain."""
    centre, scale = robust_level(image[outer])
    return np.where(brain, np.clip((image - centre) / scale, -8.0, 12.0), 0.0).astype(np.float32)


def _likeness(features: Floats, inner: Mask, outer: Mask) -> tuple[Floats, float]:
    """Fisher's weighted sum of the sequences (X, Y, Z, C): +1 in the lesion's mean, -1 in that of its surroundings.

    Returns it, and the distance of the means in standard deviations.
    """
    lesion, healthy = features[inner], features[outer]
    spread = sum((c - c.mean(0)).T @ (c - c.mean(0)) for c in (lesion, healthy)) / (len(lesion) + len(healthy))
    spread = spread + 0.1 * np.eye(features.shape[-1])
    apart = lesion.mean(0) - healthy.mean(0)
    weights = np.linalg.solve(spread, apart)
    separation = float(np.sqrt(max(weights @ apart, 0.0)))
    if separation < 1e-3:
        return np.zeros(features.shape[:3], dtype=np.float32), 0.0
    middle = (lesion.mean(0) + healthy.mean(0)) / 2
    result: Floats = ((features - middle) @ weights * (2.0 / (weights @ apart))).astype(np.float32)
    return result, separation
