"""Smooth random fields as finite sums of plane waves.

A field is a formula in scanner millimetres, not an array: the same seed gives the same subject on any grid, and a field
can be asked at single points as cheaply as on a whole volume.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Lattice:
    """A regular grid in scanner space with axes along RAS+.

    Attributes:
        origin_mm: (3,) centre of voxel (0, 0, 0), RAS+ mm.
        spacing_mm: Edge of the cubic voxels in mm.
        shape: Voxels along X, Y, Z.
    """

    origin_mm: tuple[float, float, float]
    spacing_mm: float
    shape: tuple[int, int, int]

    @property
    def affine(self) -> NDArray[np.float64]:
        """(4, 4) voxel index to scanner mm."""
        matrix = np.diag([self.spacing_mm, self.spacing_mm, self.spacing_mm, 1.0])
        matrix[:3, 3] = self.origin_mm
        return matrix

    def axes(self) -> tuple[Floats, Floats, Floats]:
        """Coordinates in mm along each axis, shaped to broadcast to (X, Y, Z)."""
        x, y, z = (
            (origin + self.spacing_mm * np.arange(n)).astype(np.float32)
            for origin, n in zip(self.origin_mm, self.shape, strict=True)
        )
        return x[:, None, None], y[None, :, None], z[None, None, :]


@dataclass(frozen=True)
class Waves:
    """`field(x) = sum_k amplitude_k cos(w_k . x + phase_k)`; zero mean and about unit variance over space.

    Attributes:
        vectors: (K, 3) wave vectors in radians per mm.
        phases: (K,) radians.
        amplitudes: (K,) chosen so that the field's variance is one.
    """

    vectors: NDArray[np.float64]
    phases: NDArray[np.float64]
    amplitudes: NDArray[np.float64]

    @classmethod
    def draw(cls, rng: np.random.Generator, shortest_mm: float, longest_mm: float, count: int = 24) -> Waves:
        """Waves of random direction, with wavelengths log-uniform in a range."""
        directions = rng.normal(size=(count, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        lengths = np.exp(rng.uniform(np.log(shortest_mm), np.log(longest_mm), size=count))
        phases = rng.uniform(0, 2 * np.pi, size=count)
        amplitudes = rng.rayleigh(size=count)
        amplitudes *= np.sqrt(2.0 / (amplitudes**2).sum())
        return cls(directions * (2 * np.pi / lengths)[:, None], phases, amplitudes)

    def on(self, lattice: Lattice) -> Floats:
        """The field on a lattice, float32 (X, Y, Z)."""
        x, y, z = (
            np.exp(1j * np.outer(self.vectors[:, axis], positions.ravel())).astype(np.complex64)
            for axis, positions in enumerate(lattice.axes())
        )
        x = x * (self.amplitudes * np.exp(1j * self.phases)).astype(np.complex64)[:, None]
        plane = (x[:, :, None] * y[:, None, :]).reshape(len(x), -1).T  # (X*Y, K)
        real = np.ascontiguousarray(plane.real) @ z.real - np.ascontiguousarray(plane.imag) @ z.imag
        return np.asarray(real.reshape(lattice.shape), dtype=np.float32)

    def at(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """The field at points (N, 3) in mm, as (N,)."""
        values: NDArray[np.float64] = np.cos(points @ self.vectors.T + self.phases) @ self.amplitudes
        return values
