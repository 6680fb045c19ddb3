"""What the picture itself says: whether fluid is bright or dark, and where the bright matter lies.

In T2 fluid is far brighter than the rest and lies deep; in FLAIR the fluid is dark and the cortex outshines the depth;
in T1 nothing is far brighter than the rest. Five slices of the middle of the head are looked at, at about 2 mm, so a
study's guess costs a few megabytes. The limits were read off pictures with known sequences, never off masks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree.formats.dicom.pixels import decode, without_padding
from annofree.formats.dicom.study import Series

_MM = 2.0
#: The middle of a head lies deeper than this part of its deepest point, which lies this deep at least.
_INNER, _MIN_DEPTH_MM = 0.28, 30.0
#: Ratio of the brightest fiftieth to the median below which a picture has no bright tail.
_FLAT = 1.36


@dataclass(frozen=True)
class PictureEvidence:
    """What a picture speaks for.

    Attributes:
        points: Evidence for T1, T2 and FLAIR.
        reason: The reason in words.
        bright: How far the brightest thousandth of the middle lies above its median, in medians.
    """

    points: dict[str, float]
    reason: str | None
    bright: float


def read_picture(series: Series) -> PictureEvidence | None:
    """What the middle of a series speaks for; None where its pixels cannot be read."""
    if series.stack is None:
        return None
    present = series.stack.frames
    picks = sorted({round(len(present) * share) for share in (0.4, 0.45, 0.5, 0.55, 0.6)} & set(range(len(present))))
    try:
        chosen = [present[i] for i in picks]
        if any(frame.low_bit for frame in chosen):
            return None
        slices = [without_padding(decode(f.path, f.index), f).astype(np.float32) * np.float32(f.slope) for f in chosen]
        if series.first.photometric == "MONOCHROME1":
            slices = [picture.max() - picture for picture in slices]
    except Exception:  # a series that cannot be decoded says so when it is taken
        return None
    step = [max(1, round(_MM / edge)) for edge in (series.first.spacing_mm or (1.0, 1.0))]
    rows, columns = series.first.spacing_mm or (1.0, 1.0)
    thinned = [picture[:: step[0], :: step[1]] for picture in slices]
    return classify_slices(thinned, (rows * step[0], columns * step[1]))


def classify_slices(slices: list[NDArray[np.float32]], spacing_mm: tuple[float, float]) -> PictureEvidence | None:
    """What slices through the middle of a head speak for.

    Slices are (rows, columns) grey levels of any scale.
    """
    inner, depths = [], []
    for picture in slices:
        depth = _depth(picture, spacing_mm)
        deepest = depth.max()
        if deepest < _MIN_DEPTH_MM:
            continue
        inside = depth > _INNER * deepest
        inner.append(picture[inside])
        depths.append(depth[inside] / deepest)
    if not inner:
        return None
    values, depth = np.concatenate(inner), np.concatenate(depths)
    low, middle, high, top = (float(np.percentile(values, p)) for p in (2, 50, 98, 99.9))
    if high <= low or middle <= 0:
        return None
    deep_is_bright = float(np.corrcoef(values, depth)[0, 1])
    points = dict.fromkeys(("T1", "T2", "FLAIR"), 0.0)
    reason = None
    if high < _FLAT * middle:
        points["T1"] += 1.5
        reason = "nothing is far brighter than the rest in the picture, as in T1"
    elif low > 0.44 * middle and deep_is_bright > 0.05 and high > 1.45 * middle:
        points["T2"] += 2.0
        reason = "deep fluid is bright in the picture, as in T2"
    elif deep_is_bright < -0.03:
        points["FLAIR"] += 0.4
        points["T2"] -= 1.0
        reason = "the cortex is brighter than the depth in the picture, as in FLAIR"
    return PictureEvidence(points, reason, top / middle - 1)


def _depth(picture: NDArray[Any], spacing_mm: tuple[float, float]) -> NDArray[np.float64]:
    """Distance in mm of each pixel of the head from the air around it."""
    from scipy import ndimage

    high = float(np.percentile(picture, 98))
    body = ndimage.binary_fill_holes(ndimage.binary_opening(picture > 0.12 * high))
    return np.asarray(ndimage.distance_transform_edt(np.pad(body, 1), sampling=spacing_mm)[1:-1, 1:-1])
