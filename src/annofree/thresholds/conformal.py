"""The false-positive volume in a new healthy person, kept below a limit at a stated level."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import Field

from annofree.errors import InputError, SettingsError
from annofree.thresholds.base import Fittable, HealthyScores, brain_scores
from annofree.thresholds.healthy import not_extreme


class Conformal(Fittable):
    """At most `max_ml` of a new healthy brain lies above the value, for a share `1 - alpha` of healthy people.

    Each healthy scan gives the smallest value that leaves at most `max_ml` of it above. Of these n values, the
    `ceil((n + 1)(1 - alpha))`-th smallest is taken: split conformal prediction (Vovk 2005; Angelopoulos & Bates
    2023), valid for any distribution of scores as long as the new person is exchangeable with the n. Refiners that
    only remove voxels keep the promise.

    Attributes:
        max_ml: Largest false-positive volume.
        alpha: Share of healthy people in whom it may be larger.
        floor: A lowest value; the promise holds above it all the more.
    """

    kind: ClassVar[str] = "conformal"
    main: ClassVar[tuple[str, ...]] = ("max_ml", "alpha")

    max_ml: float = Field(gt=0)
    alpha: float = Field(gt=0, lt=1)
    floor: float | None = None

    @classmethod
    def main_from_text(cls, text: str) -> dict[str, Any]:
        """The volume and the level, as in "2ml@0.2"."""
        found = re.fullmatch(r"([\d.eE+-]+)\s*ml\s*@\s*([\d.eE+-]+)", text)
        if not found:
            raise SettingsError(f"'{text}' is no volume and level")
        return {"max_ml": found[1], "alpha": found[2]}

    @property
    def needed_scans(self) -> int:
        """Healthy scans that the level needs: with fewer, no finite value can promise it."""
        return int(np.ceil((1 - self.alpha) / self.alpha - 1e-9))

    def fit(self, healthy: Iterable[HealthyScores]) -> Self:
        """The order statistic of the scans' own smallest sufficient values."""
        cuts: list[float] = []
        ids: list[str] = []
        lowest, highest, voxels = np.inf, -np.inf, 0
        for scan in healthy:
            values = brain_scores(scan.scores, scan.brain, scan.id)
            allowed = int(np.floor(self.max_ml / scan.voxel_ml + 1e-6))
            if not 0 < allowed < values.size:
                size = f"one voxel ({scan.voxel_ml:.3g} ml)" if allowed == 0 else "its whole brain"
                relation = "less" if allowed == 0 else "no less"
                raise InputError(f"{self.max_ml:g} ml is {relation} than {size} in scan '{scan.id}'")
            place = values.size - 1 - allowed
            cuts.append(float(np.partition(values, place)[place]))
            ids.append(scan.id)
            voxels += values.size
            lowest, highest = min(lowest, float(values.min())), max(highest, float(values.max()))
        if len(cuts) < self.needed_scans:
            raise InputError(
                f"The threshold '{self.describe()}' needs at least {self.needed_scans} healthy scans",
                why=f"{len(cuts)} were given",
                fix=f"Give more, or ask for a weaker level: with {len(cuts)} scans alpha must be at least "
                f"{1 / (len(cuts) + 1):.3g}",
            )
        rank = int(np.ceil((len(cuts) + 1) * (1 - self.alpha) - 1e-9))
        value = sorted(cuts)[rank - 1]
        reached = self.floor is None or value >= self.floor
        source = f"number {rank} of {len(cuts)} healthy scans' own values"
        honest = not_extreme(value, lowest, highest, self.floor, self.describe())
        return self.fitted(honest, source if reached else f"the floor, above {value:.4g}", ids, voxels)

    def describe(self) -> str:
        """The promise in words."""
        return f"conformal, at most {self.max_ml:g} ml false positive in {100 * (1 - self.alpha):g} % of healthy people"
