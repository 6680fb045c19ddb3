"""Randomness: one seed, an independent stream for every feature.

Every feature draws from a stream of its own, named after it. Switching one feature off therefore changes what that
feature does and nothing else, and a case depends on its seed alone, not on the worker that made it.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from annofree.synthesis import resample


class Seeds:
    """Scalar draws on the CPU and field draws on the device, for one stream of a case."""

    def __init__(self, seed: int, name: str = "case", device: torch.device | str = "cpu") -> None:
        self.seed = int(seed)
        self.name = name
        self.device = torch.device(device)
        self._numpy = np.random.default_rng(
            [self.seed & 0xFFFFFFFF, self.seed >> 32 & 0xFFFFFFFF, zlib.crc32(name.encode())]
        )
        self._torch = torch.Generator(device=self.device)
        self._torch.manual_seed(int(self._numpy.integers(0, 2**62)))

    def stream(self, name: str) -> Seeds:
        """An independent stream for the feature ``name``."""
        return Seeds(self.seed, f"{self.name}/{name}", self.device)

    def uniform(self, low: float, high: float) -> float:
        """One number, uniform on [low, high)."""
        return float(self._numpy.uniform(low, high))

    def uniforms(self, low: float, high: float, size: int) -> np.ndarray[Any, Any]:
        """``size`` numbers, uniform on [low, high)."""
        return self._numpy.uniform(low, high, size)

    def log_uniform(self, low: float, high: float) -> float:
        """One number whose logarithm is uniform."""
        return float(np.exp(self._numpy.uniform(np.log(low), np.log(high))))

    def normal(self, mean: float = 0.0, sd: float = 1.0) -> float:
        """One normally distributed number."""
        return float(self._numpy.normal(mean, sd))

    def normals(self, size: int) -> np.ndarray[Any, Any]:
        """``size`` standard normal numbers."""
        return self._numpy.normal(size=size)

    def happens(self, probability: float) -> bool:
        """True with the given probability."""
        return bool(self._numpy.random() < probability)

    def integer(self, low: int, high: int) -> int:
        """One integer of low..high, both included."""
        return int(self._numpy.integers(low, high + 1))

    def pick(self, names: Sequence[str], weights: Sequence[float]) -> str:
        """One of ``names`` by weight."""
        share = np.asarray(weights, dtype=float)
        return names[int(self._numpy.choice(len(names), p=share / share.sum()))]

    def white(self, shape: Sequence[int]) -> Tensor:
        """White standard normal noise of ``shape``."""
        return torch.randn(tuple(shape), generator=self._torch, device=self.device)

    def smooth(self, shape: Sequence[int], scale_vox: float, channels: int = 1) -> Tensor:
        """Smooth noise of unit variance, (channels, X, Y, Z).

        White noise on a coarse grid with cells of ``scale_vox`` voxels, interpolated by cubic B-splines; cheaper than
        any wide filter. The grid is shifted at random, so that cell borders fall everywhere.
        """
        if scale_vox <= 1.0:
            return self.white((channels, *shape))
        cells = [int(np.ceil(n / scale_vox)) + 4 for n in shape]
        matrices = [
            resample.bspline(c, n, scale_vox, self.uniform(0.0, 1.0), self.device)
            for c, n in zip(cells, shape, strict=True)
        ]
        return resample.apply(self.white((channels, *cells)), *matrices)

    def index(self, weights: Tensor) -> int:
        """A flat index drawn with probability proportional to ``weights``."""
        total = torch.cumsum(weights.reshape(-1).double(), 0)
        target = self._numpy.random() * float(total[-1])
        return min(int(torch.searchsorted(total, torch.tensor(target, device=total.device))), total.numel() - 1)
