"""Noisy ellipsoids without a mesh: unlimited shapes, uniformly rotated."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from annofree.synthesis.seeds import Seeds


def uniform_rotation(seeds: Seeds, device: torch.device | str) -> Tensor:
    """A rotation uniform on SO(3), by a normalised Gaussian quaternion (Shoemake 1992)."""
    q = seeds.normals(4)
    w, x, y, z = q / np.linalg.norm(q)
    matrix = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return torch.tensor(matrix, dtype=torch.float32, device=device)


def noisy_ellipsoid(
    points_mm: Tensor, seeds: Seeds, *, volume_ml: float, elongation: float, roughness: float
) -> Tensor:
    """Signed depth (mm, positive inside) below the surface of a noisy ellipsoid centred at the origin.

    The surface in direction d is ``|A^-1 d|^-1 * exp(s(d))``, with ``A`` a rotated diagonal matrix and ``s`` a sum of
    random plane waves on the unit sphere (amplitude falling with frequency): a blob of any shape at no cost of memory.

    Args:
        points_mm: (3, ...) points relative to the centre.
        seeds: The stream to draw the shape from.
        volume_ml: Volume of the ellipsoid without noise.
        elongation: Longest over shortest half axis, at least 1.
        roughness: Standard deviation of ``s``; 0 gives a plain ellipsoid.
    """
    device = points_mm.device
    middle = elongation ** seeds.uniform(0.0, 1.0)
    ratio = np.array([1.0, middle, elongation])
    radius = (volume_ml * 1000.0 * 3.0 / (4.0 * math.pi)) ** (1 / 3)
    half_axes = radius * ratio / ratio.prod() ** (1 / 3)
    rotation = uniform_rotation(seeds, device)
    flat = points_mm.reshape(3, -1)
    turned = (rotation @ flat) / torch.tensor(half_axes, dtype=torch.float32, device=device)[:, None]
    reach = turned.square().sum(0).sqrt()
    if roughness > 0:
        waves = 20
        frequency = seeds.uniforms(1.0, 7.0, waves)
        direction = seeds.normals(waves * 3).reshape(waves, 3)
        direction *= (frequency / np.linalg.norm(direction, axis=1))[:, None]
        amplitude = frequency**-1.0
        amplitude *= roughness / math.sqrt(0.5 * float((amplitude**2).sum()))
        phase = seeds.uniforms(0.0, 2 * math.pi, waves)
        unit = turned / reach.clamp_min(1e-6)

        def tensor(a: np.ndarray) -> Tensor:  # type: ignore[type-arg]
            return torch.tensor(a, dtype=torch.float32, device=device)

        noise = tensor(amplitude) @ torch.cos(tensor(direction) @ unit + tensor(phase)[:, None])
        reach = reach * torch.exp(-noise)
    depth: Tensor = (1.0 - reach) * radius
    return depth.reshape(points_mm.shape[1:])
