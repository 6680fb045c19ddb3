"""The variational autoencoder of slices (Kingma and Welling 2014, arXiv:1312.6114)."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from annofree.methods.reconstruction.ae import AESettings, DenseDecoder, DenseEncoder, with_penalty


class VAESettings(AESettings):
    """Shape of a :class:`VariationalAutoEncoder`.

    Attributes:
        noise: Standard deviation of grey levels about the decoder's answer; it weighs the divergence against the
            squared error.
    """

    kind: Literal["vae"] = "vae"  # type: ignore[assignment]
    noise: float = Field(0.1, gt=0)


class VariationalAutoEncoder(nn.Module):
    """An autoencoder whose code is drawn from a normal distribution while it trains."""

    def __init__(self, settings: VAESettings) -> None:
        super().__init__()
        self.settings = settings
        self.encoder = DenseEncoder(settings, 2 * settings.latent)
        self.decoder = DenseDecoder(settings)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Reconstruct ``(B, C, size, size)`` from the mean code; while training from a drawn one, with the penalty.

        The penalty is the divergence from the standard normal, times 2 noise^2 over the number of pixels: with it, mean
        squared error plus penalty is the negative evidence bound up to scale.
        """
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        log_variance = log_variance.clamp(-12.0, 6.0)
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).sum(1).mean()
        code = mean + torch.randn_like(mean) * (0.5 * log_variance).exp() if self.training else mean
        penalty = divergence * 2.0 * self.settings.noise**2 / x[0].numel()
        return with_penalty(self.decoder(code), penalty, self.training)
