"""What both forms share: one network, its fit, and where it is kept."""

from __future__ import annotations

import json
from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from annofree.methods.base import Method
from annofree.prepare.brain import filled_brain
from annofree.scan import Cohort, Scan
from annofree.settings import Settings

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

    def __init__(self, settings: Settings | None = None, **options: Any) -> None:
        super().__init__(settings, **options)
        self.network: Network | None = None
        self.network_extra: dict[str, Any] = {}

    def brain(self, scan: Scan) -> NDArray[np.bool_]:
        """The brain with its holes filled: dark fluid may equal the background."""
        return filled_brain(scan)

    @abstractmethod
    def trained(self, workspace: Path, healthy: Cohort | None, patients: Cohort | None) -> Fitted:
        """The fit itself."""

    def learn(self, healthy: Cohort | None, patients: Cohort | None) -> None:
        """Train the network, in `workspace` where that is set; a stopped fit goes on from there."""
        import tempfile

        from annofree.inference.torch_network import TorchNetwork

        with tempfile.TemporaryDirectory() as temporary:
            fitted = self.trained(self.workspace or Path(temporary), healthy, patients)
        self.network, self.network_extra = TorchNetwork(fitted.network), fitted.extra
        self.card["learned from"] = fitted.card

    def save_weights(self, folder: Path) -> None:
        """The network: half precision, and the ONNX form."""
        if self.network is not None:
            self.network.save(folder / NETWORK, extra=json.loads(json.dumps(self.network_extra)))

    def load_weights(self, folder: Path) -> None:
        """Read the network that `save_weights` wrote."""
        from annofree.inference import load_network

        if (folder / NETWORK).is_dir():
            self.network, config = load_network(folder / NETWORK)
            self.network_extra = {key: value for key, value in config.items() if key != "network"}
