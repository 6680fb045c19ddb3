"""Normalisation of grey levels inside the brain, each with an exact way back.

A raw MRI grey level has no unit; every score that is comparable between scans starts here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError

#: Grey levels this many robust spreads from the middle of the brain are no tissue's.
EXTREME = 50.0
#: About so many voxels tell the robust level of a brain.
_SAMPLE = 60_000
#: Percentiles between which nearly all grey levels lie, and the part of that range that still counts as dark.
_NEARLY_ALL, _DARK = (0.5, 99.5), 0.05
#: Width of the middle 90 % of a normal distribution in standard deviations.
_MIDDLE_90 = 3.2897

Rule = Literal["robust-z", "percentile-99", "min-max"]
RULES: tuple[Rule, ...] = ("robust-z", "percentile-99", "min-max")


def robust_level(values: NDArray[Any], median: Callable[[NDArray[Any]], Any] = np.median) -> tuple[float, float]:
    """Middle and spread of grey levels or scores, in their own unit: the one robust scale of the package.

    The spread is 1.4826 times the median absolute deviation from the median, for normally distributed values their
    standard deviation. Where more than half of the values are (nearly) one value, it is that of the middle 90 %, then
    that of all. Every step moves with the unit and with an added constant, and none but the last with extreme values.

    Args:
        values: Any shape, at least one value.
        median: By default the mean of the two middle values where their number is even.

    Returns:
        Middle, and spread; the spread is 1 where all values are the same, never 0.
    """
    flat = np.asarray(values).ravel()
    middle = median(flat)
    spread = 1.4826 * float(median(np.abs(flat - middle)))
    outer = int(0.05 * (flat.size - 1))
    low, high = np.partition(flat, (outer, flat.size - 1 - outer))[[outer, flat.size - 1 - outer]]
    wide = (float(high) - float(low)) / _MIDDLE_90
    if spread <= 0.05 * wide:
        spread = wide
    if not spread > 0:
        spread = float(flat.std(dtype=np.float64))
    return float(middle), spread if spread > 0 and np.isfinite(spread) else 1.0


def without_extremes(image: NDArray[np.float32], brain: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Grey levels cut where no tissue is: `EXTREME` robust spreads from the brain's middle, and a background of grey.

    A few voxels of 10^6 say nothing of a brain, but spread over their neighbourhood when an image is resampled or
    smoothed. So does a background that is as bright as tissue, as images have whose brain was scaled to mean 0: it
    becomes as dark as the brain's darkest part. An image with neither is returned as it is. Image (X, Y, Z); brain
    boolean, not empty.
    """
    inside = image[brain]
    sample = inside[:: max(1, inside.size // _SAMPLE)]
    middle, spread = robust_level(sample)
    low, high = np.float32(middle - EXTREME * spread), np.float32(middle + EXTREME * spread)
    if inside.min() < low or inside.max() > high:
        image = np.where(brain, np.clip(image, low, high), image)
    dark, bright = np.percentile(sample, _NEARLY_ALL)
    if not brain[0, 0, 0] and dark + _DARK * (bright - dark) < image[0, 0, 0] < bright:
        image = np.where(brain, image, np.float32(dark))
    return image


def air_level(head: NDArray[np.float32]) -> np.float32:
    """The grey level of air in a whole head (X, Y, Z), for what lies outside the brain.

    It is 0, but where a constant was added or grey levels were scaled to mean 0: 0 would be bright there.
    """
    dark, bright = np.percentile(head[::2, ::2, ::2], _NEARLY_ALL)
    return np.float32(0.0 if abs(dark) <= _DARK * (bright - dark) else dark)


def otsu_cut(counts: NDArray[Any], centres: NDArray[Any], classes: int = 2) -> float:
    """The highest cut of Otsu's rule: between classes of grey levels whose means lie as far apart as can be.

    Sources: Otsu, IEEE Trans. SMC 9(1), 1979; for several classes Liao, Chen and Chung, JISE 17(5), 2001, here by
    dynamic programming, so that time grows with the number of classes and not with its power.

    Args:
        counts: Histogram, (N,).
        centres: Grey level of each bin, (N,), ascending.
        classes: Number of classes, at most the number of bins that are not empty.

    Returns:
        The centre of the last bin below the highest class; the lowest such bin where several cut alike.

    Example:
        >>> otsu_cut(np.array([4, 1, 0, 0, 3]), np.arange(5.0))
        1.0
    """
    share = np.concatenate([[0.0], np.cumsum(counts, dtype=np.float64)])
    moment = np.concatenate([[0.0], np.cumsum(np.asarray(counts, dtype=np.float64) * centres)])
    size = len(share)
    lower = np.arange(size)[:, None] < np.arange(size)[None, :]
    weight = share[None, :] - share[:, None]
    # what a class from one bin to another adds to the variance between classes; an empty class is none
    gain = np.full((size, size), -np.inf)
    np.divide((moment[None, :] - moment[:, None]) ** 2, weight, out=gain, where=lower & (weight > 0))
    best = gain[0]
    for _ in range(classes - 2):
        best = (best[:, None] + gain).max(axis=0)
    return float(centres[int(np.argmax(best + gain[:, -1])) - 1])


@dataclass(frozen=True)
class Normalisation:
    """A linear change of grey levels: `(image - shift) / scale`.

    Attributes:
        rule: "robust-z" (`robust_level`), "percentile-99" (zero to the 99th percentile) or "min-max".
        shift: Subtracted, in grey levels.
        scale: Divided by, in grey levels; positive.
    """

    rule: Rule
    shift: float
    scale: float

    @classmethod
    def fit(cls, image: NDArray[np.float32], brain: NDArray[np.bool_], rule: Rule = "robust-z") -> Normalisation:
        """Measure shift and scale inside the brain.

        Image (X, Y, Z), brain boolean.

        Raises:
            InputError: The brain is empty or the image is constant inside it.
        """
        inside = image[brain]
        if inside.size == 0:
            raise InputError("The brain mask is empty", fix="Check the image, or give a mask with --brain-mask")
        if rule == "robust-z":
            shift, scale = robust_level(inside)
            scale = scale if inside.min() < inside.max() else 0.0
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
