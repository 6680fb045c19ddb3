"""From a scan's arrays to what a fitted network answers, by ONNX Runtime and numpy: no torch is imported for it."""

from annofree.inference.network import Network, OnnxNetwork
from annofree.inference.predict import predict, predict_scan_array
from annofree.inference.store import load_network

__all__ = ["Network", "OnnxNetwork", "load_network", "predict", "predict_scan_array"]
