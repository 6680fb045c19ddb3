"""A 3-D residual U-Net with a thin full-resolution level, sized for training on two CPU cores."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from annofree.settings import Settings


class ThinUNetSettings(Settings):
    """Shape of a :class:`ThinUNet`.

    Attributes:
        full: Channels of the level at the input's own resolution; kept small, that level holds most voxels.
        widths: Channels of the levels below, each half as fine as the one above.
        deep_supervision: How many coarser levels get an output of their own during training.
    """

    kind: str = "thin_unet"
    in_channels: int = 15
    out_channels: int = 3
    full: int = 8
    widths: tuple[int, ...] = (24, 48, 96, 192)
    deep_supervision: int = 2

    @property
    def divisor(self) -> int:
        """Every side of the input must be a multiple of this many voxels."""
        return int(2 ** len(self.widths))


def _norm(channels: int) -> nn.Module:
    # One group a channel is instance norm; torch's GroupNorm keeps channels-last memory, InstanceNorm copies.
    return nn.GroupNorm(channels, channels)


class _Conv(nn.Conv3d):
    """A convolution that a CPU trains faster, equal to torch's but for rounding.

    oneDNN is slow where channels do not fill its blocks of sixteen: a 1x1x1 convolution is quicker as a matrix product,
    and a thin 3x3x3 one has its gradients in a third of the time in channels-last memory. Wider ones lose by it.
    """

    def forward(self, x: Tensor) -> Tensor:
        """As of :class:`torch.nn.Conv3d`."""
        if x.device.type != "cpu" or not self.training or self.stride != (1, 1, 1):
            return super().forward(x)
        if self.kernel_size == (1, 1, 1):
            weight, flat = self.weight.flatten(1).expand(x.shape[0], -1, -1), x.flatten(2)
            out = torch.bmm(weight, flat) if self.bias is None else torch.baddbmm(self.bias[:, None], weight, flat)
            return out.view(x.shape[0], -1, *x.shape[2:])
        if self.in_channels % 16:
            x = x.contiguous(memory_format=torch.channels_last_3d)
            if x.requires_grad:
                x.register_hook(Tensor.contiguous)  # type: ignore[no-untyped-call]
            return super().forward(x).contiguous()
        return super().forward(x)


def _conv(inside: int, out: int, kernel: int, stride: int = 1, *, bias: bool = False) -> nn.Conv3d:
    return _Conv(inside, out, kernel, stride, padding=(kernel - 1) // 2, bias=bias)


class ResidualBlock(nn.Module):
    """Two 3x3x3 convolutions with instance norm and a shortcut; ``stride`` 2 halves the grid."""

    def __init__(self, inside: int, out: int, stride: int = 1) -> None:
        super().__init__()
        self.first = _conv(inside, out, 3, stride)
        self.first_norm = _norm(out)
        self.second = _conv(out, out, 3)
        self.second_norm = _norm(out)
        self.shortcut = nn.Identity() if inside == out and stride == 1 else _conv(inside, out, stride, stride)
        self.act = nn.LeakyReLU(0.01, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, inside, X, Y, Z)`` to ``(B, out, X/stride, Y/stride, Z/stride)``."""
        h = self.act(self.first_norm(self.first(x)))
        h = self.second_norm(self.second(h))
        out: Tensor = self.act(h + self.shortcut(x))
        return out


class ThinUNet(nn.Module):
    """Residual encoder and decoder whose finest level is a few cheap channels.

    At full resolution the inputs are first mixed to ``full`` channels by a 1x1x1 convolution, so that no 3x3x3
    convolution there ever sees more than ``full`` channels; the body works from half resolution down. On two cores this
    halves the time of a step against the usual layout of the same body.

    Example:
        >>> net = ThinUNet(ThinUNetSettings(in_channels=4, widths=(8, 16)))
        >>> [tuple(o.shape) for o in net(torch.zeros(1, 4, 8, 8, 8))][0]
        (1, 3, 8, 8, 8)
    """

    def __init__(self, settings: ThinUNetSettings) -> None:
        super().__init__()
        self.settings = settings
        full, widths = settings.full, settings.widths
        act = nn.LeakyReLU(0.01, inplace=True)
        self.mix = nn.Sequential(_conv(settings.in_channels, full, 1), _norm(full), act)
        self.fine = nn.Sequential(_conv(full, full, 3), _norm(full), act)
        self.enter = nn.Conv3d(settings.in_channels, widths[0], 2, 2)
        self.encoder = nn.ModuleList([ResidualBlock(widths[0], widths[0])])
        self.encoder.extend(ResidualBlock(above, below, stride=2) for above, below in pairwise(widths))
        rising = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.lift = nn.ModuleList(nn.ConvTranspose3d(below, above, 2, 2) for below, above in rising)
        self.decoder = nn.ModuleList(ResidualBlock(2 * above, above) for _, above in rising)
        self.lift_full = nn.ConvTranspose3d(widths[0], full, 2, 2)
        self.head = nn.Sequential(
            _conv(2 * full, full, 1),
            _norm(full),
            act,
            _conv(full, full, 3),
            _norm(full),
            act,
            _conv(full, settings.out_channels, 1, bias=True),
        )
        self.coarse_heads = nn.ModuleList(
            _conv(width, settings.out_channels, 1, bias=True)
            for width in widths[: min(settings.deep_supervision, len(widths) - 1)]
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """``(B, in_channels, X, Y, Z)``, sides multiples of ``settings.divisor``, to ``[(B, out, X, Y, Z)]`` logits.

        While training followed by the coarser ones, each half the size of the one before.
        """
        fine = self.fine(self.mix(x))
        h = self.enter(x)
        skips: list[Tensor] = []
        for block in self.encoder:
            h = block(h)
            skips.append(h)
        skips.pop()
        levels: list[Tensor] = []
        for lift, block in zip(self.lift, self.decoder, strict=True):
            h = block(torch.cat([lift(h), skips.pop()], dim=1))
            levels.insert(0, h)
        logits = [self.head(torch.cat([self.lift_full(h), fine], dim=1))]
        if self.training:
            logits += [head(level) for head, level in zip(self.coarse_heads, levels, strict=False)]
        return logits
