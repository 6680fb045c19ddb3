"""What a refiner is: a mask goes in with what is known about the scan, a better mask comes out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.masks import Mask
from annofree.registry import Kind
from annofree.scan import Modality


@dataclass(frozen=True, eq=False)
class RefineContext:
    """What a refiner may know besides the mask.

    Attributes:
        scores: (X, Y, Z) float32 score map that the mask came from.
        brain: (X, Y, Z) boolean brain mask.
        spacing_mm: Voxel edge lengths.
        images: The scan's own sequences, for refiners that look at them.
        threshold_value: The value that cut the scores, if there was one.
        inner: (X, Y, Z) boolean, what the scores of the next region in call (the core, for the whole tumour), if known.
        notes: Sentences that refiners leave behind ("appearance skipped: ..."), for the provenance.
        region: The region whose mask is refined.
        maps: Every score map that the method gave, by name, on the same grid.
        cuts: The value that cut each region's scores, by region.
    """

    scores: NDArray[np.float32]
    brain: Mask
    spacing_mm: tuple[float, float, float]
    images: Mapping[Modality, NDArray[np.float32]] | None = None
    threshold_value: float | None = None
    inner: Mask | None = None
    notes: list[str] = field(default_factory=list)
    region: str = "WT"
    maps: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    cuts: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.scores.shape != self.brain.shape:
            raise InputError(f"The score map has shape {self.scores.shape}, the brain mask {self.brain.shape}")

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in ml."""
        x, y, z = self.spacing_mm
        return x * y * z / 1000.0


class Refiner(Kind, ABC):
    """A frozen set of settings that turns a mask into a better one; never changes its input."""

    #: Whether it draws the border anew, so that what the threshold cut is only where it begins.
    draws_border: ClassVar[bool] = False

    def check(self) -> None:
        """Raise now what would fail for every scan, such as missing weights."""

    @abstractmethod
    def apply(self, mask: Mask, context: RefineContext) -> Mask:
        """The refined mask, a new boolean (X, Y, Z) array."""

    def skipped(self, mask: Mask, context: RefineContext, why: str) -> Mask:
        """The mask as it is, and a note of why."""
        context.notes.append(f"{self.kind.replace('-', ' ')} skipped: {why}")
        return mask

    def __str__(self) -> str:
        settings = ", ".join(f"{key}={value}" for key, value in self.model_dump(exclude_none=True).items())
        return f"{self.kind}({settings})"


def refine(mask: Mask, refiners: Iterable[Refiner], context: RefineContext) -> Mask:
    """Apply refiners one after the other.

    Raises:
        InputError: The mask is not on the grid of the scores.
    """
    if mask.shape != context.scores.shape:
        raise InputError(f"The mask has shape {mask.shape}, the score map {context.scores.shape}")
    for refiner in refiners:
        mask = refiner.apply(mask, context)
    return mask
