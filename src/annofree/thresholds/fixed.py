"""A number that somebody chose."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from annofree.thresholds.base import Threshold, Tier

#: Source of a number that came with a command.
GIVEN = "given by the user"


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
    main: ClassVar[tuple[str, ...]] = ("value",)

    value: float
    tier: Tier = "T2"
    source: str = GIVEN

    def value_for(self, scores: NDArray[np.float32], brain: NDArray[np.bool_]) -> float:
        """The number itself."""
        return self.value
