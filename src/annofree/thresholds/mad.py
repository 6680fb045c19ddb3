"""So many robust standard deviations above the brain's own median."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from annofree.errors import InputError
from annofree.thresholds.base import Threshold, brain_scores


class Mad(Threshold):
    """Median + k x 1.4826 x median absolute deviation of the brain's scores; looks at the image alone.

    1.4826 makes the deviation equal the standard deviation of normally distributed scores.

    Attributes:
        k: Number of robust standard deviations.
    """

    kind: ClassVar[str] = "mad"
    main: ClassVar[tuple[str, ...]] = ("k",)

    k: float = Field(3.0, ge=0)
    source: str = "the image's own median and spread"

    def value_for(self, scores: NDArray[np.float32], brain: NDArray[np.bool_]) -> float:
        """The value for these scores."""
        values = brain_scores(scores, brain).astype(np.float64)
        median = float(np.median(values))
        spread = float(np.median(np.abs(values - median)))
        if spread == 0:
            raise InputError(
                "These scores have no spread to count in",
                why=f"at least half of the brain scores exactly {median:.4g}",
                fix="Use a fixed value or one from healthy scans, such as healthy-quantile:0.99",
            )
        return median + self.k * 1.4826 * spread

    def describe(self) -> str:
        """The rule and its k."""
        return f"mad, median + {self.k:g} robust standard deviations"
