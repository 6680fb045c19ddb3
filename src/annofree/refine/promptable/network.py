"""The perceptron of the promptable refiner: from a voxel's description to whether it is lesion."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from annofree.refine.promptable.voxels import FEATURES
from annofree.settings import Settings


class PromptNetSettings(Settings):
    """Shape of a `PromptNet`: how many numbers describe a voxel, and widths of the hidden layers."""

    kind: str = "prompt_net"
    features: int = FEATURES
    hidden: tuple[int, ...] = (96, 96, 48)


class PromptNet(nn.Module):
    """A perceptron from a voxel's description to the logit that it is lesion."""

    def __init__(self, settings: PromptNetSettings) -> None:
        super().__init__()
        self.settings = settings
        layers: list[nn.Module] = []
        for inside, out in pairwise((settings.features, *settings.hidden)):
            layers += [nn.Linear(inside, out), nn.GELU()]
        self.layers = nn.Sequential(*layers, nn.Linear(settings.hidden[-1], 1))

    def forward(self, x: Tensor) -> Tensor:
        """``(..., features)`` to ``(...)`` logits."""
        out: Tensor = self.layers(x)[..., 0]
        return out
