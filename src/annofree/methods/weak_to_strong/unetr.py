"""UNETR (Hatamizadeh et al., WACV 2022) from MONAI: a transformer reads the volume, convolutions draw the mask."""

from __future__ import annotations

from typing import Literal, Self

from torch import Tensor, nn

from annofree.settings import Settings


class UNETRSettings(Settings):
    """Shape of a :class:`UNETR`.

    Patches have 16 voxels a side, the transformer has 12 layers, and the decoder taps layers 3, 6, 9 and 12: MONAI
    fixes these. Each position in the window has an embedding of its own, so the window's size belongs to the weights.

    Attributes:
        window: Size of the input in voxels, multiples of 16.
        feature_size: Channels at full resolution.
        hidden_size: Width of a token.
        mlp_dim: Width inside the transformer's feed-forward layers.
        num_heads: Attention heads; they share the hidden size evenly.
    """

    kind: Literal["unetr"] = "unetr"
    in_channels: int = 4
    out_channels: int = 1
    window: tuple[int, int, int] = (32, 32, 32)
    feature_size: int = 8
    hidden_size: int = 96
    mlp_dim: int = 256
    num_heads: int = 6

    @property
    def divisor(self) -> int:
        """Sides of the window are multiples of this many voxels."""
        return 16

    @classmethod
    def published(cls, window: tuple[int, int, int] = (128, 128, 128)) -> Self:
        """Feature size 16, hidden size 256, MLP 1024, 8 heads: 16,802,833 weights at 128 voxels a side."""
        return cls(window=window, feature_size=16, hidden_size=256, mlp_dim=1024, num_heads=8)


class UNETR(nn.Module):
    """MONAI's UNETR with the calling convention of this package.

    Example:
        >>> import torch
        >>> net = UNETR(UNETRSettings(window=(16, 16, 16), hidden_size=12, mlp_dim=16, num_heads=2))
        >>> tuple(net(torch.zeros(1, 4, 16, 16, 16))[0].shape)
        (1, 1, 16, 16, 16)
    """

    def __init__(self, settings: UNETRSettings) -> None:
        super().__init__()
        from monai.networks.nets import unetr

        self.settings = settings
        self.net = unetr.UNETR(
            in_channels=settings.in_channels,
            out_channels=settings.out_channels,
            img_size=settings.window,
            feature_size=settings.feature_size,
            hidden_size=settings.hidden_size,
            mlp_dim=settings.mlp_dim,
            num_heads=settings.num_heads,
            norm_name="instance",
            res_block=True,
            dropout_rate=0.0,
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """``(B, in_channels, *window)`` to a list with one ``(B, out_channels, *window)`` of logits."""
        return [self.net(x)]
