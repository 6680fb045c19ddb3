"""From a scan's arrays to what a fitted network answers, by ONNX Runtime and numpy: no torch is imported for it."""

from annofree.inference.network import Network, OnnxNetwork, load_network
from annofree.inference.predict import predict, predict_scan_array

__all__ = ["Network", "OnnxNetwork", "load_network", "predict", "predict_scan_array"]
