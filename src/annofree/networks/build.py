"""From a readable description to a network."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from torch import nn

from annofree.errors import SettingsError
from annofree.settings import Settings

#: The ``kind`` in a config, the module that holds the network, and its settings and class there. Plain data, so that a
#: network that belongs to one method lives with that method and is loaded when it is built.
NETWORKS: dict[str, tuple[str, str, str]] = {
    "thin_unet": ("annofree.networks.unet", "ThinUNetSettings", "ThinUNet"),
    "dyn_unet": ("annofree.networks.dyn_unet", "DynUNetSettings", "DynUNet"),
    "denoising_unet": ("annofree.methods.reconstruction.denoising_unet", "DenoisingUNetSettings", "DenoisingUNet"),
    "ae": ("annofree.methods.reconstruction.ae", "AESettings", "AutoEncoder"),
    "vae": ("annofree.methods.reconstruction.vae", "VAESettings", "VariationalAutoEncoder"),
    "vq_vae": ("annofree.methods.reconstruction.vq_vae", "VQVAESettings", "VectorQuantisedAutoEncoder"),
    "fanogan": ("annofree.methods.reconstruction.fanogan", "FAnoGANSettings", "FAnoGAN"),
    "threshold_net": ("annofree.methods.blogrr.threshold_net", "ThresholdNetSettings", "ThresholdNet"),
    "mvit_ae": ("annofree.methods.mvit_ae.network", "MaskedViTAESettings", "MaskedViTAE"),
    "vit_ae": ("annofree.methods.mvit_ae.network", "ViTAESettings", "ViTAE"),
    "unetr": ("annofree.methods.weak_to_strong.unetr", "UNETRSettings", "UNETR"),
    "flat_unet": ("annofree.methods.weak_to_strong.flat_unet", "FlatUNetSettings", "FlatUNet"),
    "prompt_net": ("annofree.refine.promptable.network", "PromptNetSettings", "PromptNet"),
}


def parse(config: Mapping[str, Any] | Settings) -> Settings:
    """Settings of a network from a mapping with a ``kind``.

    Raises:
        SettingsError: The kind or a key is unknown.
    """
    if isinstance(config, Settings):
        return config
    kind = str(config.get("kind", ""))
    if kind not in NETWORKS:
        near = difflib.get_close_matches(kind, list(NETWORKS), n=1, cutoff=0.3)
        raise SettingsError(
            f"'{kind}' is not a kind of network",
            fix=f"Did you mean '{near[0]}'?" if near else f"Use one of {', '.join(NETWORKS)}",
        )
    module, settings, _ = NETWORKS[kind]
    found: Settings = getattr(import_module(module), settings)(**dict(config))
    return found


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
    module, _, network = NETWORKS[settings.kind]  # type: ignore[attr-defined]
    made: nn.Module = getattr(import_module(module), network)(settings)
    return made
