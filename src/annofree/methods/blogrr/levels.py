"""The two losses of BLOGRR's bi-level training.

Lower level: the reconstructor learns healthy slices, and errors that its thresholds call abnormal count more. Upper
level: the threshold network makes the soft mask of the error map fit what the reports make likely.

As published, the lower level compared the threshold with the squared, unblurred error and the upper level with the
absolute, blurred one; a threshold of 0.1 then lets only errors above 0.32 count, and the levels hardly meet. Here both
use one error map; `BilevelSettings.published()` keeps the published form.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from annofree.methods.blogrr.hypergradient import Params
from annofree.methods.reconstruction.error_map import PUBLISHED, ErrorSettings, window
from annofree.settings import Settings
from annofree.training.stream import Batch

Total = Callable[[Tensor], Tensor]
"""From a sum over this process's samples to the sum over all processes, differentiable in its own part."""

SLOPE = 50.0
_SMOOTH = 1e-6

#: Published: rounds up to the third are never kept, nor is the last.
_FIRST_KEPT = 4


class BilevelSettings(Settings):
    """How the two levels take turns.

    Attributes:
        rounds: Turns; a round is some lower steps, then some upper steps.
        lower_steps: Steps of the reconstructor a round.
        upper_steps: Steps of the threshold network a round.
        warmup: Rounds in which every error counts in the lower level, as no threshold has been learned.
        batch: Slices a step, over all processes together.
        lower_rate: Adam's rate of the reconstructor (published 1e-4).
        upper_rate: Adam's rate of the threshold network (published 1e-5).
        weight_decay: Of both.
        loss: "mse+tolerance", or the paper's "tolerance" alone.
        tolerance: Weight of the tolerance term beside the MSE.
        gate: "soft" lets the upper level feel the lower one; "hard" as published has no gradient.
        gate_on: "map" compares the threshold with the error map as everywhere else; "squared" as published with the
            squared, unblurred error.
        dice: "pooled" over the batch as published, or "per-sample".
        slope: Of the soft mask and the soft gate.
        outside: Weight of the mean soft mask where the report leaves no tumour (`outside` of a patient's sample).
        hypergradient: "first-order" as published, "unrolled" or "implicit".
        unroll: Lower steps that are differentiated through.
        unroll_rate: Length of these steps.
        damping: Added to the Hessian of the implicit form.
        iterations: Conjugate-gradient steps of the implicit form.
        keep: "last" keeps the last round's networks; "lowest" as published those of the round with the lowest mean loss
            of the upper level, from the fourth round to the last but one (the last, where there are fewer).
        error: The error map.
    """

    rounds: int = Field(20, ge=1)
    lower_steps: int = Field(10, ge=0)
    upper_steps: int = Field(10, ge=0)
    warmup: int = Field(1, ge=0)
    batch: int = Field(16, ge=1)
    lower_rate: float = Field(1e-4, gt=0)
    upper_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(1e-5, ge=0)
    loss: Literal["mse+tolerance", "tolerance"] = "mse+tolerance"
    tolerance: float = Field(0.5, ge=0)
    gate: Literal["soft", "hard"] = "soft"
    gate_on: Literal["map", "squared"] = "map"
    dice: Literal["pooled", "per-sample"] = "pooled"
    slope: float = Field(SLOPE, gt=0)
    outside: float = Field(0.0, ge=0)
    hypergradient: Literal["first-order", "unrolled", "implicit"] = "first-order"
    unroll: int = Field(2, ge=1)
    unroll_rate: float = Field(1e-2, gt=0)
    damping: float = Field(1e-2, ge=0)
    iterations: int = Field(5, ge=1)
    keep: Literal["last", "lowest"] = "last"
    error: ErrorSettings = ErrorSettings()

    @classmethod
    def published(cls) -> Self:
        """The published constants; a round is an epoch there, of as many batches as the data give."""
        return cls(rounds=101, batch=64, upper_rate=1e-5, gate="hard", gate_on="squared", keep="lowest")

    def may_keep(self, turn: int) -> bool:
        """Whether a round's networks may be the ones that are kept; rounds count from 1."""
        if self.keep == "last" or self.rounds <= _FIRST_KEPT:
            return turn == self.rounds
        return _FIRST_KEPT <= turn < self.rounds


def soft_mask(scores: Tensor, threshold: Tensor, slope: float = SLOPE) -> Tensor:
    """`1 / (1 + exp(-slope (scores - threshold)))`, finite for any input, with a gradient in both.

    ``(B, ...)`` scores and a threshold ``(B,)`` each; at a slope of 50 it goes from 0.1 to 0.9 within 0.088.
    """
    return torch.sigmoid(slope * (scores - threshold.view(-1, *([1] * (scores.ndim - 1)))))


def alone(part: Tensor) -> Tensor:
    """The total over one process."""
    return part


