"""A number that somebody chose."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from annofree.errors import SettingsError
from annofree.thresholds.base import Threshold


@dataclass(frozen=True)
class Fixed(Threshold):
    """One value for every image.

    The tier is that of whoever chose the number. It is "T2" unless stated otherwise, because a number that came from
    nowhere usually came from looking at masks; say `tier="T0"` for a value fixed by the method, such as a
    probability of one half.

    Example:
        >>> print(Fixed(0.5, tier="T0", source="probability of one half"))
        0.5 (fixed; tier T0; probability of one half)
    """

    kind: ClassVar[str] = "fixed"

    value: float = field(kw_only=False)
    tier: str = field(default="T2", kw_only=True)
    source: str = field(default="given by the user", kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.value, int | float):
            raise SettingsError(f"A fixed threshold needs a number, not {self.value!r}", fix="Write it like fixed:2.0")
        super().__post_init__()

    def value_for(self, scores: NDArray[np.float32], brain: NDArray[np.bool_]) -> float:
        """The number itself."""
        return self.value
