"""Vision Transformer autoencoders over axial slices of four sequences: the published one and ours.

Published form: Comas-Quiles et al. 2025 (arXiv:2510.15684), rebuilt from its description.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from annofree.settings import Settings

SEQUENCES = 4


class ViTSettings(Settings):
    """What both autoencoders have.

    Attributes:
        patch: Side of a patch in voxels; the slice's sides are multiples of it.
        dim: Width of a token.
        depth: Transformer layers.
        heads: Attention heads.
        mlp: Width of the layers between attentions.
        latent: Numbers that a slice is squeezed into.
        token_noise: Standard deviation of the noise on tokens while training.
    """

    patch: int = 8
    dim: int = 96
    depth: int = 3
    heads: int = 4
    mlp: int = 192
    latent: int = 256
    token_noise: float = Field(0.1, ge=0)


class ViTAESettings(ViTSettings):
    """The published autoencoder; its defaults make 40.70 million parameters.

    Attributes:
        image: Side of the square slice in voxels.
        grid: Side of the decoder's first map; ``latent`` is a multiple of its square.
        decoder: Transposed convolutions: channels out, kernel, stride, padding.
    """

    kind: str = "vit_ae"
    image: int = 240
    patch: int = 24
    dim: int = 512
    depth: int = 6
    heads: int = 8
    mlp: int = 1024
    latent: int = 512
    grid: int = 8
    decoder: tuple[tuple[int, int, int, int], ...] = (
        (16, 11, 2, 2),
        (32, 11, 2, 1),
        (64, 11, 2, 1),
        (32, 11, 2, 1),
        (16, 11, 1, 0),
        (SEQUENCES, 14, 1, 0),
    )
    token_noise: float = Field(0.2, ge=0)

    @property
    def tokens(self) -> tuple[int, int]:
        """Patches along both axes of a slice."""
        return self.image // self.patch, self.image // self.patch


class MaskedViTAESettings(ViTSettings):
    """Our autoencoder: small patches, hidden tokens, any subset of sequences.

    Attributes:
        size: Slice in voxels, left-right and back-front; multiples of 16, too.
        squeeze: Width of a token before all are joined.
        decoder: Channels of the decoder, from a sixteenth of the slice's size to half of it.
    """

    kind: str = "mvit_ae"
    size: tuple[int, int] = (64, 80)
    squeeze: int = 16
    decoder: tuple[int, int, int, int] = (64, 48, 32, 16)

    @property
    def tokens(self) -> tuple[int, int]:
        """Patches along both axes of a slice."""
        return self.size[0] // self.patch, self.size[1] // self.patch


class TransformerLayer(nn.Module):
    """Pre-norm self-attention, its logits by default scaled by ``(dim / heads) ** -0.5``, and a perceptron."""

    def __init__(self, dim: int, heads: int, mlp: int, scale: float | None = None) -> None:
        super().__init__()
        self.heads, self.scale = heads, scale
        self.norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim)
        self.mlp = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, mlp), nn.GELU(), nn.Linear(mlp, dim))

    def forward(self, tokens: Tensor) -> Tensor:
        """``(B, N, dim)`` to the same."""
        batch, number, dim = tokens.shape
        parts = self.qkv(self.norm(tokens)).view(batch, number, 3, self.heads, dim // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(query, key, value, scale=self.scale)
        tokens = tokens + self.out(seen.transpose(1, 2).reshape(batch, number, dim))
        out: Tensor = tokens + self.mlp(tokens)
        return out


def patches(images: Tensor, side: int) -> Tensor:
    """``(B, C, X, Y)`` to ``(B, N, C, side * side)``, patches in the order of the slice's rows."""
    batch, channels, x, y = images.shape
    split = images.reshape(batch, channels, x // side, side, y // side, side)
    return split.permute(0, 2, 4, 1, 3, 5).reshape(batch, (x // side) * (y // side), channels, side * side)


class ViTAE(nn.Module):
    """The published autoencoder: joint patches of four sequences, one latent vector a slice, a convolutional decoder.

    Example:
        >>> sum(p.numel() for p in ViTAE(ViTAESettings()).parameters()) // 10_000
        4070
    """

    def __init__(self, settings: ViTAESettings) -> None:
        super().__init__()
        self.settings = settings
        dim, number = settings.dim, (settings.image // settings.patch) ** 2
        self.embed = nn.Linear(SEQUENCES * settings.patch**2, dim)
        self.first = nn.Parameter(torch.zeros(1, 1, dim))
        self.place = nn.Parameter(0.02 * torch.randn(1, number + 1, dim))
        layers = (TransformerLayer(dim, settings.heads, settings.mlp, dim**-0.5) for _ in range(settings.depth))
        self.layers = nn.Sequential(*layers)
        self.squeeze = nn.Linear(number * dim, settings.latent)
        channels = settings.latent // settings.grid**2
        steps: list[nn.Module] = []
        for number_of, (out, kernel, stride, padding) in enumerate(settings.decoder, start=1):
            steps.append(nn.ConvTranspose2d(channels, out, kernel, stride, padding))
            if number_of < len(settings.decoder):
                steps += [nn.BatchNorm2d(out), nn.ReLU(inplace=True)]
            channels = out
        self.decoder = nn.Sequential(*steps)
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, images: Tensor, noise: Tensor | None = None) -> Tensor:
        """Slices ``(B, 4, image, image)``, in the order T1, T1C, T2, FLAIR, reconstructed.

        `noise` ``(B, N, dim)``, standard normal numbers, is put on the tokens while training.
        """
        tokens = self.embed(patches(images, self.settings.patch).flatten(2))
        if noise is not None:
            tokens = tokens + self.settings.token_noise * noise
        tokens = torch.cat([self.first.expand(tokens.shape[0], -1, -1), tokens], dim=1) + self.place
        latent = self.squeeze(self.layers(tokens)[:, 1:].flatten(1))
        out: Tensor = self.decoder(latent.view(latent.shape[0], -1, self.settings.grid, self.settings.grid))
        return out


class MaskedViTAE(nn.Module):
    """Reconstructs slices of healthy brains from the tokens that it is shown.

    Each sequence has its own patch embedding; a token is the sum over the sequences shown there, and a learned stand-in
    for each one that is not. What is never shown can still be predicted from its surroundings, from the other sequences
    and from the outline of the brain, which every token knows. All of a slice passes through ``latent`` numbers.

    Example:
        >>> net = MaskedViTAE(MaskedViTAESettings(dim=16, depth=1, decoder=(8, 8, 8, 8)))
        >>> hidden = torch.zeros(2, 4, 80, dtype=torch.bool)
        >>> net(torch.zeros(2, 4, 64, 80), torch.ones(2, 64, 80), hidden, torch.zeros(2)).shape
        torch.Size([2, 4, 64, 80])
    """

    def __init__(self, settings: MaskedViTAESettings) -> None:
        super().__init__()
        self.settings = settings
        dim, (rows, columns) = settings.dim, settings.tokens
        self.embed = nn.ModuleList(nn.Linear(settings.patch**2, dim) for _ in range(SEQUENCES))
        self.stand_in = nn.Parameter(0.02 * torch.randn(SEQUENCES, dim))
        self.outline = nn.Linear(settings.patch**2, dim)
        self.height = nn.Sequential(nn.Linear(3, dim), nn.GELU(), nn.Linear(dim, dim))
        self.place = nn.Parameter(0.02 * torch.randn(1, rows * columns, dim))
        self.layers = nn.Sequential(
            *(TransformerLayer(dim, settings.heads, settings.mlp) for _ in range(settings.depth))
        )
        self.squeeze = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, settings.squeeze))
        self.latent = nn.Linear(rows * columns * settings.squeeze, settings.latent)
        self.coarse = (settings.size[0] // 16, settings.size[1] // 16)
        widths = settings.decoder
        self.grow = nn.Linear(settings.latent, widths[0] * self.coarse[0] * self.coarse[1])
        self.decoder = nn.ModuleList(
            nn.Sequential(nn.Conv2d(above, below, 3, padding=1, bias=False), nn.GroupNorm(8, below), nn.LeakyReLU(0.01))
            for above, below in pairwise(widths)
        )
        self.head = nn.Sequential(nn.Conv2d(widths[-1], 4 * SEQUENCES, 3, padding=1), nn.PixelShuffle(2))

    def forward(
        self, images: Tensor, brain: Tensor, hidden: Tensor, height: Tensor, noise: Tensor | None = None
    ) -> Tensor:
        """All four sequences of slices reconstructed, ``(B, 4, X, Y)`` robust z.

        Args:
            images: ``(B, 4, X, Y)`` robust z in the order T1, T1C, T2, FLAIR; absent sequences are anything.
            brain: ``(B, X, Y)`` 1 inside the brain.
            hidden: ``(B, 4, N)`` boolean: patches of sequences that are not shown, absent sequences among them.
            height: ``(B,)`` height of the slice in the brain, about -1 to 1.
            noise: ``(B, N, dim)`` standard normal numbers, put on the tokens while training.
        """
        side = self.settings.patch
        shown = patches(images * brain[:, None], side)
        tokens = self.place + self.outline(patches(brain[:, None], side)[:, :, 0])
        tokens = tokens + self.height(torch.stack([height, height**2, height**3], dim=1))[:, None]
        for number, embed in enumerate(self.embed):
            away = hidden[:, number, :, None]
            tokens = tokens + torch.where(away, self.stand_in[number], embed(shown[:, :, number]))
        if noise is not None:
            tokens = tokens + self.settings.token_noise * noise
        latent = self.latent(self.squeeze(self.layers(tokens)).flatten(1))
        maps = self.grow(latent).view(latent.shape[0], -1, *self.coarse)
        for step in self.decoder:
            maps = step(functional.interpolate(maps, scale_factor=2.0, mode="bilinear", align_corners=False))
        out: Tensor = self.head(maps)
        return out
