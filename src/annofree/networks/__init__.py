"""Networks: torch modules of our own, builders by name, and weights on disk."""

from annofree.networks.build import build
from annofree.networks.store import load_network, save_network
from annofree.networks.unet import ThinUNet, ThinUNetSettings

__all__ = ["ThinUNet", "ThinUNetSettings", "build", "load_network", "save_network"]
