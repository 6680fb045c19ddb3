"""From a readable description to a network."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from annofree.errors import SettingsError
from annofree.networks.ae import AESettings, AutoEncoder
from annofree.networks.denoising_unet import DenoisingUNet, DenoisingUNetSettings
from annofree.networks.fanogan import FAnoGAN, FAnoGANSettings
from annofree.networks.flat_unet import FlatUNet, FlatUNetSettings
from annofree.networks.mvit_ae import MaskedViTAE, MaskedViTAESettings, ViTAE, ViTAESettings
from annofree.networks.prompt_net import PromptNet, PromptNetSettings
from annofree.networks.threshold_net import ThresholdNet, ThresholdNetSettings
from annofree.networks.unet import ThinUNet, ThinUNetSettings
from annofree.networks.unetr import UNETR, UNETRSettings
from annofree.networks.vae import VAESettings, VariationalAutoEncoder
from annofree.networks.vq_vae import VectorQuantisedAutoEncoder, VQVAESettings
from annofree.settings import Settings


class DynUNetSettings(Settings):
    """MONAI's DynUNet as the planner (:mod:`annofree.training.plan`) writes it.

    Attributes:
        kind: Name under which :func:`build` finds the network.
        in_channels: Input channels.
        out_channels: Logits, one a region.
        kernel_size: One kernel a level, three numbers each.
        strides: One stride a level, the first all ones.
        filters: Channels a level.
        residual: Residual blocks.
        deep_supervision: How many coarser levels get an output of their own during training.
    """

    kind: str = "dyn_unet"
    in_channels: int = 15
    out_channels: int = 3
    kernel_size: tuple[tuple[int, int, int], ...]
    strides: tuple[tuple[int, int, int], ...]
    filters: tuple[int, ...]
    residual: bool = True
    deep_supervision: int = 2

    @property
    def divisor(self) -> tuple[int, int, int]:
        """Every side of the input must be a multiple of this many voxels, per axis."""
        product = [1, 1, 1]
        for stride in self.strides:
            product = [p * s for p, s in zip(product, stride, strict=True)]
        return product[0], product[1], product[2]


def parse(config: Mapping[str, Any] | Settings) -> Settings:
    """Settings of a network from a mapping with a ``kind``.

    Raises:
        SettingsError: The kind or a key is unknown.
    """
    if isinstance(config, Settings):
        return config
    kind = str(config.get("kind", ""))
    if kind not in KINDS:
        near = difflib.get_close_matches(kind, list(KINDS), n=1, cutoff=0.3)
        raise SettingsError(
            f"'{kind}' is not a kind of network",
            fix=f"Did you mean '{near[0]}'?" if near else f"Use one of {', '.join(KINDS)}",
        )
    return KINDS[kind](**dict(config))


def build(config: Mapping[str, Any] | Settings) -> nn.Module:
    """Build a network with fresh weights.

    Args:
        config: Settings, or a mapping with ``kind`` and that kind's settings.

    Returns:
        A module mapping ``(B, C, X, Y, Z)`` to a list of logits, finest first (one item outside training); the 2-D
        reconstructors map slices ``(B, C, H, W)`` to slices.

    Raises:
        SettingsError: The kind or a key is unknown.

    Example:
        >>> net = build({"kind": "thin_unet", "in_channels": 4, "widths": [8, 16]})
    """
    settings = parse(config)
    return BUILDERS[type(settings)](settings)


class _DynUNet(nn.Module):
    """MONAI's DynUNet with the calling convention of this package."""

    def __init__(self, settings: DynUNetSettings) -> None:
        super().__init__()
        from monai.networks.nets.dynunet import DynUNet

        self.settings = settings
        depth = max(0, min(settings.deep_supervision, len(settings.strides) - 3))
        self.net = DynUNet(
            spatial_dims=3,
            in_channels=settings.in_channels,
            out_channels=settings.out_channels,
            kernel_size=settings.kernel_size,
            strides=settings.strides,
            upsample_kernel_size=settings.strides[1:],
            filters=settings.filters,
            norm_name=("instance", {"affine": True}),
            res_block=settings.residual,
            deep_supervision=depth > 0,
            deep_supr_num=max(depth, 1),
        )

    def forward(self, x: Any) -> list[Any]:
        """Logits, finest first; while training followed by the coarser ones, which MONAI enlarges to full size."""
        out = self.net(x)
        if out.dim() == x.dim() + 1:
            return [level.contiguous() for level in out.unbind(dim=1)]
        return [out]


#: One row a network: its settings and its class.
BUILDERS: dict[type[Settings], Callable[[Any], nn.Module]] = {
    ThinUNetSettings: ThinUNet,
    DynUNetSettings: _DynUNet,
    DenoisingUNetSettings: DenoisingUNet,
    AESettings: AutoEncoder,
    VAESettings: VariationalAutoEncoder,
    VQVAESettings: VectorQuantisedAutoEncoder,
    FAnoGANSettings: FAnoGAN,
    ThresholdNetSettings: ThresholdNet,
    MaskedViTAESettings: MaskedViTAE,
    ViTAESettings: ViTAE,
    UNETRSettings: UNETR,
    FlatUNetSettings: FlatUNet,
    PromptNetSettings: PromptNet,
}
#: Settings by the ``kind`` that stands in a config.
KINDS: dict[str, type[Settings]] = {str(cls.model_fields["kind"].default): cls for cls in BUILDERS}
