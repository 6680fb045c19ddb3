"""A study as it lies in its files: every sequence on its own grid, nothing registered, nothing stripped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree.scan import Grid, Modality


@dataclass(frozen=True, eq=False)
class Study:
    """One visit of one person before preparation.

    Attributes:
        id: Name of the scan, as the user knows it.
        images: Float32 arrays in closest-canonical RAS+ order, each on its own grid.
        grids: Canonical grid of each image.
        natives: Grid of each file.
        heads: Why a sequence looks like a head with its skull, for those that do.
        brain: A brain mask that the user gave: a file, or a boolean array on the reference's grid.
        report: The radiology report's text, if any.
        notes: What is known about the files, in sentences.
        files: Where each sequence came from.
        sized: Whether the files state how large voxels are.
    """

    id: str
    images: Mapping[Modality, NDArray[np.float32]]
    grids: Mapping[Modality, Grid]
    natives: Mapping[Modality, Grid]
    heads: Mapping[Modality, str] = field(default_factory=dict)
    brain: Path | NDArray[Any] | None = None
    report: str | None = None
    notes: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    sized: bool = True

    @property
    def raw(self) -> bool:
        """Whether a skull has to come off or sequences have to be brought together."""
        return bool(self.heads or self.elsewhere)

    @property
    def elsewhere(self) -> tuple[Modality, ...]:
        """The sequences that lie on another grid than the first one."""
        first = next(iter(self.grids.values()))
        return tuple(name for name, grid in self.grids.items() if not grid.same_as(first))
