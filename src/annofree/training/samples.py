"""From a made case to what one step sees: crop, flip, contrast, missing sequences, channels."""

from __future__ import annotations

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from annofree.grid import shared_part
from annofree.inference.channels import SEQUENCES, contrast_power, network_input, normalise
from annofree.settings import Settings

FLAIR = 3


class SampleSettings(Settings):
    """Cheap variation put on a case each time it is used.

    Attributes:
        patch: Voxels a side; larger than the brain is fine, the rest is background.
        shift: Largest random shift of the patch from the brain's centre, voxels.
        flip: Swap left and right in half of the samples.
        contrast: Scatter of brightness scale and offset of each sequence after normalisation; 0 switches off.
        gamma: Scatter of the logarithm of a power applied to each normalised sequence; 0 switches off.
        all_sequences: Share of samples that keep all four sequences.
        flair_alone: Share of samples with FLAIR alone; the others keep a random set of one to three.
    """

    patch: tuple[int, int, int] = (64, 80, 64)
    shift: int = Field(4, ge=0)
    flip: bool = True
    contrast: float = Field(0.1, ge=0)
    gamma: float = Field(0.15, ge=0)
    all_sequences: float = Field(0.55, ge=0, le=1)
    flair_alone: float = Field(0.2, ge=0, le=1)


def draw_present(rng: np.random.Generator, settings: SampleSettings) -> Tensor:
    """Which sequences a sample keeps, ``(4,)`` boolean, never none."""
    chance = rng.random()
    present = np.zeros(SEQUENCES, dtype=bool)
    if chance < settings.all_sequences:
        present[:] = True
    elif chance < settings.all_sequences + settings.flair_alone:
        present[FLAIR] = True
    else:
        present[rng.choice(SEQUENCES, size=int(rng.integers(1, SEQUENCES)), replace=False)] = True
    return torch.from_numpy(present)


def centre_start(brain: Tensor, patch: tuple[int, int, int], shift: tuple[int, ...] = (0, 0, 0)) -> list[int]:
    """First voxel of a patch about the middle of the brain's box, moved by some voxels; may be negative."""
    points = brain.nonzero()
    whole = torch.tensor(brain.shape) // 2
    middle = (points.amin(0) + points.amax(0) + 1) // 2 if points.shape[0] else whole
    return [int(m) - p // 2 + s for m, p, s in zip(middle, patch, shift, strict=True)]


def cut(volumes: Tensor, start: list[int], shape: list[int]) -> Tensor:
    """``(C, X, Y, Z)`` cut to ``(C, *shape)``, zeros where the window leaves the array."""
    out = torch.zeros((volumes.shape[0], *shape), dtype=volumes.dtype)
    there, here = shared_part(start, shape, volumes.shape[1:])
    out[:, *here] = volumes[:, *there]
    return out


def make_sample(
    images: Tensor, brain: Tensor, labels: Tensor, rng: np.random.Generator, settings: SampleSettings
) -> tuple[Tensor, Tensor, Tensor]:
    """One training sample of images ``(4, X, Y, Z)``, a boolean brain ``(X, Y, Z)`` and labels 0..3.

    Returns:
        Input ``(15, *patch)`` float32, labels ``(*patch)`` uint8, brain ``(*patch)`` boolean.
    """
    shift = tuple(int(v) for v in rng.integers(-settings.shift, settings.shift + 1, size=3))
    start, shape = centre_start(brain, settings.patch, shift), list(settings.patch)
    there = (images != 0).flatten(1).any(dim=1)
    values = cut(torch.from_numpy(normalise(images.numpy(), brain.numpy())), start, shape)
    mask = cut(brain[None], start, shape)[0]
    found = cut(labels[None].to(torch.uint8), start, shape)[0]
    if settings.flip and rng.random() < 0.5:
        values, mask, found = values.flip(1), mask.flip(0), found.flip(0)
    if settings.gamma > 0:
        power = np.exp(rng.normal(0, settings.gamma, SEQUENCES)).astype(np.float32)
        values = torch.from_numpy(contrast_power(values.numpy(), power))
    if settings.contrast > 0:
        scale = torch.from_numpy(np.exp(rng.normal(0, settings.contrast, SEQUENCES)).astype(np.float32))
        offset = torch.from_numpy(rng.normal(0, settings.contrast, SEQUENCES).astype(np.float32))
        values = values * scale.view(-1, 1, 1, 1) + offset.view(-1, 1, 1, 1)
    values = values.clamp(-8.0, 12.0) * mask
    present = draw_present(rng, settings) & there
    if not bool(present.any()):
        present = there
    return torch.from_numpy(network_input(values.numpy(), mask.numpy(), present.numpy())), found, mask
