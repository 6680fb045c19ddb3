"""Healthy slices to learn from: stacks in memory, varied and corrupted anew each time one is used."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from annofree.errors import InputError
from annofree.methods.reconstruction.ae import split
from annofree.prepare.slices import SliceSettings, framed, to_slices
from annofree.scan import Modality, Scan
from annofree.training.healthy import bank_of, made_scan
from annofree.training.stream import stacked

#: A slice with less brain than this share of its pixels teaches nothing.
_LEAST_BRAIN = 0.02
#: Seeds of made brains start here, away from those of other methods.
_FIRST_MADE = 5_000_000
#: Variation put on a slice each time it is used: largest rotation (degrees), change of size and shift (pixels); scatter
#: of the logarithm of a power and of a factor put on the grey levels.
_TURN_DEG, _SCALE, _SHIFT_PX, _GAMMA, _BRIGHTNESS = 8.0, 0.08, 3.0, 0.1, 0.05
#: Share of FLAIR slices where there are any; the rest is shared by the other sequences.
_FLAIR_SHARE = 0.5
#: Standard deviation on the coarse grid, in grey levels of 0..1, and cells a side of that grid, as published.
_DEVIATION, _CELLS = 0.2, 16


@dataclass(frozen=True, eq=False)
class Stack:
    """The slices of one sequence of one scan, uint8 (N, H, W), 0 outside the brain."""

    id: str
    sequence: Modality
    levels: NDArray[np.uint8]


def stacks_of(scans: Iterable[Scan], settings: SliceSettings) -> list[Stack]:
    """All sequences of all scans as slices with enough brain, in 8 bits."""
    found = []
    for scan in scans:
        cut = framed(scan, settings)
        assert cut.brain is not None
        kept = to_slices(cut.brain).mean(axis=(1, 2)) >= _LEAST_BRAIN
        for name, image in cut.images.items():
            levels = to_slices(np.round(image * 255.0).astype(np.uint8))[kept]
            if len(levels):
                found.append(Stack(scan.id, name, levels))
    return found


def made_stacks(labelmaps: str | None, count: int, settings: SliceSettings, *, seed: int = 0) -> list[Stack]:
    """Slices of so many healthy brains made from label maps (see `annofree.training.healthy.bank_of`)."""
    return stacks_of(_made(labelmaps, count, seed), settings)


def _made(labelmaps: str | None, count: int, seed: int) -> Iterator[Scan]:
    bank = bank_of(labelmaps) if count else None
    for number in range(count):
        assert bank is not None
        yield made_scan(bank, _FIRST_MADE + 100_003 * seed + number, f"made-{number}")


class SliceSampler:
    """From a step and a lane to a sample: ``x`` corrupted, ``clean``, both ``(1, H, W)``, and ``foreground``.

    Raises:
        InputError: There is no slice.
    """

    def __init__(self, stacks: list[Stack], *, noise: bool = True, seed: int = 0) -> None:
        if not stacks:
            raise InputError("There is no healthy slice to learn from", fix="Give healthy scans with a brain")
        self.stacks, self.noise, self.seed = stacks, noise, seed
        flair = [i for i, stack in enumerate(stacks) if stack.sequence is Modality.FLAIR]
        rest = [i for i, stack in enumerate(stacks) if stack.sequence is not Modality.FLAIR]
        self._groups = (flair or rest, rest or flair)

    def __call__(self, step: int, lane: int) -> dict[str, Tensor]:
        """One sample."""
        rng = np.random.default_rng([self.seed, step, lane])
        group = self._groups[0 if rng.random() < _FLAIR_SHARE else 1]
        stack = self.stacks[group[int(rng.integers(len(group)))]]
        levels = stack.levels[int(rng.integers(len(stack.levels)))]
        clean = vary(torch.from_numpy(levels.astype(np.float32) / 255.0)[None], rng)
        x = corrupt(clean, rng) if self.noise else clean
        return {"x": x, "clean": clean, "foreground": clean > 0}


def vary(clean: Tensor, rng: np.random.Generator) -> Tensor:
    """A slice ``(1, H, W)`` flipped, moved and with bent contrast; 0 stays 0 and nothing else becomes 0."""
    if rng.random() < 0.5:
        clean = clean.flip(1)
    turn = math.radians(float(rng.uniform(-_TURN_DEG, _TURN_DEG)))
    size = 1.0 + float(rng.uniform(-_SCALE, _SCALE))
    shift = rng.uniform(-_SHIFT_PX, _SHIFT_PX, 2) * 2.0 / clean.shape[1]
    cos, sin = math.cos(turn) / size, math.sin(turn) / size
    matrix = torch.tensor([[[cos, -sin, shift[0]], [sin, cos, shift[1]]]], dtype=torch.float32)
    grid = functional.affine_grid(matrix, [1, *clean.shape], align_corners=False)
    moved = functional.grid_sample(clean[None], grid, mode="bilinear", align_corners=False)[0]
    inside = functional.grid_sample((clean > 0).float()[None], grid, mode="nearest", align_corners=False)[0] > 0
    power = float(np.exp(rng.normal(0.0, _GAMMA)))
    factor = float(np.exp(rng.normal(0.0, _BRIGHTNESS)))
    return (moved.clamp(1 / 255, 1.0) ** power * factor).clamp(1 / 255, 1.0) * inside


def coarse_noise(size: tuple[int, int], rng: np.random.Generator) -> Tensor:
    """Noise ``(H, W)`` for one slice: drawn on a grid as coarse as lesions, enlarged bilinearly, rolled at random.

    A network cannot tell it from a lesion, so it learns to remove both (Kascenas et al., MIDL 2022, who roll all slices
    of a batch alike).
    """
    coarse = torch.from_numpy(rng.normal(0.0, _DEVIATION, (1, 1, _CELLS, _CELLS)))
    fine = functional.interpolate(coarse.float(), size=size, mode="bilinear", align_corners=True)[0, 0]
    shift = (int(rng.integers(size[0])), int(rng.integers(size[1])))
    return torch.roll(fine, shift, dims=(0, 1))


def corrupt(clean: Tensor, rng: np.random.Generator) -> Tensor:
    """A slice ``(C, H, W)`` with coarse noise on its foreground (what is not 0); each channel has its own."""
    size = (clean.shape[1], clean.shape[2])
    noise = torch.stack([coarse_noise(size, rng) for _ in range(clean.shape[0])])
    return clean + noise * (clean > 0)


def reconstruction_objective(model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
    """Mean squared error of ``x`` against ``clean`` in the ``foreground``, plus the network's own penalty."""
    output, penalty = split(model(batch["x"]))
    inside = batch["foreground"]
    error = (output - batch["clean"]).square() * inside
    return error.sum() / inside.sum().clamp_min(1) + penalty


class HeldOutSlices:
    """Validation on fixed slices of scans not learned from: how well coarse noise, or the slice itself, is restored."""

    def __init__(self, stacks: list[Stack], *, noise: bool, count: int = 32) -> None:
        sampler = SliceSampler(stacks, noise=noise, seed=987_654_321)
        self.batch = stacked(sampler, 0, range(count))

    @torch.no_grad()
    def __call__(self, network: nn.Module) -> dict[str, float]:
        """Negative root mean squared error inside the foreground as ``score``."""
        device = next(network.parameters()).device
        batch = {key: value.to(device) for key, value in self.batch.items()}
        loss = float(reconstruction_objective(network, batch))
        return {"score": -math.sqrt(loss), "rmse": math.sqrt(loss)}
