"""Autoencoders of slices, plain, variational and with a code of words, and f-AnoGAN.

After Baur et al., Medical Image Analysis 69 (2021) 101952: strided convolutions down to a coarse grid, few channels
there, a dense bottleneck.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from annofree.settings import Settings


class AESettings(Settings):
    """Shape of an :class:`AutoEncoder`.

    Attributes:
        size: Pixels a side; a dense bottleneck knows one size only.
        widths: Channels a level; each level halves the grid.
        thin: Channels before the dense layers.
        latent: Numbers in the bottleneck.
    """

    kind: Literal["ae"] = "ae"
    in_channels: int = 1
    size: int = 96
    widths: tuple[int, ...] = (16, 32, 64, 64)
    thin: int = 16
    latent: int = Field(128, ge=1)

    @property
    def coarse(self) -> int:
        """Pixels a side of the coarsest grid. Raises `ValueError`: the size cannot be halved that often."""
        if self.size % 2 ** len(self.widths):
            raise ValueError(f"size {self.size} is no multiple of {2 ** len(self.widths)}")
        return int(self.size // 2 ** len(self.widths))


def down(inside: int, widths: tuple[int, ...]) -> nn.Sequential:
    """Strided convolutions: each width halves the grid."""
    return nn.Sequential(*(_step(nn.Conv2d(a, b, 4, 2, 1), b) for a, b in pairwise((inside, *widths))))


def up(widths: tuple[int, ...], out: int) -> nn.Sequential:
    """The way back of :func:`down`; linear at the end."""
    rising = (*widths[::-1], widths[0])
    steps = [_step(nn.ConvTranspose2d(a, b, 4, 2, 1), b) for a, b in pairwise(rising)]
    return nn.Sequential(*steps, nn.Conv2d(widths[0], out, 3, padding=1, padding_mode="reflect"))


def _step(conv: nn.Module, channels: int) -> nn.Sequential:
    return nn.Sequential(conv, nn.GroupNorm(min(8, channels), channels), nn.LeakyReLU(0.1))


class DenseEncoder(nn.Module):
    """``(B, C, size, size)`` to ``(B, out)``."""

    def __init__(self, settings: AESettings, out: int) -> None:
        super().__init__()
        self.down = down(settings.in_channels, settings.widths)
        self.thin = nn.Conv2d(settings.widths[-1], settings.thin, 1)
        self.dense = nn.Linear(settings.thin * settings.coarse**2, out)

    def forward(self, x: Tensor) -> Tensor:
        """Encode."""
        out: Tensor = self.dense(self.thin(self.down(x)).flatten(1))
        return out


class DenseDecoder(nn.Module):
    """``(B, latent)`` to ``(B, C, size, size)``."""

    def __init__(self, settings: AESettings) -> None:
        super().__init__()
        self.thin, self.coarse = settings.thin, settings.coarse
        self.dense = nn.Linear(settings.latent, settings.thin * settings.coarse**2)
        self.wide = nn.Conv2d(settings.thin, settings.widths[-1], 1)
        self.up = up(settings.widths, settings.in_channels)

    def forward(self, code: Tensor) -> Tensor:
        """Decode."""
        out: Tensor = self.up(self.wide(self.dense(code).view(-1, self.thin, self.coarse, self.coarse)))
        return out


class AutoEncoder(nn.Module):
    """From a slice through a narrow code to a slice."""

    def __init__(self, settings: AESettings) -> None:
        super().__init__()
        self.settings = settings
        self.encoder = DenseEncoder(settings, settings.latent)
        self.decoder = DenseDecoder(settings)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, size, size)`` to the same shape, no activation."""
        out: Tensor = self.decoder(self.encoder(x))
        return out


class VAESettings(AESettings):
    """Shape of a :class:`VariationalAutoEncoder`.

    Attributes:
        noise: Standard deviation of grey levels about the decoder's answer; it weighs the divergence against the
            squared error.
    """

    kind: Literal["vae"] = "vae"  # type: ignore[assignment]
    noise: float = Field(0.1, gt=0)


