"""Networks: torch modules of our own, builders by name, inputs, and weights on disk."""

from annofree.networks.build import build
from annofree.networks.inputs import CHANNELS, network_input, normalise
from annofree.networks.store import load_network, save_network
from annofree.networks.unet import ThinUNet, ThinUNetSettings

__all__ = [
    "CHANNELS",
    "ThinUNet",
    "ThinUNetSettings",
    "build",
    "load_network",
    "network_input",
    "normalise",
    "save_network",
]
