"""UNETR (Hatamizadeh et al., WACV 2022) from MONAI: a transformer reads the volume, convolutions draw the mask.

And the three sizes of the strong stage that trains it.
"""

from __future__ import annotations

from typing import Literal, Self

from torch import Tensor, nn

from annofree.methods.weak_to_strong.settings import WeakToStrongSettings
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


class Size(Settings):
    """Grid, network and recipe that belong together.

    Attributes:
        network: The UNETR; its window is what it sees at once.
        spacing_mm: Edge of its voxels.
        crop: "random" windows inside the brain, which leave nothing unseen; "centre" one fixed window about the middle
            of the brain, as published, which may cut a tumour (how much is reported).
        vary: Flips, contrast and missing sequences while training.
        batch: Windows a step. Never 1 on a processor by choice: there torch computes small 3-D convolutions of a
            single sample by a routine that was measured to take four times as long a sample.
        learning_rate: Peak rate of AdamW.
        weight_decay: Of AdamW.
        bce_weight: w of the loss w BCE + (1 - w) Dice.
        ema: Decay of the averaged weights; 0 takes the last ones.
        clip: Largest norm of the gradient.
    """

    network: UNETRSettings
    spacing_mm: float
    crop: Literal["random", "centre"] = "random"
    vary: bool = True
    batch: int = 2
    learning_rate: float = 3e-4
    weight_decay: float = 1e-5
    bce_weight: float = 0.5
    ema: float = 0.99
    clip: float = 1.0


SIZES: dict[str, Size] = {
    "small": Size(network=UNETRSettings(), spacing_mm=4.0, learning_rate=3e-3),
    "compact": Size(network=UNETRSettings.published((96, 96, 96)), spacing_mm=2.0),
    "published": Size(
        network=UNETRSettings.published(), spacing_mm=1.0, crop="centre", vary=False, batch=1, ema=0.0, clip=1e9
    ),
}


def size_of(settings: WeakToStrongSettings) -> Size:
    """The size that the settings name, with the numbers that they change."""
    own = {name: getattr(settings, name) for name in ("batch", "learning_rate", "bce_weight")}
    return SIZES[settings.size].model_copy(update={name: value for name, value in own.items() if value is not None})
