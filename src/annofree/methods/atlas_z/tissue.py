"""The tissue that the template expects at each place, and how far a grey level strays from it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree.intensity import robust_level
from annofree.masks import Box
from annofree.scan import Scan


def expected_tissues(scan: Scan, box: Box, affine: NDArray[np.float64], sigma_mm: float) -> NDArray[np.float32]:
    """The template's grey matter, white matter and fluid on part of a scan's grid, (3, X, Y, Z), summing to one.

    The affine (4, 4) leads from scanner mm to MNI mm; the maps are smoothed by `sigma_mm`.
    """
    from scipy import ndimage

    from annofree.anatomy.template import template

    to_voxel = np.linalg.inv(template().affine) @ affine @ scan.affine
    offset = to_voxel[:3, :3] @ np.array([axis.start for axis in box]) + to_voxel[:3, 3]
    shape = tuple(axis.stop - axis.start for axis in box)
    maps = [ndimage.affine_transform(m, to_voxel[:3, :3], offset, shape, order=1) for m in _smooth_tissues(sigma_mm)]
    stack = np.clip(np.stack(maps), 0.0, 1.0)
    total = stack.sum(axis=0)
    stack[2] += np.clip(1.0 - total, 0.0, 1.0)
    return np.asarray(stack / stack.sum(axis=0), dtype=np.float32)


@lru_cache(maxsize=1)
def _smooth_tissues(sigma_mm: float) -> tuple[NDArray[np.float32], ...]:
    """Grey matter, white matter and fluid of the template, smoothed; kept for the next scan."""
    from scipy import ndimage

    from annofree.anatomy.template import template

    brain = template()
    return tuple(ndimage.gaussian_filter(tissue, sigma_mm) for tissue in (brain.grey, brain.white, brain.csf))


def tissue_z(
    image: NDArray[np.float32], brain: NDArray[np.bool_], tissues: NDArray[np.float32] | None, sign: int = 1
) -> NDArray[np.float32]:
    """Robust z (X, Y, Z) of an image against the mixture of tissues expected at each voxel, 0 outside the brain.

    The grey level of each tissue is fitted to this brain by least squares with Tukey's biweight (c = 4.685, the usual
    95 % efficiency; Huber and Ronchetti, Robust Statistics, 2009), so that a tumour has no say. The spread of each
    tissue is its weighted mean absolute residual within the biweight's reach. Shares of tissues are (3, X, Y, Z); None
    compares with the brain's median and spread. The sign is 1 where abnormal is bright, -1 where dark, 0 where either.
    """
    values = image[brain].astype(np.float64)
    shares = np.ones((values.size, 1)) if tissues is None else tissues[:, brain].T.astype(np.float64)
    step = max(1, values.size // 60_000)
    some, parts = values[::step], shares[::step]
    levels: NDArray[Any] = np.full(shares.shape[1], np.median(some))
    ridge = 1e-6 * len(some) * np.eye(len(levels))
    for _ in range(12):
        residual = some - parts @ levels
        spread = robust_level(residual)[1]
        weight = np.clip(1.0 - (residual / (4.685 * spread)) ** 2, 0.0, 1.0) ** 2
        normal = (parts * weight[:, None]).T @ parts + ridge
        levels = np.linalg.solve(normal, (parts * weight[:, None]).T @ some + ridge @ levels)
    residual = some - parts @ levels
    near = (np.abs(residual) < 4.685 * spread)[:, None] * parts
    absolute = 1.2533 * (near * np.abs(residual)[:, None]).sum(axis=0) / np.maximum(near.sum(axis=0), 1e-9)
    spreads = np.maximum(absolute, 0.25 * spread)
    z = (values - shares @ levels) / (shares @ spreads)
    out = np.zeros(image.shape, dtype=np.float32)
    out[brain] = np.clip(np.abs(z) if sign == 0 else sign * z, -10.0, 10.0)
    return out
