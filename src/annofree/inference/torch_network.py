"""A torch module behind the interface that the methods use: what a fit holds before it is saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from annofree.errors import SettingsError
from annofree.inference.predict import predict_scan_array

#: Memory formats in which convolutions are fastest, by an input's dimensions (2-D and 3-D).
_FASTEST = {4: torch.channels_last, 5: torch.channels_last_3d}


class TorchNetwork:
    """A module in evaluation mode that torch computes, on the device where its weights are."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self.settings: Any = module.settings

    def __call__(self, *inputs: NDArray[Any]) -> NDArray[np.float32]:
        """The answer to a batch, finest output only."""
        device = next(self._module.parameters()).device
        with torch.inference_mode():
            given = [torch.from_numpy(np.ascontiguousarray(value)).to(device) for value in inputs]
            given = [t.contiguous(memory_format=_FASTEST[t.ndim]) if t.ndim in _FASTEST else t for t in given]
            found = self._module(*given)
            first = found[0] if isinstance(found, list | tuple) else found
            answer: NDArray[np.float32] = first.float().cpu().numpy()
        return answer

    def on(self, device: str) -> TorchNetwork:
        """The same network with its weights moved to another device."""
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        device = "mps" if device == "coreml" else device
        if device.startswith("cuda") and not torch.cuda.is_available():
            raise SettingsError(f"The device '{device}' is not at hand", why="torch sees no such device")
        if device == "mps" and not torch.backends.mps.is_available():
            raise SettingsError(f"The device '{device}' is not at hand", why="torch sees no such device")
        self._module.to(device)
        return self

    @property
    def device(self) -> str:
        """Where its weights are."""
        return str(next(self._module.parameters()).device)

    def module(self) -> nn.Module:
        """The module itself."""
        return self._module

    def save(self, folder: str | Path, *, extra: dict[str, Any] | None = None) -> None:
        """Write config, weights (half precision) and the ONNX form, which is checked against the module.

        Raises:
            AnnofreeError: The ONNX form answers otherwise.
        """
        from annofree.inference.export import write_onnx
        from annofree.networks.store import save_network

        save_network(self._module, folder, extra=extra)
        write_onnx(self._module, folder)


def predict_tensors(module: nn.Module, images: Tensor, brain: Tensor, present: Tensor, **keywords: Any) -> Tensor:
    """`annofree.inference.predict.predict_scan_array` for tensors, as validation during training has them."""
    arrays = (value.cpu().numpy() for value in (images, brain, present))
    return torch.from_numpy(predict_scan_array(TorchNetwork(module), *arrays, **keywords))
