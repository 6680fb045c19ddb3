"""One training of the strong stage, for the fit and for the tuner alike."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from annofree.methods.weak_to_strong.bridge import pretrain, start_from
from annofree.methods.weak_to_strong.lessons import Lessons
from annofree.methods.weak_to_strong.loss import BceDice
from annofree.methods.weak_to_strong.scores import VolumeValidation
from annofree.methods.weak_to_strong.sizes import Size
from annofree.methods.weak_to_strong.volumes import Volume
from annofree.networks.build import build
from annofree.networks.store import load_network
from annofree.training.loop import Trained, train
from annofree.training.settings import TrainSettings


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
        BceDice(size.bce_weight),
        folder,
        settings=recipe,
        validate=VolumeValidation(lessons.val) if lessons.val and validations else None,
        extra={"spacing_mm": size.spacing_mm},
    )
    return load_network(trained.chosen)[0], trained
