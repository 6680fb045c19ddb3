"""The threshold network of BLOGRR: a residual network that looks at a slice and answers with one number in 0..1.

Published: torchvision's ResNet-18 with ImageNet weights and batch norm, started with a zero bias, so that its first
threshold is 0.5 where most errors lie below 0.2 and no gradient comes back. Here MONAI's ResNet starts from a quantile
of the errors, needs no ImageNet, and uses group norm: batch statistics of tumour slices do not fit healthy ones.
"""

from __future__ import annotations

import math
from typing import Literal, Self

import torch
from torch import Tensor, nn

from annofree.methods.reconstruction.denoising_unet import groups_of
from annofree.settings import Settings


class ThresholdNetSettings(Settings):
    """Shape of a :class:`ThresholdNet`.

    Attributes:
        in_channels: 1 sees the slice, 2 the slice and its error map.
        widths: Channels of the four stages.
        blocks: Residual blocks of each stage.
        norm: "group" with the divisor rule of the denoising U-Net, or "batch" as published.
        start: First threshold, before anything is learned; None starts as published, near 0.5.
    """

    kind: Literal["threshold_net"] = "threshold_net"
    in_channels: Literal[1, 2] = 2
    widths: tuple[int, int, int, int] = (8, 16, 32, 64)
    blocks: tuple[int, int, int, int] = (1, 1, 1, 1)
    norm: Literal["group", "batch"] = "group"
    start: float | None = 0.1

    @classmethod
    def published(cls) -> Self:
        """ResNet-18 on the slice alone: 11.2 million weights."""
        return cls(in_channels=1, widths=(64, 128, 256, 512), blocks=(2, 2, 2, 2), norm="batch", start=None)


class ThresholdNet(nn.Module):
    """From a slice, and its error map where two channels are wanted, to a threshold on the error map.

    Example:
        >>> net = ThresholdNet(ThresholdNetSettings(start=0.2))
        >>> [round(float(tau), 3) for tau in net(torch.rand(2, 2, 32, 32))]
        [0.2, 0.2]
    """

    def __init__(self, settings: ThresholdNetSettings) -> None:
        super().__init__()
        from monai.networks.nets.resnet import ResNet

        self.settings = settings
        self.net = ResNet(
            "basic",
            layers=list(settings.blocks),
            block_inplanes=list(settings.widths),
            spatial_dims=2,
            n_input_channels=settings.in_channels,
            conv1_t_size=7,
            conv1_t_stride=2,
            num_classes=1,
            bias_downsample=False,
            act=("relu", {"inplace": False}),
        )
        if settings.norm == "group":
            _replace_batch_norm(self.net)
        nn.init.xavier_uniform_(self._head().weight)
        nn.init.zeros_(self._head().bias)
        if settings.start is not None:
            self.start_at(settings.start)

    def _head(self) -> nn.Linear:
        assert self.net.fc is not None
        return self.net.fc

    @torch.no_grad()
    def start_at(self, threshold: float) -> None:
        """Answer with this threshold for every slice, until training changes it: a quantile of healthy errors.

        Raises:
            ValueError: It is not strictly between 0 and 1.
        """
        if not 0 < threshold < 1:
            raise ValueError(f"a threshold of the network lies between 0 and 1, not {threshold}")
        self._head().weight.zero_()
        self._head().bias.fill_(math.log(threshold / (1 - threshold)))

    def forward(self, x: Tensor) -> Tensor:
        """``(B, in_channels, H, W)`` to thresholds ``(B,)`` in 0..1."""
        out: Tensor = torch.sigmoid(self.net(x))[:, 0]
        return out


def _replace_batch_norm(module: nn.Module) -> None:
    """Group norm in place of every batch norm below a module."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, nn.GroupNorm(groups_of(child.num_features), child.num_features))
        else:
            _replace_batch_norm(child)
