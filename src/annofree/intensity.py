"""Normalisation of grey levels inside the brain, each with an exact way back.

A raw MRI grey level has no unit; every score that is comparable between scans starts here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError

Rule = Literal["robust-z", "percentile-99", "min-max"]
RULES: tuple[Rule, ...] = ("robust-z", "percentile-99", "min-max")


@dataclass(frozen=True)
class Normalisation:
    """A linear change of grey levels: `(image - shift) / scale`.

    Attributes:
        rule: "robust-z" (median and 1.4826 MAD), "percentile-99" (zero to the 99th percentile) or "min-max".
        shift: Subtracted, in grey levels.
        scale: Divided by, in grey levels; positive.
    """

    rule: Rule
    shift: float
    scale: float

    @classmethod
    def fit(cls, image: NDArray[np.float32], brain: NDArray[np.bool_], rule: Rule = "robust-z") -> Normalisation:
        """Measure shift and scale inside the brain.

        Args:
            image: (X, Y, Z) grey levels.
            brain: (X, Y, Z) boolean mask.
            rule: Which normalisation.

        Raises:
            InputError: The brain is empty or the image is constant inside it.
        """
        inside = image[brain]
        if inside.size == 0:
            raise InputError("The brain mask is empty", fix="Check the image, or give a mask with --brain-mask")
        if rule == "robust-z":
            shift = float(np.median(inside))
            scale = 1.4826 * float(np.median(np.abs(inside - shift)))
        elif rule == "percentile-99":
            shift, scale = 0.0, float(np.percentile(inside, 99))
        elif rule == "min-max":
            shift = float(inside.min())
            scale = float(inside.max()) - shift
        else:
            raise InputError(f"'{rule}' is not a normalisation", fix=f"Use one of {', '.join(RULES)}")
        if not scale > 0:
            raise InputError(
                "The image has no contrast inside the brain",
                why=f"its spread by the rule '{rule}' is {scale:g}",
                fix="Check that the file holds an MRI and that the mask fits it",
            )
        return cls(rule, shift, scale)

    def __call__(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """The image with normalised grey levels, float32."""
        return ((image - np.float32(self.shift)) / np.float32(self.scale)).astype(np.float32, copy=False)

    def back(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Normalised grey levels back in the image's own."""
        return (image * np.float32(self.scale) + np.float32(self.shift)).astype(np.float32, copy=False)

    def to_dict(self) -> dict[str, str | float]:
        """For provenance."""
        return {"rule": self.rule, "shift": self.shift, "scale": self.scale}
