"""One training of the strong stage, for the fit and for the tuner alike, the masked pre-training before it, the scores.

The published work has no bridge between its stages: nothing of its weak stage enters the strong one. This one is
masked image modelling (Xie et al., SimMIM, CVPR 2022) with the whole UNETR: blocks of the window are set to zero in
all sequences and the network says what stood there. Every weight but the last layer's then starts the segmentation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from torch import Tensor, nn

from annofree.errors import InputError
from annofree.inference.torch_network import TorchNetwork
from annofree.methods.weak_to_strong.lessons import Lessons
from annofree.methods.weak_to_strong.predict import probabilities
from annofree.methods.weak_to_strong.unetr import Size
from annofree.methods.weak_to_strong.volumes import Volume, VolumeSampler
from annofree.networks.build import build
from annofree.networks.store import load_network
from annofree.training.loop import Trained, train
from annofree.training.losses import bce_dice_objective
from annofree.training.settings import TrainSettings
from annofree.training.stream import Batch, Sampler

_BLOCK = 8
_HIDDEN = 0.6
_LAST_LAYER = "net.out."


@dataclass(frozen=True)
class HiddenBlocks:
    """The ``x`` of windows with blocks of 8 voxels a side hidden, 60 % of them, in all sequences at once."""

    windows: Sampler
    seed: int

    def __call__(self, step: int, lane: int) -> Batch:
        """``x`` (4, *window) with zeros, ``whole`` the window, ``hidden`` (1, *window) boolean."""
        whole = self.windows(step, lane)["x"]
        rng = np.random.default_rng([self.seed, 3, step, lane])
        coarse = torch.from_numpy(rng.random([n // _BLOCK for n in whole.shape[1:]]) < _HIDDEN)
        for axis in range(3):
            coarse = coarse.repeat_interleave(_BLOCK, dim=axis)
        return {"x": whole * ~coarse, "whole": whole, "hidden": coarse[None]}


def fill_in_loss(model: nn.Module, batch: Batch) -> Tensor:
    """Mean absolute error over hidden voxels that are not background."""
    shown = model(batch["x"])[0]
    counted = batch["hidden"] & (batch["whole"] != 0)
    error = (shown - batch["whole"]).abs() * counted
    out: Tensor = error.sum() / counted.sum().clamp_min(1)
    return out


def pretrain(volumes: Sequence[Volume], size: Size, folder: Path, *, steps: int, seed: int) -> Trained:
    """Train the strong network to fill in volumes, whose targets are not looked at; the result is ``folder/last``.

    Raises:
        InputError: There is no volume.
    """
    if not volumes:
        raise InputError("There is no scan to pre-train on", fix="Give --patients or --healthy, or pretrain_steps=0")
    torch.manual_seed(seed)
    network = build(size.network.model_copy(update={"out_channels": size.network.in_channels}))
    blind = [Volume(v.id, v.images, v.brain, torch.zeros_like(v.target), v.grid) for v in volumes]
    batch = max(2, size.batch)
    sampler = HiddenBlocks(VolumeSampler(blind, size, batch, seed), seed)
    settings = TrainSettings(
        steps=steps, batch=batch, learning_rate=size.learning_rate, warmup=min(50, steps // 5), seed=seed, ahead=0
    )
    return train(network, sampler, fill_in_loss, folder, settings=settings)


def start_from(network: nn.Module, folder: Path) -> int:
    """Put the weights of a folder that :func:`pretrain` wrote into a network, all but its last layer; their number.

    Raises:
        InputError: The folder holds a network of another shape.
    """
    learned, _ = load_network(folder)
    taken = {name: value for name, value in learned.state_dict().items() if not name.startswith(_LAST_LAYER)}
    try:
        missing = network.load_state_dict(taken, strict=False)
    except RuntimeError as error:
        reason = str(error).splitlines()[1].strip()
        raise InputError("The pre-trained network has another shape", file=folder, why=reason) from None
    if missing.unexpected_keys or any(not name.startswith(_LAST_LAYER) for name in missing.missing_keys):
        raise InputError("The pre-trained network is no UNETR of this kind", file=folder)
    return sum(value.numel() for value in taken.values())


def train_strong(
    lessons: Lessons,
    size: Size,
    workspace: Path,
    *,
    steps: int,
    seed: int,
    unlabelled: Sequence[Volume] = (),
    pretrain_steps: int = 0,
    validations: int = 4,
) -> tuple[nn.Module, Trained]:
    """Train a fresh UNETR; the weights with the best Dice on the validation volumes are kept.

    These are looked at `validations` times; 0 keeps the last weights. The workspace gets checkpoints in `pretrain/` (of
    the masked pre-training on unlabelled volumes, if it has steps) and `strong/`; a stopped run goes on from there.
    """
    first = workspace / "pretrain"
    if pretrain_steps:
        pretrain(unlabelled, size, first, steps=pretrain_steps, seed=seed)
    torch.manual_seed(seed)
    network = build(size.network)
    if pretrain_steps:
        start_from(network, first / "last")
    recipe = TrainSettings(
        steps=steps,
        warmup=min(50, steps // 10),
        seed=seed,
        validate_every=max(1, steps // max(1, validations)),
        ahead=lessons.ahead,
        **size.model_dump(include={"batch", "learning_rate", "weight_decay", "clip", "ema"}),
    )
    folder = workspace / "strong"
    trained = train(
        network,
        lessons.sampler,
        partial(bce_dice_objective, bce_weight=size.bce_weight),
        folder,
        settings=recipe,
        validate=VolumeValidation(lessons.val) if lessons.val and validations else None,
        extra={"spacing_mm": size.spacing_mm},
    )
    return load_network(trained.chosen)[0], trained


#: s of the published Dice score.
_SMOOTH = 1e-6


def smoothed_dice(mask: Tensor, truth: Tensor) -> float:
    """The published Dice score of boolean arrays, ``(2 |P and T| + s) / (|P| + |T| + s)``: 1 where both are empty.

    For an empty mask and a tumour of T voxels it is s / (T + s), about 1e-11 for 100,000 voxels: the value of the
    published all-background check.
    """
    both = float((mask & truth).sum())
    return (2.0 * both + _SMOOTH) / (float(mask.sum()) + float(truth.sum()) + _SMOOTH)


@dataclass(frozen=True)
class VolumeScores:
    """Means over the volumes with a tumour; over all where none has one.

    Attributes:
        dice: 2 |P and T| / (|P| + |T|), smoothed as published (1 where both are empty).
        iou: |P and T| / |P or T|, likewise.
        background: The same Dice for a mask that is empty everywhere: about 1e-11 where there is a tumour.
        volumes: How many.
    """

    dice: float
    iou: float
    background: float
    volumes: int

    @classmethod
    def of(cls, masks: Iterable[tuple[Tensor, Tensor]]) -> VolumeScores:
        """Score pairs of a mask and its target, boolean arrays."""
        found = [(smoothed_dice(mask, target), target) for mask, target in masks]
        kept = [one for one in found if bool(one[1].any())] or found
        iou = fmean(dice / (2.0 - dice) for dice, _ in kept)
        empty = fmean(smoothed_dice(torch.zeros_like(target), target) for _, target in kept)
        return cls(fmean(dice for dice, _ in kept), iou, empty, len(kept))

    def __str__(self) -> str:
        return (
            f"Dice {self.dice:.3f}, IoU {self.iou:.3f} over {self.volumes} volumes "
            f"(all background: {self.background:.2g})"
        )


def score_volumes(network: nn.Module, volumes: Iterable[Volume]) -> VolumeScores:
    """Segment volumes at 0.5 on the network's grid and score them against their targets."""
    asked = TorchNetwork(network)
    found = ((v, probabilities(asked, v.images.float().numpy(), v.brain.numpy()) > 0.5) for v in volumes)
    return VolumeScores.of((torch.from_numpy(mask), volume.target) for volume, mask in found)


@dataclass(frozen=True)
class VolumeValidation:
    """Chooses weights by the mean Dice on volumes that are never trained on."""

    volumes: tuple[Volume, ...]

    def __call__(self, network: nn.Module) -> dict[str, float]:
        """``score`` and ``iou`` of a network in evaluation mode."""
        scores = score_volumes(network, self.volumes)
        return {"score": scores.dice, "iou": scores.iou}
