"""Training of f-AnoGAN: a Wasserstein GAN with gradient penalty, then an encoder by the common loop.

Gulrajani et al. 2017 (arXiv:1704.00028) for the penalty; Schlegl et al. 2019 for the encoder's "izi_f" loss.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from annofree.methods.reconstruction.ae import FAnoGAN, FAnoGANSettings
from annofree.networks.build import build
from annofree.settings import Seed, Settings
from annofree.training.checkpoint import STATE, load_state, save_state
from annofree.training.log import RunLog
from annofree.training.loop import step_if_finite, train
from annofree.training.settings import TrainSettings
from annofree.training.stop import stoppable
from annofree.training.stream import Sampler

#: Rate of generator and critic, and weight of the gradient penalty.
_RATE, _PENALTY = 2e-4, 10.0


class AdversarialSettings(Settings):
    """How f-AnoGAN is trained.

    Attributes:
        generator_steps: Steps of the generator.
        critic_steps: Steps of the critic for each of the generator.
        encoder_steps: Steps of the encoder afterwards.
        checkpoint_minutes: Longest time between two checkpoints.
    """

    generator_steps: int = Field(2000, ge=1)
    critic_steps: int = Field(3, ge=1)
    encoder_steps: int = Field(2000, ge=1)
    batch: int = Field(8, ge=1)
    seed: Seed = 0
    checkpoint_minutes: float = Field(2.0, gt=0)


def train_fanogan(network: FAnoGANSettings, sampler: Sampler, folder: Path, settings: AdversarialSettings) -> Path:
    """Train generator and critic, then the encoder; a stopped run goes on where it was.

    The sampler gives slices ``clean`` (1, H, W). Returns the folder of the trained network.

    Raises:
        Interrupted: Ctrl-C stopped it after a whole step, which is kept.
    """
    torch.manual_seed(settings.seed)
    model = build(network)
    assert isinstance(model, FAnoGAN)
    _adversarial(model, sampler, folder / "generator", settings)
    for frozen in (model.generator, model.critic):
        frozen.requires_grad_(False)
    done = train(
        model,
        lambda step, lane: sampler(step + settings.generator_steps * settings.critic_steps, lane),
        encoder_objective,
        folder / "encoder",
        settings=TrainSettings(
            steps=settings.encoder_steps, batch=settings.batch, seed=settings.seed, ema=0.99, ahead=0
        ),
    )
    return done.folder / "last"


def encoder_objective(model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
    """Squared error of the slice plus that of the critic's features; gradients reach what is not frozen."""
    whole: Any = getattr(model, "module", model)
    critic: nn.Module = whole.critic
    clean = batch["clean"]
    answer = model(clean)
    error = functional.mse_loss(answer, clean)
    features: Tensor = functional.mse_loss(critic(answer)[1], critic(clean)[1])
    return error + features


def _adversarial(model: FAnoGAN, sampler: Sampler, folder: Path, settings: AdversarialSettings) -> None:
    from lightning.fabric import Fabric

    fabric = Fabric(accelerator="cuda" if torch.cuda.is_available() else "cpu", devices=1)
    makers, critic_optimiser = (
        torch.optim.Adam(part.parameters(), lr=_RATE, betas=(0.0, 0.9)) for part in (model.generator, model.critic)
    )
    step = 0
    maker, judge = folder / "maker" / STATE, folder / "judge" / STATE
    if maker.is_file():
        step = int(load_state(maker, {"network": model.generator}, {"optimiser": makers})["step"])
        load_state(judge, {"network": model.critic}, {"optimiser": critic_optimiser})
    model.to(fabric.device)
    log = RunLog(folder, from_step=step)
    saved_at = time.monotonic()

    def keep() -> None:
        # The critic first: should the run be killed between the two, the generator still tells the older step.
        save_state(judge, {"network": model.critic}, {"optimiser": critic_optimiser}, {"step": step})
        save_state(maker, {"network": model.generator}, {"optimiser": makers}, {"step": step})

    with stoppable() as stop:
        while step < settings.generator_steps:
            for turn in range(settings.critic_steps):
                number = step * settings.critic_steps + turn
                lanes = [sampler(number, lane)["clean"] for lane in range(settings.batch)]
                real = torch.stack(lanes).to(fabric.device)
                with torch.no_grad():
                    fake = model.generator(_codes(model, settings, 2 * number, fabric.device))
                distance = model.critic(fake)[0].mean() - model.critic(real)[0].mean()
                penalty = gradient_penalty(model.critic, real, fake, settings.seed + number)
                critic_optimiser.zero_grad()
                fabric.backward(distance + _PENALTY * penalty)
                step_if_finite(critic_optimiser)
            code = _codes(model, settings, 2 * step * settings.critic_steps + 1, fabric.device)
            answer = -model.critic(model.generator(code))[0].mean()
            makers.zero_grad()
            fabric.backward(answer)
            step_if_finite(makers)
            step += 1
            last = step == settings.generator_steps
            if step % 20 == 0 or last:
                log.add(step=step, wasserstein=-float(distance.detach()), generator=float(answer.detach()))
            if last or stop.asked or time.monotonic() - saved_at > 60 * settings.checkpoint_minutes:
                keep()
                saved_at = time.monotonic()
            stop.check(step, settings.generator_steps)
    log.draw()


def _codes(model: FAnoGAN, settings: AdversarialSettings, number: int, device: torch.device) -> Tensor:
    source = torch.Generator().manual_seed(settings.seed * 1_000_003 + number)
    return torch.randn(settings.batch, model.settings.latent, generator=source).to(device)


def gradient_penalty(critic: nn.Module, real: Tensor, fake: Tensor, seed: int) -> Tensor:
    """Mean squared departure from 1 of the critic's slope between real and made slices, ``(B, C, H, W)`` each."""
    source = torch.Generator().manual_seed(seed)
    share = torch.rand(real.shape[0], 1, 1, 1, generator=source).to(real.device)
    between = torch.lerp(real, fake, share).requires_grad_(True)
    (slope,) = torch.autograd.grad(critic(between)[0].sum(), between, create_graph=True)
    penalty: Tensor = (slope.flatten(1).norm(dim=1) - 1.0).square().mean()
    return penalty
