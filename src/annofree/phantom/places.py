"""Where a template coordinate lies: side and lobe from plain boxes in MNI millimetres.

The boxes are coarse on purpose and belong to the phantom alone; they give its known answers without an atlas.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LOBES = ("frontal", "parietal", "temporal", "occipital", "insula", "deep grey matter", "cerebellum", "brainstem")

_Box = tuple[str, tuple[float, float], tuple[float, float], tuple[float, float]]
# (lobe, |x| range, y range, z range) in MNI mm. The first box that holds a point names it. The temporal boxes step up
# backwards as the Sylvian fissure does; the central sulcus leans back towards the vertex.
_BOXES: tuple[_Box, ...] = (
    ("brainstem", (0, 14), (-46, -10), (-90, -8)),
    ("cerebellum", (0, 70), (-100, -32), (-90, -28)),
    ("cerebellum", (0, 44), (-90, -40), (-28, -18)),
    ("insula", (28, 43), (-22, 22), (-10, 17)),
    ("deep grey matter", (2, 28), (-32, 18), (-10, 20)),
    ("temporal", (14, 90), (-5, 26), (-90, -12)),
    ("temporal", (20, 90), (-30, -5), (-90, 0)),
    ("temporal", (20, 90), (-64, -30), (-90, 14)),
    ("occipital", (0, 90), (-130, -72), (-40, 34)),
    ("occipital", (0, 40), (-72, -55), (-40, 14)),
    ("frontal", (0, 90), (-8, 100), (-60, 100)),
    ("frontal", (0, 90), (-18, -8), (20, 100)),
    ("frontal", (0, 90), (-28, -18), (48, 100)),
    ("parietal", (0, 90), (-72, -8), (14, 100)),
    ("parietal", (0, 90), (-130, -72), (34, 100)),
    ("temporal", (14, 90), (-72, 26), (-90, 14)),
)


def lobe_index(points_mm: NDArray[np.floating]) -> NDArray[np.int8]:
    """Index into `LOBES` of each template point (N, 3) in MNI RAS+ mm, -1 where no box holds it."""
    x, y, z = np.abs(points_mm[:, 0]), points_mm[:, 1], points_mm[:, 2]
    found = np.full(len(points_mm), -1, dtype=np.int8)
    for lobe, (x0, x1), (y0, y1), (z0, z1) in reversed(_BOXES):
        inside = (x >= x0) & (x < x1) & (y >= y0) & (y < y1) & (z >= z0) & (z < z1)
        found[inside] = LOBES.index(lobe)
    return found


def describe(points_mm: NDArray[np.floating]) -> tuple[str, str, list[str]]:
    """Side, main lobe and all lobes that hold a fifth or more of a lesion's template points (N, 3), before mass effect.

    The side is "left" or "right", or "bilateral" when less than 80 % lies on one side.
    """
    left = float((points_mm[:, 0] < 0).mean())
    side = "left" if left >= 0.8 else "right" if left <= 0.2 else "bilateral"
    indices = lobe_index(points_mm)
    shares = np.bincount(indices[indices >= 0], minlength=len(LOBES)) / max(1, int((indices >= 0).sum()))
    order = [int(i) for i in np.argsort(-shares, kind="stable")]
    return side, LOBES[order[0]], [LOBES[i] for i in order if shares[i] >= 0.2 or i == order[0]]
