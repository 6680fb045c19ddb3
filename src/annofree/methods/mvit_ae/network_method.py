"""What both forms share: one network, its fit, and where it is kept."""

from __future__ import annotations

import json
from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from numpy.typing import NDArray

from annofree.methods.base import Method
from annofree.prepare.brain import filled_brain
from annofree.scan import Cohort, Scan

if TYPE_CHECKING:
    import numpy as np

    from annofree.inference import Network
    from annofree.methods.mvit_ae.fit import Fitted

NETWORK = "networks/0"


class NetworkMethod(Method):
    """A method with one autoencoder.

    Attributes:
        network: In evaluation mode; None before a fit.
        network_extra: What is kept beside its weights.
    """

    learned: ClassVar[tuple[str, ...]] = ("network", "network_extra")

    network: Network | None
    network_extra: dict[str, Any] | None

    def brain(self, scan: Scan) -> NDArray[np.bool_]:
        """The brain with its holes filled: dark fluid may equal the background."""
        return filled_brain(scan)

    @property
    def fit_mb(self) -> int:
        """Checkpoints, and the slices that are learned from."""
        return 400

    @abstractmethod
    def trained(self, workspace: Path, healthy: Cohort | None, patients: Cohort | None) -> Fitted:
        """The fit itself."""

    def learn(self, workspace: Path | None, healthy: Cohort | None, patients: Cohort | None) -> Self:
        """A method with a trained network; what a stopped fit left in `workspace` is used again."""
        import tempfile

        from annofree.inference.torch_network import TorchNetwork

        with tempfile.TemporaryDirectory() as temporary:
            fitted = self.trained(workspace or Path(temporary), healthy, patients)
        card = {**self.card, "learned from": fitted.card}
        return self.replace(network=TorchNetwork(fitted.network), network_extra=fitted.extra, card=card)

    def save_weights(self, folder: Path) -> None:
        """The network: half precision, and the ONNX form."""
        if self.network is not None:
            self.network.save(folder / NETWORK, extra=json.loads(json.dumps(self.network_extra or {})))

    def load_weights(self, folder: Path) -> dict[str, Any]:
        """Read the network that `save_weights` wrote."""
        from annofree.inference import load_network

        if not (folder / NETWORK).is_dir():
            return {}
        network, config = load_network(folder / NETWORK)
        return {"network": network, "network_extra": {key: v for key, v in config.items() if key != "network"}}
