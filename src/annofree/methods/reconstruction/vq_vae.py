"""The autoencoder of slices whose code is a grid of words from a book (van den Oord et al. 2017, arXiv:1711.00937)."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from annofree.methods.reconstruction.ae import down, up
from annofree.settings import Settings


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
    """An autoencoder that replaces each code by the nearest word; gradients pass straight through."""

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
