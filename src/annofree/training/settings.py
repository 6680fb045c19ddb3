"""Settings of a training run."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from annofree.settings import Seed, Settings


class TrainSettings(Settings):
    """How a network is trained.

    Attributes:
        steps: Optimiser steps in all.
        batch: Samples a step, over all processes together.
        learning_rate: Peak rate of AdamW.
        weight_decay: Decoupled weight decay.
        warmup: Steps of linear warm-up.
        schedule: "cosine" to zero, or "poly" with exponent 0.9.
        clip: Largest norm of the gradient.
        ema: Decay of the averaged weights, which are the ones validated and shipped.
        seed: Decides initial weights, cases and augmentation.
        precision: "auto" takes bf16 only where the hardware computes in it; or "fp32", "bf16".
        validate_every: Steps between validations.
        checkpoint_minutes: Longest time between two checkpoints.
        ahead: Batches prepared ahead in processes of their own; 0 makes them in the training process.
        workers: How many such processes there are; each makes some of a batch's samples, which stay the same.
    """

    steps: int = Field(4000, ge=1)
    batch: int = Field(1, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    warmup: int = Field(100, ge=0)
    schedule: Literal["cosine", "poly"] = "cosine"
    clip: float = Field(1.0, gt=0)
    ema: float = Field(0.998, ge=0, lt=1)
    seed: Seed = 0
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    validate_every: int = Field(250, ge=1)
    checkpoint_minutes: float = Field(2.0, gt=0)
    ahead: int = Field(6, ge=0)
    workers: int = Field(1, ge=1)

    def rate(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        import math

        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        if self.schedule == "cosine":
            return self.learning_rate * 0.5 * (1.0 + math.cos(math.pi * min(done, 1.0)))
        return float(self.learning_rate * max(0.0, 1.0 - done) ** 0.9)
