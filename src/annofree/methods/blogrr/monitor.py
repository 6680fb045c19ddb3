"""Watching a bi-level training: the Dice of the two networks on labelled scans, plotted and never used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from annofree.masks import dice
from annofree.scan import Scan, scoring

if TYPE_CHECKING:
    from torch import nn

    from annofree.methods.base import Method
    from annofree.methods.blogrr.bilevel import Monitor

#: Phantoms that are watched; their seeds are used nowhere else.
_SEEDS = (990_001, 990_002, 990_003)
_SPACING_MM = 3.0


def monitor_on(method: Method, where: str | None) -> Monitor | None:
    """The function that looks at two networks in training, on labelled scans in a folder or on "phantoms"."""
    if where is None:
        return None
    from annofree.inference.torch_network import TorchNetwork
    from annofree.thresholds.fixed import Fixed

    cases = list(_phantoms() if where == "phantoms" else _labelled(Path(where)))

    def measure(reconstructor: nn.Module, thresholder: nn.Module) -> dict[str, float]:
        rule = Fixed(value=1.0, tier="R", source="the threshold network")
        pair = {"network": TorchNetwork(reconstructor), "thresholder": TorchNetwork(thresholder)}
        watcher = method.replace(**pair, folds={}, thresholds={"WT": rule})
        dices = [dice(watcher.segment(scan).mask("WT"), truth, empty=0.0) for scan, truth in cases]
        return {"dice": float(np.mean(dices))}

    return measure


def _phantoms() -> Iterator[tuple[Scan, NDArray[np.bool_]]]:
    from annofree.phantom import phantom_subject

    for seed in _SEEDS:
        subject = phantom_subject(seed, spacing_mm=_SPACING_MM)
        yield subject.scan, subject.labels > 0


def _labelled(folder: Path) -> Iterator[tuple[Scan, NDArray[np.bool_]]]:
    """Scans with truth. Truth is opened for these curves alone: no weight, round or setting is chosen by them."""
    from annofree.formats import open_cohort
    from annofree.formats.truth import open_truth
    from annofree.prepare import Recipe

    for scan in open_cohort(folder, prepare=Recipe()):
        with scoring("a monitor that chooses nothing"):
            yield scan, open_truth(folder, scan.id, scan.grid, native=scan.native, files=scan.files.values()).labels > 0
