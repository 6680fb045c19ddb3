"""MONAI's residual 2-D U-Net, for slices and pictures, and its training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from annofree.settings import Settings

if TYPE_CHECKING:
    from annofree.training.loop import Objective
    from annofree.training.settings import TrainSettings
    from annofree.training.stream import Sampler


class FlatUNetSettings(Settings):
    """Shape of a :class:`FlatUNet`, each of whose levels halves the picture; by default the published weak stage's."""

    kind: Literal["flat_unet"] = "flat_unet"
    in_channels: int = 1
    out_channels: int = 1
    widths: tuple[int, ...] = (16, 32, 64, 128, 256)
    residual_units: int = 2

    @property
    def divisor(self) -> int:
        """Both sides of a picture are multiples of this many pixels."""
        return int(2 ** (len(self.widths) - 1))


class FlatUNet(nn.Module):
    """MONAI's UNet in two dimensions with the calling convention of this package."""

    def __init__(self, settings: FlatUNetSettings) -> None:
        super().__init__()
        from monai.networks.nets.unet import UNet

        self.settings = settings
        self.net = UNet(
            spatial_dims=2,
            in_channels=settings.in_channels,
            out_channels=settings.out_channels,
            channels=settings.widths,
            strides=(2,) * (len(settings.widths) - 1),
            num_res_units=settings.residual_units,
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """``(B, in_channels, H, W)`` to a list with one ``(B, out_channels, H, W)`` of logits."""
        return [self.net(x)]


def fit_flat_unet(
    network: FlatUNetSettings, sampler: Sampler, objective: Objective, folder: Path, recipe: TrainSettings
) -> nn.Module:
    """Train a fresh one; the last weights, ready to predict."""
    from annofree.networks import build, load_network
    from annofree.training.loop import train

    torch.manual_seed(recipe.seed)
    train(build(network), sampler, objective, folder, settings=recipe)
    return load_network(folder / "last")[0]
