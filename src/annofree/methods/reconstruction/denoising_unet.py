"""The 2-D denoising U-Net of BLOGRR: weight-standardised convolutions, swish, group norm, reflection padding.

The default is a quarter as wide as published. The published class also
holds a linear layer of 134 million weights that no forward pass ever reaches; it is left out.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from annofree.settings import Settings


class DenoisingUNetSettings(Settings):
    """Shape of a :class:`DenoisingUNet`.

    Attributes:
        widths: Channels a level, finest first.
        repeat: How often a one-channel slice is repeated before the first convolution; 3 as published, 1 does the same
            with fewer weights.
        norm: "group" with the divisor rule of :func:`groups_of`, or "batch".
        up: "transposed" 2x2 convolutions, or "bilinear" with a 1x1 convolution.
    """

    kind: Literal["denoising_unet"] = "denoising_unet"
    in_channels: int = 1
    out_channels: int = 1
    widths: tuple[int, ...] = (16, 32, 64, 128)
    repeat: int = 1
    norm: Literal["group", "batch"] = "group"
    up: Literal["transposed", "bilinear"] = "transposed"

    @property
    def divisor(self) -> int:
        """Both sides of a slice must be multiples of this many pixels."""
        return int(2 ** (len(self.widths) - 1))


def groups_of(channels: int) -> int:
    """Number of groups of a group norm: the (upper) middle one of the sorted divisors.

    Example:
        >>> [groups_of(channels) for channels in (64, 128, 256, 512)]
        [8, 16, 16, 32]
    """
    divisors = [n for n in range(1, channels + 1) if channels % n == 0]
    return divisors[len(divisors) // 2]


class StandardisedConv2d(nn.Conv2d):
    """Convolution whose filters have mean 0 and standard deviation 1 (Qiao et al. 2019, arXiv:1903.10520).

    Statistics run over input channels and kernel of each filter; 1e-5 is added to the deviation.
    """

    def forward(self, input: Tensor) -> Tensor:
        """``(B, inside, H, W)`` to ``(B, out, H, W)``."""
        deviation, mean = torch.std_mean(self.weight, dim=(1, 2, 3), keepdim=True)
        out: Tensor = self._conv_forward(input, (self.weight - mean) / (deviation + 1e-5), self.bias)
        return out


class _Block(nn.Sequential):
    """Twice: reflection padding, weight-standardised 3x3 convolution, swish, norm."""

    def __init__(self, inside: int, out: int, norm: str) -> None:
        layers: list[nn.Module] = []
        for channels in (inside, out):
            conv = StandardisedConv2d(channels, out, 3, padding=1, padding_mode="reflect")
            layers += [conv, nn.SiLU(), nn.BatchNorm2d(out) if norm == "batch" else nn.GroupNorm(groups_of(out), out)]
        super().__init__(*layers)


class DenoisingUNet(nn.Module):
    """From a slice, corrupted or not, to the healthy slice it should be.

    Example:
        >>> net = DenoisingUNet(DenoisingUNetSettings(widths=(8, 16)))
        >>> tuple(net(torch.zeros(2, 1, 32, 32)).shape)
        (2, 1, 32, 32)
    """

    def __init__(self, settings: DenoisingUNetSettings) -> None:
        super().__init__()
        self.settings = settings
        widths, norm = settings.widths, settings.norm
        first = settings.in_channels * settings.repeat
        self.encoder = nn.ModuleList(_Block(inside, out, norm) for inside, out in pairwise((first, *widths)))
        rising = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.lift = nn.ModuleList(self._lift(below, above) for below, above in rising)
        self.decoder = nn.ModuleList(_Block(2 * above, above, norm) for _, above in rising)
        self.head = nn.Conv2d(widths[0], settings.out_channels, 1)

    def _lift(self, below: int, above: int) -> nn.Module:
        if self.settings.up == "transposed":
            return nn.ConvTranspose2d(below, above, 2, 2)
        return nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(below, above, 1))

    def forward(self, x: Tensor) -> Tensor:
        """``(B, in_channels, H, W)``, sides multiples of the divisor, to ``(B, out_channels, H, W)``, no activation.

        Raises:
            ValueError: A side is no multiple of the divisor; the size to pad to is named.
        """
        need = self.settings.divisor
        if any(side % need for side in x.shape[2:]):
            pad_to = tuple(-(-side // need) * need for side in x.shape[2:])
            raise ValueError(f"slices of {tuple(x.shape[2:])} pixels: pad to {pad_to}, multiples of {need}")
        h = x.repeat(1, self.settings.repeat, 1, 1) if self.settings.repeat > 1 else x
        skips: list[Tensor] = []
        for level, block in enumerate(self.encoder):
            h = block(functional.avg_pool2d(h, 2) if level else h)
            skips.append(h)
        skips.pop()
        for lift, block in zip(self.lift, self.decoder, strict=True):
            h = block(torch.cat([skips.pop(), lift(h)], dim=1))
        out: Tensor = self.head(h)
        return out
