"""One training of the strong stage, for the fit and for the tuner alike, and the masked pre-training before it.

The published work has no bridge between its stages: nothing of its weak stage enters the strong one. This one is
masked image modelling (Xie et al., SimMIM, CVPR 2022) with the whole UNETR: blocks of the window are set to zero in
all sequences and the network says what stood there. Every weight but the last layer's then starts the segmentation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from annofree.errors import InputError
from annofree.methods.weak_to_strong.lessons import Lessons
from annofree.methods.weak_to_strong.scores import VolumeValidation
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
