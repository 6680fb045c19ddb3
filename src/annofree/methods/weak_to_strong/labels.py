"""Where the strong stage's labels come from, and what that makes of its tier."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.methods.weak_to_strong.otsu import tumour_mask
from annofree.scan import Scan
from annofree.thresholds.base import worst_tier

Label = Callable[[Scan, NDArray[np.bool_]], NDArray[np.bool_]]
"""From a scan and its brain to a tumour mask (X, Y, Z) on the scan's grid."""


class FromResults:
    """Labels from a folder that `annofree segment` or `annofree weak tumour` wrote; notes the tiers it meets.

    Args:
        folder: The results.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.tiers: set[str] = set()
        self.methods: set[str] = set()

    def __call__(self, scan: Scan, brain: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The mask that the folder holds for the scan.

        Raises:
            InputError: There is none, or it lies on another grid.
        """
        from annofree.formats import read_segmentation

        answer = read_segmentation(self.folder, scan.id)
        if not answer.grid.same_as(scan.grid):
            raise InputError(f"The mask of scan '{scan.id}' lies on another grid than its images", file=self.folder)
        self.tiers.add(str(answer.provenance.get("tier", "T3")))
        self.methods.add(str(answer.provenance.get("method", "unknown")))
        return answer.mask("WT")

    @property
    def tier(self) -> str:
        """The worst tier among the masks read: what learns from them is no better."""
        return worst_tier(sorted(self.tiers) or ["T0"])


class FromTruth:
    """Labels from experts' label maps: tier S.

    Args:
        folder: Holds the label maps.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def __call__(self, scan: Scan, brain: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The whole tumour.

        Raises:
            InputError: No label map of the scan's name is there, or it does not fit.
            LeakError: Called by a fit that is not of tier S.
        """
        from annofree.formats import open_truth

        mask: NDArray[np.bool_] = open_truth(self.folder, scan.id, scan.grid).labels > 0
        return mask


def from_otsu(scan: Scan, brain: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The weak stage's tumour pseudo-mask."""
    return tumour_mask(scan, brain)
