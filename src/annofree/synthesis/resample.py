"""Separable resampling by small matrices: far cheaper than interpolation in three dimensions."""

from __future__ import annotations

import torch
from torch import Tensor


def apply(field: Tensor, along_x: Tensor | None, along_y: Tensor | None, along_z: Tensor | None) -> Tensor:
    """Resample (C, x, y, z) to (C, X, Y, Z) with matrices (X, x), (Y, y), (Z, z), or (C, ...) one a channel.

    An axis without a matrix stays as it is.
    """

    def last(matrix: Tensor) -> Tensor:
        return matrix.mT if matrix.ndim == 2 else matrix.mT[:, None]

    def middle(matrix: Tensor) -> Tensor:
        return matrix if matrix.ndim == 2 else matrix[:, None]

    out = field if along_z is None else torch.matmul(field, last(along_z))
    out = out if along_y is None else torch.matmul(middle(along_y), out)
    if along_x is None:
        return out
    channels, x, y, z = out.shape
    return torch.matmul(along_x, out.reshape(channels, x, y * z)).reshape(channels, -1, y, z)


def box_mean(field: Tensor, reach: int, times: int = 1) -> Tensor:
    """Mean of (C, X, Y, Z) over cubes of ``2 reach + 1`` voxels inside the array, ``times`` times over."""

    def band(size: int) -> Tensor:
        at = torch.arange(size, device=field.device)
        near = ((at[:, None] - at).abs() <= reach).float()
        out: Tensor = torch.linalg.matrix_power(near / near.sum(1, keepdim=True), times)
        return out

    x, y, z = (band(size) for size in field.shape[1:])
    return apply(field, x, y, z)


def bspline(cells: int, size: int, cell_vox: float, phase: float, device: torch.device | str) -> Tensor:
    """Cubic B-spline weights (size, cells), each row of unit length, so that white noise keeps unit variance."""
    at = (torch.arange(size, device=device, dtype=torch.float32) + 0.5) / cell_vox + phase + 1.0
    distance = (at[:, None] - torch.arange(cells, device=device, dtype=torch.float32)).abs()
    inner = 2.0 / 3.0 - distance.square() * (1.0 - 0.5 * distance)
    outer = (2.0 - distance).clamp_min(0.0) ** 3 / 6.0
    weights = torch.where(distance < 1.0, inner, outer)
    return weights / weights.square().sum(1, keepdim=True).sqrt()


def linear(at: Tensor, size: int) -> Tensor:
    """Weights (n, size) of linear interpolation at positions ``at`` (n,) in voxels; the ends are repeated."""
    at = at.clamp(0.0, size - 1.0)
    return (1.0 - (at[:, None] - torch.arange(size, device=at.device, dtype=torch.float32)).abs()).clamp_min(0.0)


def cubic(at: Tensor, size: int) -> Tensor:
    """Weights (n, size) of cubic convolution (Keys 1981), which blurs far less than linear interpolation."""
    at = at.clamp(0.0, size - 1.0)
    d = (at[:, None] - torch.arange(size, device=at.device, dtype=torch.float32)).abs()
    inner = (1.5 * d - 2.5) * d.square() + 1.0
    outer = ((-0.5 * d + 2.5) * d - 4.0) * d + 2.0
    weights = torch.where(d < 1.0, inner, torch.where(d < 2.0, outer, 0.0))
    return weights / weights.sum(1, keepdim=True)


def zoom(field: Tensor, start: tuple[float, float, float], size: tuple[int, int, int], step: float) -> Tensor:
    """Linear interpolation of (C, x, y, z) from ``start`` (voxels) on, ``size`` samples ``step`` voxels apart."""
    matrices = [
        linear(s + step * torch.arange(n, device=field.device, dtype=torch.float32), m)
        for s, n, m in zip(start, size, field.shape[1:], strict=True)
    ]
    return apply(field, *matrices)
