"""From a scan's arrays to what a fitted network answers, by ONNX Runtime and numpy: no torch is imported for it."""

from annofree.formats.network_folder import MODEL
from annofree.inference.channels import CHANNELS, network_input, normalise
from annofree.inference.network import Network, OnnxNetwork
from annofree.inference.predict import predict, predict_scan_array
from annofree.inference.store import load_network

__all__ = [
    "CHANNELS",
    "MODEL",
    "Network",
    "OnnxNetwork",
    "load_network",
    "network_input",
    "normalise",
    "predict",
    "predict_scan_array",
]