def soft_dice_loss(
    mask: Tensor, target: Tensor, *, pooled: bool = True, world: int = 1, total: Total = alone
) -> Tensor:
    """1 - soft Dice, `(2 sum(mask target) + 1e-6) / (sum(mask) + sum(target) + 1e-6)`, of ``(B, ...)`` in 0..1.

    Over several processes (`world`, whose sums `total` gives) the sum of the returned values is the loss of all
    samples, and the sum of their gradients its gradient. Pooled, as published, sums run over all samples together, so
    that slices without a target only add false positives; otherwise it is the mean of each sample's own loss.
    """
    both, found, wanted = (part.flatten(1).sum(1) for part in (mask * target, mask, target))
    if pooled:
        both, found, wanted = (total(part.sum()) for part in (both, found, wanted))
    loss = 1.0 - (2.0 * both + _SMOOTH) / (found + wanted + _SMOOTH)
    if pooled:
        return loss - (1.0 - 1.0 / world) * loss.detach()
    return loss.mean() / world


def error_map(
    image: Tensor, reconstruction: Tensor, foreground: Tensor | None = None, settings: ErrorSettings = PUBLISHED
) -> Tensor:
    """The twin of `annofree.methods.reconstruction.error_map` for tensors ``(B, C, H, W)``; differentiable in both."""
    difference = image - reconstruction
    if settings.side == "both":
        difference = difference.abs()
    else:
        difference = functional.relu(difference if settings.side == "bright" else -difference)
    if settings.kernel > 1:
        difference = _blur(difference, settings.kernel)
    return difference if foreground is None else difference * foreground.to(difference.dtype)


def _blur(values: Tensor, kernel: int) -> Tensor:
    channels, half = values.shape[1], kernel // 2
    line = torch.tensor(window(kernel), dtype=values.dtype, device=values.device)
    padded = functional.pad(values, (half, half, half, half), mode="reflect")
    rows = functional.conv2d(padded, line.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)
    return functional.conv2d(rows, line.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)


@dataclass(frozen=True)
class Levels:
    """The two losses as functions of both networks' parameters.

    A lower batch holds `x` (corrupted slices), `clean` and `foreground`, as `SliceSampler`
    makes them; an upper batch `x`, `target` (0..1), `foreground`
    and, where `settings.outside` is set, `outside`; all `(B, 1, H, W)`. Values are this process's share of the loss:
    they, and their gradients, add up over processes.

    Attributes:
        reconstructor: `(B, 1, H, W)` to the same.
        thresholder: `(B, 1 or 2, H, W)` to `(B,)`.
        settings: The form.
        world: Number of processes.
        total: Sums over processes.
    """

    reconstructor: nn.Module
    thresholder: nn.Module
    settings: BilevelSettings
    world: int = 1
    total: Total = alone

    def thresholds(self, phi: Params, x: Tensor, error: Tensor) -> Tensor:
        """Thresholds `(B,)` of slices with these error maps."""
        both = getattr(self.thresholder.settings, "in_channels", 1) == 2
        seen = torch.cat([x, error], dim=1) if both else x
        out: Tensor = functional_call(self.thresholder, phi, (seen,))
        return out

    def lower(self, theta: Params, phi: Params, batch: Batch, *, warming: bool = False) -> Tensor:
        """Mean squared error on healthy slices, plus the mean of those squared errors that lie above the threshold.

        While `warming`, every error lies above it.
        """
        form = self.settings
        found = functional_call(self.reconstructor, theta, (batch["x"],))
        squared = (found - batch["clean"]).square()
        above = torch.ones_like(squared)
        if not warming:
            error = error_map(batch["clean"], found, batch["foreground"], form.error)
            level = squared if form.gate_on == "squared" else error
            threshold = self.thresholds(phi, batch["clean"], error)
            above = (
                soft_mask(level, threshold, form.slope)
                if form.gate == "soft"
                else (level >= threshold.view(-1, 1, 1, 1)).to(level.dtype)
            )
        tolerated = (squared * above).mean()
        whole: Tensor = tolerated if form.loss == "tolerance" else squared.mean() + form.tolerance * tolerated
        return whole / self.world

    def upper(self, theta: Params, phi: Params, batch: Batch) -> Tensor:
        """Soft Dice of the soft mask with the target, plus what the mask calls where the report leaves nothing."""
        form = self.settings
        found = functional_call(self.reconstructor, theta, (batch["x"],))
        error = error_map(batch["x"], found, batch["foreground"], form.error)
        mask = soft_mask(error, self.thresholds(phi, batch["x"], error), form.slope) * batch["foreground"]
        pooled = form.dice == "pooled"
        loss = soft_dice_loss(mask, batch["target"], pooled=pooled, world=self.world, total=self.total)
        if form.outside > 0:
            room = self.total(batch["outside"].sum()).clamp_min(1.0)
            loss = loss + form.outside * (mask * batch["outside"]).sum() / room
        return loss


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
