"""Redraw a mask by a small network that learned, on made tumours, what rough masks get wrong."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from annofree.masks import Mask, bounding_box, components, margin_for
from annofree.refine.base import RefineContext, Refiner
from annofree.scan import Grid, Modality

if TYPE_CHECKING:
    from annofree.inference import Network

_SHIPPED = Path(__file__).resolve().parents[2] / "weights" / "promptable"


class Promptable(Refiner):
    """Component by component, every voxel within 12 mm is called anew.

    Each voxel is described relative to what the component holds and what lies around it, on a grid of 2 mm, and a
    perceptron decides (see `voxels.py`). It learned from made tumours and faulty masks of them;
    no lesion of any patient entered.

    Attributes:
        weights: Folder of a network that `fit_prompt_net` wrote; None takes the shipped one.
        most: How many components, the largest first, are redrawn; the others stay.
    """

    kind: ClassVar[str] = "promptable"
    draws_border: ClassVar[bool] = True
    main: ClassVar[tuple[str, ...]] = ("most",)

    weights: str | None = None
    most: int = Field(default=20, ge=1)

    def check(self) -> None:
        """Raise now what would fail for every scan: a folder without a network."""
        _network(self.weights)

    def apply(self, mask: Mask, context: RefineContext) -> Mask:
        """The mask redrawn; the mask itself, with a note in the context, where there are no images."""
        if not context.images:
            if mask.any():
                context.notes.append("promptable skipped: no images to look at")
            return mask.copy()
        network = _network(self.weights)
        parts, count = components(mask)
        sizes = np.bincount(parts.ravel(), minlength=count + 1)[1:]
        result = mask.copy()
        redrawn = np.argsort(-sizes, kind="stable")[: self.most] + 1
        result[np.isin(parts, redrawn)] = False
        for part in redrawn:
            self._redraw(parts == part, mask, result, context, network)
        return result

    def _redraw(self, part: Mask, mask: Mask, result: Mask, context: RefineContext, network: Network) -> None:
        """Write one component anew into the result."""
        from annofree.prepare.resample import grid_at, resample
        from annofree.refine.promptable.voxels import REACH_MM, SPACING_MM, describe_voxels, predict_near, squashed

        box = bounding_box(part, margin_for(2 * REACH_MM, context.spacing_mm))
        assert box is not None
        others = mask[box] & ~part[box]
        own = Grid(others.shape, np.diag([*context.spacing_mm, 1.0]))
        coarse = grid_at(own, SPACING_MM)
        images = np.zeros((len(Modality), *coarse.shape), dtype=np.float32)
        present = np.array([sequence in (context.images or {}) for sequence in Modality])
        for channel, sequence in enumerate(Modality):
            if present[channel]:
                images[channel] = resample((context.images or {})[sequence][box], own, coarse, 1)
        threshold = 0.0 if context.threshold_value is None else context.threshold_value
        soft = squashed(context.scores[box], threshold, part[box]) if context.threshold_value is not None else part[box]
        brain = resample(context.brain[box] & ~others, own, coarse, 0)
        rough = resample(part[box].astype(np.float32), own, coarse, 1) >= 0.5
        if not rough.any():
            result[box] |= part[box]
            return
        where, rows = describe_voxels(images, brain, present, rough, _on(soft, own, coarse))
        found = _on(predict_near(network, where, rows), coarse, own)
        result[box] |= (found > 0.5) & context.brain[box] & ~others


def _on(values: NDArray[np.floating] | Mask, source: Grid, target: Grid) -> NDArray[np.float32]:
    from annofree.prepare.resample import resample

    brought: NDArray[np.float32] = resample(np.asarray(values, dtype=np.float32), source, target, 1)
    return brought


@lru_cache(maxsize=1)
def _network(folder: str | None) -> Network:
    from annofree.inference import load_network

    return load_network(_SHIPPED if folder is None else folder)[0]
