"""Patients' slices with what their reports make likely, for the upper level of bi-level training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

#: Share of samples taken from slices that hold some of the target.
_WITH_TARGET = 0.75


@dataclass(frozen=True, eq=False)
class PatientStack:
    """The slices of one patient.

    Attributes:
        id: The scan.
        levels: Uint8 (N, H, W) grey levels, 0 outside the brain.
        target: Uint8 (N, H, W), probability of tumour by the report times 255.
        outside: Boolean (N, H, W), brain in which the report leaves none.
    """

    id: str
    levels: NDArray[np.uint8]
    target: NDArray[np.uint8]
    outside: NDArray[np.bool_]


class PatientSampler:
    """From a step and a lane to ``x``, ``target``, ``outside`` and ``foreground``, each ``(1, H, W)``.

    Each patient is as likely as any other, three in four slices hold some of the target, half are flipped.
    """

    def __init__(self, stacks: list[PatientStack], *, seed: int = 0) -> None:
        self.stacks, self.seed = stacks, seed
        self._held = [np.flatnonzero((s.target > 127).any(axis=(1, 2))) for s in stacks]

    def __call__(self, step: int, lane: int) -> dict[str, Tensor]:
        """One sample."""
        rng = np.random.default_rng([self.seed, 1, step, lane])
        number = int(rng.integers(len(self.stacks)))
        stack, held = self.stacks[number], self._held[number]
        chosen = held if len(held) and rng.random() < _WITH_TARGET else np.arange(len(stack.levels))
        place = int(chosen[int(rng.integers(len(chosen)))])
        sample = {
            "x": torch.from_numpy(stack.levels[place].astype(np.float32) / 255.0)[None],
            "target": torch.from_numpy(stack.target[place].astype(np.float32) / 255.0)[None],
            "outside": torch.from_numpy(stack.outside[place].astype(np.float32))[None],
        }
        if rng.random() < 0.5:
            sample = {key: value.flip(1) for key, value in sample.items()}
        return {**sample, "foreground": sample["x"] > 0}
