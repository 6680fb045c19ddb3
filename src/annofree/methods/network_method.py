"""What methods with networks share: where these are kept, and how healthy scans set the smallest finding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.methods.base import Method
from annofree.methods.decide import Rules, decide
from annofree.prepare.brain import filled_brain
from annofree.refine.base import Refiner
from annofree.refine.components import healthy_min_ml
from annofree.scan import Scan

if TYPE_CHECKING:
    from torch import nn

    from annofree.inference import Network

#: Range in which healthy scans may set the smallest finding that is kept, ml: at least a few voxels of a network's
#: grid, and nothing larger than this is ever dropped for its size.
SMALLEST_ML = (0.5, 3.0)


class NetworkMethod(Method):
    """A method with a network, or with several.

    Attributes:
        folders: Where each network lies in the model folder, by its attribute.
        network: In evaluation mode; None before a fit.
        network_extra: What is kept beside its weights.
        networks: Where there are several: each with its configuration.
    """

    learned: ClassVar[tuple[str, ...]] = ("network", "network_extra")
    folders: ClassVar[Mapping[str, str]] = {"network": "network"}

    network: Network | None
    network_extra: dict[str, Any] | None
    networks: list[tuple[Network, dict[str, Any]]] | None

    def brain(self, scan: Scan) -> NDArray[np.bool_]:
        """The brain with its holes filled: dark fluid may equal the background."""
        return filled_brain(scan)

    def needed_network(self) -> Network:
        """The network. Raises `InputError`: the model is not fitted."""
        if self.network is None:
            raise self.no_network()
        return self.network

    def no_network(self) -> InputError:
        """What to say of a model that is not fitted."""
        what = f"This {self.name} model has no network"
        return InputError(what, fix="Fit it, or leave --model out to use the shipped one")

    def with_network(
        self, module: nn.Module, learned_from: dict[str, Any], extra: dict[str, Any] | None = None
    ) -> Self:
        """This method with a trained network, what that learned from on the card, and what is kept beside it."""
        from annofree.inference.torch_network import TorchNetwork

        card = {**self.card, "learned from": learned_from}
        return self.replace(network=TorchNetwork(module), network_extra=extra, card=card)

    def called(self, scans: Iterable[Scan], refiners: Iterable[Refiner]) -> list[tuple[NDArray[np.bool_], float]]:
        """What is called tumour in each scan with these refiners, (X, Y, Z), and its voxel volume in ml."""
        rules = Rules(self.thresholds, {"WT": tuple(refiners)})
        masks = []
        for scan in map(self.prepared, scans):
            decision = decide(replace(self.score(scan), rules=rules), scan)
            masks.append((decision.labels > 0, scan.voxel_ml))
        return masks

    def smallest_ml(self, healthy: Iterable[Scan], refiners: Iterable[Refiner]) -> float:
        """The volume at which half of healthy people have nothing called, within `SMALLEST_ML`, two digits."""
        found = healthy_min_ml(self.called(healthy, refiners), alpha=0.5)
        return round(float(np.clip(found, *SMALLEST_ML)), 2)

    def save_weights(self, folder: Path) -> None:
        """The networks: half precision, and the ONNX form."""
        for name, place in self.folders.items():
            network: Network | None = getattr(self, name)
            if network is not None:
                network.save(folder / place, extra=self.network_extra if name == "network" else None)

    def load_weights(self, folder: Path) -> dict[str, Any]:
        """Read the networks that `save_weights` wrote."""
        from annofree.inference import load_network

        found: dict[str, Any] = {}
        for name, place in self.folders.items():
            if (folder / place).is_dir():
                found[name], config = load_network(folder / place)
                if name == "network":
                    found["network_extra"] = {key: value for key, value in config.items() if key != "network"}
        return found
