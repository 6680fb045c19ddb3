"""Networks: torch modules of our own, builders by name, inputs, inference, and weights on disk."""

from annofree.networks.build import build
from annofree.networks.infer import predict, predict_scan_array
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
    "predict",
    "predict_scan_array",
    "save_network",
]
