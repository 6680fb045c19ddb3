"""What the steps of a preparation hand on to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from annofree.formats.study import Study
from annofree.preparation import StepRecord
from annofree.scan import Grid, Modality

#: Sequences in the order in which the brain is outlined best on them.
BRAIN_ORDER = (Modality.T1, Modality.T1C, Modality.FLAIR, Modality.T2)


@dataclass(frozen=True, eq=False)
class Work:
    """A study on its way.

    Attributes:
        study: As it lies in its files.
        reference: The sequence on whose grid the scan will lie.
        images: Each on the grid of that name in `grids`.
        grids: Canonical grids, in each sequence's own world.
        movements: (4, 4) from the reference's world to each sequence's; identity until they are registered.
        brain: The mask, on `grids[brain_on]`, or None while nobody looked.
        brain_on: The sequence that the brain was outlined on.
        steps: What was done so far.
    """

    study: Study
    reference: Modality
    images: Mapping[Modality, NDArray[np.float32]]
    grids: Mapping[Modality, Grid]
    movements: Mapping[Modality, NDArray[np.float64]]
    brain: NDArray[np.bool_] | None = None
    brain_on: Modality | None = None
    steps: tuple[StepRecord, ...] = field(default=())

    @classmethod
    def begin(cls, study: Study, reference: Modality) -> Self:
        """A study before the first step."""
        return cls(study, reference, study.images, study.grids, {name: np.eye(4) for name in study.images})

    def after(self, record: StepRecord, **changes: Any) -> Work:
        """The same after one more step."""
        return replace(self, steps=(*self.steps, record), **changes)

    @property
    def hub(self) -> Modality:
        """The sequence that the brain is looked for on, and that all others are registered to."""
        return self.brain_on if self.brain_on is not None else next(name for name in BRAIN_ORDER if name in self.images)


class Step(Protocol):
    """One step: a frozen set of parameters that turns work into further work and says how well that went."""

    def __call__(self, work: Work) -> Work:
        """Do it."""
