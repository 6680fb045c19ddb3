"""What a threshold is: a rule that turns scores into a mask and can say its value, its source and what it saw."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from annofree.errors import InputError, SettingsError
from annofree.registry import Kind

Tier = Literal["T0", "R", "T1", "T2", "T3", "S"]
TIERS: tuple[str, ...] = get_args(Tier)


def worst_tier(tiers: Iterable[str]) -> str:
    """The tier that saw most, of several.

    Example:
        >>> worst_tier(["T0", "T2", "R"])
        'T2'
    """
    return max(tiers, key=TIERS.index)


@dataclass(frozen=True, eq=False)
class HealthyScores:
    """The scores of one tumour-free scan, for rules that learn their value from healthy people.

    Attributes:
        id: The scan's id.
        scores: (X, Y, Z) float32.
        brain: (X, Y, Z) boolean brain mask.
        voxel_ml: Volume of one voxel in ml.
    """

    id: str
    scores: NDArray[np.float32]
    brain: NDArray[np.bool_]
    voxel_ml: float


class Threshold(Kind, ABC):
    """A rule that turns a score map into a mask; print it to see its value and where that came from.

    Attributes:
        value: The number, where one is known; rules that look at each image have None until `resolve`.
        tier: What the choice of the value has seen ("T0" nothing about lesions ... "T3" the truth it is scored on).
        source: Where the value came from, in words.
        saw: What the rule saw: numbers of scans and voxels, ids. JSON-able.
    """

    value: float | None = None
    tier: Tier = "T0"
    source: str = ""
    saw: dict[str, Any] = Field(default_factory=dict)

    @abstractmethod
    def value_for(self, scores: NDArray[np.float32], brain: NDArray[np.bool_]) -> float:
        """The value for one score map (X, Y, Z); a finite number that depends on voxels inside the brain only.

        Raises:
            InputError: The rule has no honest value for these scores.
            SettingsError: The rule must be fitted first.
        """

    def apply(self, scores: NDArray[np.float32], brain: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The voxels of the brain that score above the value, boolean (X, Y, Z)."""
        mask: NDArray[np.bool_] = (scores > self.value_for(scores, brain)) & brain
        return mask

    def resolve(self, scores: NDArray[np.float32], brain: NDArray[np.bool_]) -> Self:
        """This rule with `value` filled in for one score map, to be kept beside the mask it gave."""
        if self.value is not None:
            return self
        return self.replace(value=self.value_for(scores, brain), saw={**self.saw, "voxels": int(brain.sum())})

    def describe(self) -> str:
        """The rule and its settings in a few words, without its value."""
        return self.kind

    def __str__(self) -> str:
        value = "per image" if self.value is None else f"{self.value:.4g}"
        facts = [self.describe(), f"tier {self.tier}", self.source, summarise(self.saw)]
        return f"{value} ({'; '.join(fact for fact in facts if fact)})"


class Fittable(Threshold):
    """A rule whose value comes from tumour-free scans; it refuses to be applied before `fit`."""

    @property
    def needed_scans(self) -> int:
        """With fewer healthy scans `fit` refuses."""
        return 1

    @abstractmethod
    def fit(self, healthy: Iterable[HealthyScores]) -> Self:
        """This rule with the value that the healthy scans give.

        Raises:
            InputError: The scans are too few, or too flat, for an honest value.
        """

    def fitted(self, value: float, source: str, ids: Sequence[str], voxels: int) -> Self:
        """This rule with its value, where that came from and what was seen."""
        return self.replace(value=value, source=source, saw={"scans": len(ids), "ids": list(ids), "voxels": voxels})

    def value_for(self, scores: NDArray[np.float32], brain: NDArray[np.bool_]) -> float:
        """The fitted value, the same for every image."""
        if self.value is None:
            raise SettingsError(
                f"The threshold '{self.describe()}' has no value yet",
                why="it learns its value from healthy scans",
                fix="Fit the method first (annofree fit), or choose a rule that needs none: fixed:2.0, otsu, mad:3",
            )
        return self.value

    def __str__(self) -> str:
        return super().__str__() if self.value is not None else f"not fitted ({self.describe()}; tier {self.tier})"


def brain_scores(scores: NDArray[np.float32], brain: NDArray[np.bool_], scan_id: str | None = None) -> NDArray[Any]:
    """The scores inside the brain as a flat array, checked.

    Raises:
        InputError: Shapes differ, the brain is empty, or a score inside it is not finite.
    """
    of = f" of '{scan_id}'" if scan_id else ""
    if scores.shape != brain.shape:
        raise InputError(f"The score map{of} has shape {scores.shape}, its brain mask {brain.shape}")
    values: NDArray[Any] = scores[brain]
    if values.size == 0:
        raise InputError(f"The brain mask{of} is empty", fix="Give a brain mask that covers the brain")
    bad = int(values.size - np.isfinite(values).sum())
    if bad:
        raise InputError(f"The score map{of} has {bad} voxels inside the brain that are not finite numbers")
    return values


def summarise(saw: Mapping[str, Any]) -> str:
    """What a rule saw as words: "saw 7 scans (a, b, c, ...), 9100000 voxels"."""
    parts = []
    for key, item in saw.items():
        if key == "ids":
            continue
        words = f"{key} {item:.4g}" if isinstance(item, float) else f"{item} {key}"
        if key == "scans" and saw.get("ids"):
            ids = list(saw["ids"])
            words += f" ({', '.join(ids[:3])}{', ...' if len(ids) > 3 else ''})"
        parts.append(words)
    return f"saw {', '.join(parts)}" if parts else ""