class VariationalAutoEncoder(nn.Module):
    """An autoencoder whose code is drawn while it trains (Kingma and Welling 2014, arXiv:1312.6114)."""

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
        return (self.decoder(code), penalty) if self.training else self.decoder(code)


def split(output: Tensor | tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Reconstruction and penalty of whatever a reconstructor returned; 0 where it has none."""
    if isinstance(output, tuple):
        return output
    return output, torch.zeros((), device=output.device)


class VQVAESettings(Settings):
    """Shape of a :class:`VectorQuantisedAutoEncoder`.

    Attributes:
        widths: Channels a level; each level halves the grid.
        words: Words in the book.
        length: Numbers in a word.
        commitment: Weight of the pull of codes towards their words.
    """

    kind: Literal["vq_vae"] = "vq_vae"
    in_channels: int = 1
    widths: tuple[int, ...] = (16, 32, 64, 64)
    words: int = Field(128, ge=2)
    length: int = Field(16, ge=1)
    commitment: float = Field(0.25, ge=0)

    @property
    def divisor(self) -> int:
        """Both sides of a slice must be multiples of this many pixels."""
        return int(2 ** len(self.widths))


class VectorQuantisedAutoEncoder(nn.Module):
    """An autoencoder whose code is a grid of words of a book (van den Oord et al. 2017, arXiv:1711.00937).

    Each code is replaced by the nearest word; gradients pass straight through.
    """

    def __init__(self, settings: VQVAESettings) -> None:
        super().__init__()
        self.settings = settings
        self.down = down(settings.in_channels, settings.widths)
        self.to_code = nn.Conv2d(settings.widths[-1], settings.length, 1)
        self.book = nn.Embedding(settings.words, settings.length)
        nn.init.uniform_(self.book.weight, -1.0, 1.0)
        self.from_code = nn.Conv2d(settings.length, settings.widths[-1], 1)
        self.up = up(settings.widths, settings.in_channels)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Reconstruct ``(B, C, H, W)``, sides multiples of ``settings.divisor``; while training with the penalty.

        That is words towards codes plus ``commitment`` times codes towards words.
        """
        code = self.to_code(self.down(x))  # (B, length, h, w)
        flat = code.permute(0, 2, 3, 1).reshape(-1, code.shape[1])
        nearest = torch.cdist(flat, self.book.weight).argmin(1)
        words = self.book(nearest).view(code.shape[0], *code.shape[2:], -1).permute(0, 3, 1, 2)
        penalty = functional.mse_loss(words, code.detach())
        penalty = penalty + self.settings.commitment * functional.mse_loss(code, words.detach())
        straight = code + (words - code).detach()
        out: Tensor = self.up(self.from_code(straight))
        return (out, penalty) if self.training else out


class FAnoGANSettings(AESettings):
    """Shape of an :class:`FAnoGAN`."""

    kind: Literal["fanogan"] = "fanogan"  # type: ignore[assignment]


class Critic(nn.Module):
    """``(B, C, size, size)`` to a score and the features below it; no norm over the batch, for the gradient penalty."""

    def __init__(self, settings: AESettings) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inside = settings.in_channels
        for width in settings.widths:
            layers += [nn.Conv2d(inside, width, 4, 2, 1), nn.LeakyReLU(0.2)]
            inside = width
        self.features = nn.Sequential(*layers)
        self.score = nn.Linear(inside * settings.coarse**2, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Scores ``(B,)`` and features ``(B, W, coarse, coarse)``."""
        features = self.features(x)
        return self.score(features.flatten(1))[:, 0], features


class FAnoGAN(nn.Module):
    """Encoder, generator and critic; as a reconstructor it is generator after encoder.

    Schlegl et al., Medical Image Analysis 54 (2019) 30: a Wasserstein GAN with gradient penalty learns healthy slices;
    then, with it frozen, an encoder learns to find the slice's code.
    """

    def __init__(self, settings: FAnoGANSettings) -> None:
        super().__init__()
        self.settings = settings
        self.encoder = DenseEncoder(settings, settings.latent)
        self.generator = DenseDecoder(settings)
        self.critic = Critic(settings)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, size, size)`` to the healthy slice nearest to it that the generator knows."""
        out: Tensor = self.generator(self.encoder(x))
        return out
