"""Where each voxel of a made brain comes from: affine, smooth warp, ventricle size, mass effect.

Coordinates are mm relative to the middle of the frame. Everything smooth lives on a coarse grid of 4 mm cells and is
interpolated from there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import torch
import torch.nn.functional as functional
from torch import Tensor

from annofree.synthesis import resample
from annofree.synthesis.seeds import Seeds
from annofree.synthesis.settings import Anatomy

COARSE_MM = 4.0
COARSE_SHAPE = (40, 48, 40)
FINE_MM = 2.0
FINE_SHAPE = (80, 96, 80)
VENTRICLE_MM = (0.0, 5.0, 7.0)
"""Middle of the lateral ventricles, relative to the frame's middle."""


def grid_mm(shape: tuple[int, int, int], spacing_mm: float, device: torch.device | str) -> Tensor:
    """Centres of the voxels of a grid around the frame's middle, (3, X, Y, Z) mm."""
    axes = [(torch.arange(n, device=device, dtype=torch.float32) - (n - 1) / 2) * spacing_mm for n in shape]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"))


def sample(field: Tensor, at_mm: Tensor, spacing_mm: float) -> Tensor:
    """Trilinear values of ``field`` (C, X, Y, Z), centred on the frame, at points (3, ...) in mm."""
    size = torch.tensor(field.shape[1:], device=field.device, dtype=torch.float32)
    unit = at_mm.movedim(0, -1) * 2.0 / (size * spacing_mm)
    shape = at_mm.shape[1:]
    flat = unit.flip(-1).reshape(1, -1, 1, 1, 3)
    out = functional.grid_sample(field[None], flat, padding_mode="border", align_corners=False)
    return out.reshape(field.shape[0], *shape)


def finer(field: Tensor) -> Tensor:
    """(C, X, Y, Z) on a grid twice as fine, by linear interpolation."""
    x, y, z = field.shape[1:]
    return resample.zoom(field, (-0.25, -0.25, -0.25), (2 * x, 2 * y, 2 * z), 0.5)


def draw_source(seeds: Seeds, settings: Anatomy) -> tuple[Tensor, dict[str, float | bool]]:
    """Source coordinates (3, 40, 48, 40) in mm for the coarse grid, before any mass effect, and what was drawn."""
    points = grid_mm(COARSE_SHAPE, COARSE_MM, seeds.device)
    drawn: dict[str, float | bool] = {}
    flips = seeds.stream("flip").happens(0.5) and settings.flip
    drawn["flipped"] = flips
    if settings.affine:
        own = seeds.stream("affine")
        matrix = _matrix(own)
        drawn["scale"] = float(abs(np.linalg.det(matrix)) ** (1 / 3))
        shift = torch.tensor([own.normal(0, 1.0), own.normal(0, 4.0), own.normal(0, 4.0)], device=seeds.device)
        linear = torch.tensor(matrix, dtype=torch.float32, device=seeds.device)
        points = torch.einsum("ij,jxyz->ixyz", linear, points) + shift[:, None, None, None]
    if settings.warp:
        own = seeds.stream("warp")
        amplitude = own.uniform(0.5, 3.0)
        drawn["warp_mm"] = amplitude
        points = points + amplitude * own.smooth(COARSE_SHAPE, own.uniform(5.0, 12.0), 3)
    if settings.ventricles:
        own = seeds.stream("ventricles")
        growth = own.uniform(-0.3, 0.38)
        drawn["ventricle_growth"] = growth
        offset = points - torch.tensor(VENTRICLE_MM, device=seeds.device)[:, None, None, None]
        reach = torch.tensor([18.0, 36.0, 20.0], device=seeds.device)[:, None, None, None]
        points = points - growth * torch.exp(-0.5 * (offset / reach).square().sum(0)) * offset
    if flips:
        points = points * torch.tensor([-1.0, 1.0, 1.0], device=seeds.device)[:, None, None, None]
    return points, drawn


def _matrix(own: Seeds) -> np.ndarray:  # type: ignore[type-arg]
    angles = [math.radians(own.normal(0, s)) for s in (6.0, 2.0, 2.0)]  # pitch most: heads nod more than they tilt
    cx, cy, cz = (math.cos(a) for a in angles)
    sx, sy, sz = (math.sin(a) for a in angles)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    size = 1.0 / (own.uniform(0.92, 1.1) * np.exp(own.normals(3) * 0.03))
    shear = np.eye(3)
    shear[1, 2] = own.normal(0, 0.03)
    return np.asarray(np.diag(size) @ shear @ about_x @ about_y @ about_z)


def push_aside(source: Tensor, masses: Iterable[tuple[Tensor, float, float]]) -> Tensor:
    """Push tissue away from growing masses: most at a mass's surface, fading over some 40 mm.

    Masses are centre (3,), radius and largest displacement in mm; below 0.3 mm nothing moves. The strength grows with
    the distance up to the surface and falls beyond it with a smooth end, which keeps the map (3, X, Y, Z) of coarse
    source coordinates in mm free of folds for displacements below the radius.
    """
    here, moved = grid_mm(COARSE_SHAPE, COARSE_MM, source.device), torch.zeros_like(source)
    for centre, radius_mm, amount_mm in masses:
        if amount_mm > 0.3:
            offset = here - centre[:, None, None, None]
            distance = offset.square().sum(0).sqrt().clamp_min(1e-3)
            reach = max(radius_mm, 8.0)
            beyond = torch.exp(-(distance - reach) / (18.0 + 0.4 * reach))
            strength = amount_mm * torch.where(distance < reach, distance / reach, beyond)
            moved = moved + offset / distance * strength
    return sample(source, here - moved, COARSE_MM) if bool(moved.any()) else source
