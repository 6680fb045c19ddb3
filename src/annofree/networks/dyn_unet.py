"""MONAI's DynUNet as the planner writes it."""

from __future__ import annotations

from typing import Any

from torch import nn

from annofree.settings import Settings


class DynUNetSettings(Settings):
    """MONAI's DynUNet as the planner (:mod:`annofree.training.plan`) writes it.

    Attributes:
        kernel_size: One kernel a level, three numbers each.
        strides: One stride a level, the first all ones.
        filters: Channels a level.
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


class DynUNet(nn.Module):
    """MONAI's DynUNet with the calling convention of this package."""

    def __init__(self, settings: DynUNetSettings) -> None:
        super().__init__()
        from monai.networks.nets.dynunet import DynUNet as MonaiDynUNet

        self.settings = settings
        depth = max(0, min(settings.deep_supervision, len(settings.strides) - 3))
        self.net = MonaiDynUNet(
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
