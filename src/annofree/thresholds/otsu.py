"""Otsu's rule on the scores inside the brain."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.intensity import otsu_cut
from annofree.thresholds.base import Threshold, brain_scores

#: Histogram bins by number of classes (the search grows with their power).
_BINS = {2: 256, 3: 256, 4: 96}


class Otsu(Threshold):
    """The cut that best separates the brain's scores into classes of equal spread (Otsu 1979; Liao 2001 for several).

    Looks at the image alone, and always finds something, in a healthy brain too.

    Attributes:
        classes: 2 to 4 classes; the mask is the highest one.
    """

    kind: ClassVar[str] = "otsu"
    main: ClassVar[tuple[str, ...]] = ("classes",)

    classes: Literal[2, 3, 4] = 2
    source: str = "largest variance between classes inside the brain"

    def value_for(self, scores: NDArray[np.float32], brain: NDArray[np.bool_]) -> float:
        """The highest of the cuts between the classes."""
        values = brain_scores(scores, brain).astype(np.float64)
        counts, edges = np.histogram(values, bins=_BINS[self.classes]) if np.ptp(values) > 0 else (np.zeros(1), None)
        if edges is None or np.count_nonzero(counts) < self.classes:
            raise InputError(
                f"Otsu's rule cannot make {self.classes} classes of these scores",
                why=f"they hold {max(1, np.count_nonzero(counts))} distinct level(s)",
                fix="Use a fixed value or one from healthy scans, such as healthy-quantile:0.99",
            )
        cut = otsu_cut(counts, (edges[:-1] + edges[1:]) / 2, self.classes)
        # The cut is the centre of the lower class's last bin; its upper edge keeps that bin whole.
        return float(cut + (edges[1] - edges[0]) / 2)

    def describe(self) -> str:
        """The rule and its number of classes."""
        return "otsu" if self.classes == 2 else f"otsu with {self.classes} classes"
