"""From a readable description to a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from torch import nn

from annofree.registry import Registry, Row
from annofree.settings import Settings


@dataclass(frozen=True, kw_only=True)
class NetworkRow(Row):
    """A kind of network: `cls` names its settings.

    Attributes:
        network: Name of its module class.
    """

    network: str


_METHODS = "annofree.methods"
_SLICES = f"{_METHODS}.reconstruction"
#: By the ``kind`` in a config. Plain data, so that a network that belongs to one method lives with that method and is
#: loaded when it is built.
NETWORKS: Registry[NetworkRow, Settings] = Registry(
    "kind of network",
    [
        NetworkRow(name=kind, module=module, cls=settings, network=network)
        for kind, module, settings, network in (
            ("thin_unet", "annofree.networks.unet", "ThinUNetSettings", "ThinUNet"),
            ("dyn_unet", "annofree.networks.dyn_unet", "DynUNetSettings", "DynUNet"),
            ("denoising_unet", f"{_SLICES}.denoising_unet", "DenoisingUNetSettings", "DenoisingUNet"),
            ("ae", f"{_SLICES}.ae", "AESettings", "AutoEncoder"),
            ("vae", f"{_SLICES}.ae", "VAESettings", "VariationalAutoEncoder"),
            ("vq_vae", f"{_SLICES}.ae", "VQVAESettings", "VectorQuantisedAutoEncoder"),
            ("fanogan", f"{_SLICES}.ae", "FAnoGANSettings", "FAnoGAN"),
            ("threshold_net", f"{_METHODS}.blogrr.threshold_net", "ThresholdNetSettings", "ThresholdNet"),
            ("mvit_ae", f"{_METHODS}.mvit_ae.network", "MaskedViTAESettings", "MaskedViTAE"),
            ("vit_ae", f"{_METHODS}.mvit_ae.network", "ViTAESettings", "ViTAE"),
            ("unetr", f"{_METHODS}.weak_to_strong.unetr", "UNETRSettings", "UNETR"),
            ("flat_unet", f"{_METHODS}.weak_to_strong.flat_unet", "FlatUNetSettings", "FlatUNet"),
            ("prompt_net", "annofree.refine.promptable.network", "PromptNetSettings", "PromptNet"),
        )
    ],
)


def parse(config: Mapping[str, Any] | Settings) -> Settings:
    """Settings of a network from a mapping with a ``kind``. Raises `SettingsError`: the kind or a key is unknown."""
    if isinstance(config, Settings):
        return config
    found: Settings = NETWORKS[str(config.get("kind", ""))].load()(**dict(config))
    return found


def build(config: Mapping[str, Any] | Settings) -> nn.Module:
    """A network with fresh weights, from its settings or a mapping with ``kind`` and that kind's settings.

    3-D networks map ``(B, C, X, Y, Z)`` to a list of logits, finest first (one item outside training); the 2-D
    reconstructors map slices ``(B, C, H, W)`` to slices.

    Raises:
        SettingsError: The kind or a key is unknown.

    Example:
        >>> net = build({"kind": "thin_unet", "in_channels": 4, "widths": [8, 16]})
    """
    settings = parse(config)
    row = NETWORKS[settings.kind]  # type: ignore[attr-defined]
    made: nn.Module = getattr(import_module(row.module), row.network)(settings)
    return made
