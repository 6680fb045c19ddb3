"""SynthTumour's outer shape: an ellipsoid whose surface is moved by simplex noise, voxelised without a mesh.

A point `x` is inside where `|u| <= 1 + s(u / |u|)`, with `u` the point in the ellipsoid's own axes and `s` simplex
noise on the unit sphere: the same body as the published mesh of 5120 triangles, at any resolution, in milliseconds. The
noise is hashed with a seed of 32 bits, where the published one repeats after 384 shapes.

Simplex noise: Perlin, "Noise hardware", SIGGRAPH 2001 course notes.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from annofree.masks import Box, Mask

Form = Literal["noisy", "ellipsoid", "cuboid"]

_EDGES = np.array(
    [(a, b, 0) for a in (1, -1) for b in (1, -1)]
    + [(a, 0, b) for a in (1, -1) for b in (1, -1)]
    + [(0, a, b) for a in (1, -1) for b in (1, -1)],
    dtype=np.float32,
)
_LATITUDES, _LONGITUDES = 91, 180
_OCTAVES, _PERSISTENCE, _LACUNARITY, _WAVELENGTH = 4, 0.5, 2.0, 3.0


def simplex_noise(points: NDArray[np.floating[Any]], seed: int) -> NDArray[np.float32]:
    """Simplex noise in three dimensions.

    Args:
        points: (3, N) coordinates; one unit is about one wavelength.
        seed: Any integer; its lowest 32 bits count.

    Returns:
        (N,) values in about [-1, 1], 0 at the corners of the lattice.
    """
    points = np.asarray(points, dtype=np.float64)
    cell = np.floor(points + points.sum(0) / 3.0)
    first = (points - cell + cell.sum(0) / 6.0).astype(np.float32)
    x, y, z = first
    # rank of each coordinate within its point: the simplex is walked along the largest coordinate first
    rank = np.stack([(x >= y).astype(int) + (x >= z), (y > x).astype(int) + (y >= z), (z > x).astype(int) + (z > y)])
    corner = cell.astype(np.int64)
    total = np.zeros(points.shape[1], dtype=np.float32)
    for step in range(4):
        offset = rank >= 3 - step
        away = first - offset + np.float32(step / 6.0)
        reach = np.maximum(0.0, 0.6 - (away**2).sum(0))
        gradient = _EDGES[_hash(corner + offset, seed) % len(_EDGES)].T
        total += reach**4 * (gradient * away).sum(0)
    return (32.0 * total).astype(np.float32)


def _hash(cells: NDArray[np.int64], seed: int) -> NDArray[np.uint32]:
    x, y, z = cells.astype(np.uint32)
    mixed = x * np.uint32(0x9E3779B1) ^ y * np.uint32(0x85EBCA77) ^ z * np.uint32(0xC2B2AE3D)
    mixed ^= np.uint32(seed & 0xFFFFFFFF)
    for shift, factor in ((15, 0x2C1B3C6D), (12, 0x297A2D39)):
        mixed ^= mixed >> np.uint32(shift)
        mixed *= np.uint32(factor)
    return np.asarray(mixed ^ (mixed >> np.uint32(15)), dtype=np.uint32)


def blob(
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
    centre_vox: NDArray[np.floating[Any]],
    rng: np.random.Generator,
    *,
    volume_ml: float,
    ratio: float = 1.0,
    form: Form = "noisy",
    rotation: Literal["euler", "uniform"] = "euler",
) -> tuple[Box, Mask]:
    """A noisy ellipsoid, as its bounding box in an array (X, Y, Z) and the mask inside that box.

    The half axes are r, r q and r / q with r of the sphere of `volume_ml` and `ratio` q >= 1; noise changes the volume
    (by a factor of 1.2 on average, 0.6 to 2). A cuboid lies along the array's axes; its edges are in the same ratio.
    The rotation "euler" draws three angles uniformly in degrees (published), "uniform" every rotation alike.
    """
    if form == "cuboid":
        half_mm = 0.5 * (volume_ml * 1000.0) ** (1 / 3) * np.array([1.0, ratio, 1.0 / ratio])
        return _cuboid(shape, np.asarray(centre_vox), half_mm / np.asarray(spacing_mm))
    radius = (volume_ml * 3000.0 / (4.0 * np.pi)) ** (1 / 3)
    axes_mm = radius * np.array([1.0, ratio, 1.0 / ratio])
    turn = _rotation(rng, rotation)
    surface = _surface(rng) if form == "noisy" else np.zeros((_LATITUDES, _LONGITUDES), np.float32)
    middle = _middle(surface)
    low, high = 1.0 + float(surface.min()), 1.0 + float(surface.max())
    extent = np.sqrt(((turn * axes_mm) ** 2).sum(1)) * (high + float(np.linalg.norm(middle))) / np.asarray(spacing_mm)
    start = np.clip(np.floor(centre_vox - extent), 0, np.asarray(shape) - 1).astype(int)
    stop = np.clip(np.ceil(centre_vox + extent) + 1, start + 1, shape).astype(int)
    box: Box = (slice(start[0], stop[0]), slice(start[1], stop[1]), slice(start[2], stop[2]))
    inverse = ((turn * axes_mm) / axes_mm**2).T
    lines = [(np.arange(s, e) - c) * mm for s, e, c, mm in zip(start, stop, centre_vox, spacing_mm, strict=True)]
    own = np.stack(
        [
            (
                row[0] * lines[0][:, None, None]
                + row[1] * lines[1][None, :, None]
                + row[2] * lines[2][None, None, :]
                + m
            ).astype(np.float32)
            for row, m in zip(inverse, middle, strict=True)
        ]
    )
    reach = np.sqrt((own**2).sum(0))
    mask = reach <= low
    shell = (reach <= high) & ~mask
    if shell.any():
        mask[shell] = reach[shell] <= 1.0 + _look_up(surface, own[:, shell], reach[shell])
    return box, mask


def _cuboid(
    shape: tuple[int, int, int], centre_vox: NDArray[np.floating[Any]], half_vox: NDArray[np.float64]
) -> tuple[Box, Mask]:
    """The voxels whose centres lie inside, at least one along each axis."""
    start = np.clip(np.ceil(centre_vox - half_vox), 0, np.asarray(shape) - 1).astype(int)
    stop = np.clip(np.floor(centre_vox + half_vox) + 1, start + 1, shape).astype(int)
    box: Box = (slice(start[0], stop[0]), slice(start[1], stop[1]), slice(start[2], stop[2]))
    return box, np.ones(tuple(stop - start), dtype=bool)


def _rotation(rng: np.random.Generator, kind: str) -> NDArray[np.float64]:
    if kind == "euler":
        return np.asarray(Rotation.from_euler("XYZ", rng.uniform(0.0, 360.0, 3), degrees=True).as_matrix())
    return np.asarray(Rotation.from_quat(rng.normal(size=4)).as_matrix())


def _surface(rng: np.random.Generator) -> NDArray[np.float32]:
    """Noise on a table of directions, (latitudes, longitudes): the published octaves and phases."""
    directions = _directions().reshape(3, -1)
    phase = float(rng.integers(0, 1000))
    seed = int(rng.integers(0, 2**32))
    total = np.zeros(directions.shape[1], np.float32)
    for octave in range(_OCTAVES):
        scale = _LACUNARITY**octave / _WAVELENGTH
        total += np.float32(_PERSISTENCE**octave) * simplex_noise((directions + phase) * scale, seed)
    total /= np.float32(sum(_PERSISTENCE**octave for octave in range(_OCTAVES)))
    return total.reshape(_LATITUDES, _LONGITUDES)


def _angles() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    around = np.arange(_LONGITUDES, dtype=np.float64) * (2 * np.pi / _LONGITUDES) - np.pi
    return np.linspace(0.0, np.pi, _LATITUDES), around


def _directions() -> NDArray[np.float64]:
    polar, around = _angles()
    sine = np.sin(polar)[:, None]
    return np.stack(
        [
            sine * np.cos(around),
            sine * np.sin(around),
            np.broadcast_to(np.cos(polar)[:, None], (len(polar), len(around))),
        ]
    )


def _middle(surface: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean of the surface's points, each direction weighted by its area: where the published mesh is recentred."""
    weight = np.broadcast_to(np.sin(_angles()[0])[:, None], surface.shape)
    moved = _directions() * (1.0 + surface) * weight
    return np.asarray(moved.reshape(3, -1).sum(1) / weight.sum())


def _look_up(
    surface: NDArray[np.float32], points: NDArray[np.float32], reach: NDArray[np.float32]
) -> NDArray[np.float32]:
    polar = np.arccos(np.clip(points[2] / reach, -1.0, 1.0)) * ((_LATITUDES - 1) / np.pi)
    around = (np.arctan2(points[1], points[0]) + np.pi) * (_LONGITUDES / (2 * np.pi))
    closed = np.concatenate([surface, surface[:, :1]], axis=1)
    return np.asarray(ndimage.map_coordinates(closed, np.stack([polar, around]), order=1, mode="nearest"))
