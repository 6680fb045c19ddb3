"""Where the strong stage's labels come from, and what that makes of its tier."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.scan import Scan
from annofree.thresholds.base import worst_tier

Label = Callable[[Scan, NDArray[np.bool_]], NDArray[np.bool_]]
"""From a scan and its brain to a tumour mask (X, Y, Z) on the scan's grid."""


class FromResults:
    """Labels from a folder that `annofree segment` or `annofree weak tumour` wrote; notes the tiers it meets."""

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
    """Labels from experts' label maps, or from the masks that `annofree accept` took: tier S.

    Of an output folder of annofree only the accepted masks count.

    Raises:
        InputError: It is an output folder without accepted masks.
    """

    def __init__(self, folder: str | Path) -> None:
        from annofree.formats.accepted import accepted_masks
        from annofree.formats.outfolder import is_ours

        self.folder = Path(folder)
        self.accepted = accepted_masks(self.folder) if is_ours(self.folder) else None

    def labelled(self, ids: Iterable[str]) -> list[str]:
        """The scans to learn from: all, or those with an accepted mask.

        Raises:
            InputError: None of them has one.
        """
        asked = list(ids)
        kept = [i for i in asked if self.accepted is None or i in self.accepted]
        if not kept:
            raise InputError(
                "No accepted mask belongs to any of the patients",
                file=self.folder,
                why=f"masks are of {', '.join(list(self.accepted or ())[:3])}; patients are {', '.join(asked[:3])}",
                fix="Give the scans that were segmented there",
            )
        return kept

    def __call__(self, scan: Scan, brain: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The whole tumour.

        Raises:
            InputError: No label map of the scan's name is there, or it does not fit.
            LeakError: Called by a fit that is not of tier S.
        """
        from annofree.formats import open_truth

        of_ours = self.accepted is not None and "_dseg" in self.accepted[scan.id].name
        source = self.folder if self.accepted is None else self.accepted[scan.id]
        meaning = None if self.accepted is None else "brats2023" if of_ours else "binary"
        truth = open_truth(source, scan.id, scan.grid, labels=meaning, native=scan.native, files=scan.files.values())
        return np.asarray(truth.labels > 0)
