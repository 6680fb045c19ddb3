"""f-AnoGAN: an adversarial generator of healthy slices and an encoder into it.

Schlegl et al., Medical Image Analysis 54 (2019) 30: a Wasserstein GAN with gradient penalty learns healthy slices;
then, with it frozen, an encoder learns to find the slice's code.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from annofree.methods.reconstruction.ae import AESettings, DenseDecoder, DenseEncoder


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
    """Encoder, generator and critic; as a reconstructor it is generator after encoder."""

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
