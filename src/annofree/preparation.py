"""What was done to a raw study before a method saw it, as data: steps with their numbers, and the way back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree.modality import Modality

Affine = NDArray[np.float64]


@dataclass(frozen=True)
class StepRecord:
    """One step of a preparation.

    Attributes:
        name: The step, such as "co-registration".
        did: What it did to this study, in a sentence.
        parameters: Its settings.
        quality: Numbers that say how well it went, with units in their names.
        warnings: What looks wrong, in sentences; empty when all is well.
        picture: A PNG as a data URI, or "".
    """

    name: str
    did: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    quality: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    picture: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        quality = {name: round(float(value), 4) for name, value in self.quality.items()}
        return {**asdict(self), "quality": quality, "warnings": list(self.warnings)}


@dataclass(frozen=True, eq=False)
class Preparation:
    """The record of a prepared scan.

    Attributes:
        reference: The sequence on whose own grid the scan lies.
        movements: For each sequence the (4, 4) rigid movement from the reference's world (RAS+ mm) to its own.
        steps: What was done, in order.
        natives: The grid of each sequence's file; not written down.
        every_grid: Whether masks are wanted on the own grid of every sequence.
    """

    reference: Modality
    movements: Mapping[Modality, Affine]
    steps: tuple[StepRecord, ...] = ()
    natives: Mapping[Modality, Any] = field(default_factory=dict)
    every_grid: bool = False

    @property
    def warnings(self) -> tuple[str, ...]:
        """Everything that looked wrong, each with its step."""
        return tuple(f"{step.name}: {warning}" for step in self.steps for warning in step.warnings)

    def to_dict(self) -> dict[str, Any]:
        """As JSON, for provenance."""
        return {
            "reference": str(self.reference),
            "movements": {str(name): np.asarray(matrix).tolist() for name, matrix in self.movements.items()},
            "steps": [step.to_dict() for step in self.steps],
            "every_grid": self.every_grid,
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Preparation:
        """From provenance; the steps' records come along."""
        movements = {Modality(name): np.asarray(rows, float) for name, rows in record["movements"].items()}
        steps = tuple(StepRecord(**{**step, "warnings": tuple(step["warnings"])}) for step in record["steps"])
        every_grid = bool(record.get("every_grid", False))
        return cls(Modality(record["reference"]), movements, steps, every_grid=every_grid)
