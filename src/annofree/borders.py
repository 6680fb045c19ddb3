"""Where a region ends: one rule for made tumours, phantoms and everything that draws a border.

Readers outline what is visibly abnormal (Baid 2021: the whole extent of abnormal FLAIR signal, and enhancement wherever
T1C is brighter than T1 and than healthy tissue). A change can be seen where it exceeds about two standard deviations of
the noise; clinical FLAIR shows oedema, and T1C shows enhancement, at about eight: a voxel looks abnormal from a tumour
share of 2 / 8 on. What looks abnormal is core where most of the voxel's tumour is core. Slices of several millimetres
were resampled before anyone drew, so the share is that of the slice, not of the tissue at the point.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Rule = Literal["visible", "half"]


@dataclass(frozen=True)
class Border:
    """Smallest shares of a voxel that put it into a region.

    Attributes:
        whole: Share of tumour from which on a voxel is whole tumour.
        core: Share of core from which on it is tumour core.
        of_tumour: Whether the core's share is one of the voxel's tumour instead of one of the voxel.
        enhancing: Share of enhancing tumour from which on it is enhancing tumour.
    """

    whole: float
    core: float
    of_tumour: bool
    enhancing: float


BORDERS: dict[Rule, Border] = {
    "visible": Border(0.25, 0.5, True, 0.25),
    "half": Border(0.5, 0.5, False, 0.5),
}
"""As a reader draws it, and the physicist's border."""
