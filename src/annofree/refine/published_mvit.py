"""The decisions of the published MViT-AE: Otsu's rule again in every slice, the largest component, holes as core."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from annofree.intensity import otsu_cut
from annofree.masks import Mask, largest_component
from annofree.refine.base import RefineContext, Refiner
from annofree.segmentation import REGIONS

#: Of the histogram of a slice.
_BINS = 256
_CROSS = ndimage.generate_binary_structure(2, 1)[:, :, None]


class PublishedMViT(Refiner):
    """Regions from the residuals of FLAIR and T1C, as published (Comas-Quiles et al. 2025); for that method alone.

    Per sequence: what exceeds the threshold, cut again by Otsu's rule slice by slice (zeros included), opened and
    closed in the slice, the largest 6-connected component. FLAIR's becomes oedema, T1C's enhancing tumour on top; holes
    of the oedema, then of the enhancing tumour, become core.

    Attributes:
        over_enhancing: Whether the oedema's holes become core even where they hold enhancing tumour; True as
            published, which deletes enhancing tumour that oedema encloses.
        flair: Residual of FLAIR from which oedema is called, where the whole tumour's threshold is 1.
        t1c: Residual of T1C from which enhancing tumour is called, where its threshold is 1.
    """

    kind: ClassVar[str] = "published-mvit"

    over_enhancing: bool = True
    flair: float = 1.5
    t1c: float = 1.2

    def apply(self, mask: Mask, context: RefineContext) -> Mask:
        """The published mask of the context's region; the mask itself, with a note, for scores of other methods."""
        maps, cuts = context.maps, context.cuts
        if not {"residual-FLAIR", "residual-T1C"} <= maps.keys():
            return self.skipped(mask, context, "there are no residuals of FLAIR and T1C")
        labels = self.labels(
            (maps["residual-FLAIR"], self.flair * cuts["WT"]), (maps["residual-T1C"], self.t1c * cuts["ET"])
        )
        return np.isin(labels, REGIONS[context.region])

    def labels(
        self, oedema: tuple[NDArray[np.float32], float], enhancing: tuple[NDArray[np.float32], float]
    ) -> NDArray[np.uint8]:
        """Labels (X, Y, Z) from the residuals of FLAIR and T1C, each with its threshold."""
        first, second = _largest(*oedema), _largest(*enhancing)
        labels = np.zeros(first.shape, dtype=np.uint8)
        labels[first] = 2
        labels[second] = 3
        for label in (2, 3):
            part = labels == label
            holes = ndimage.binary_fill_holes(part) & ~part
            if not self.over_enhancing:
                holes &= labels == 0
            labels[holes] = 1
        return labels


def _largest(residual: NDArray[np.float32], threshold: float) -> Mask:
    above = np.where(residual > threshold, residual, np.float32(0.0))
    mask: Mask = np.zeros(above.shape, dtype=bool)
    for z in np.flatnonzero(above.any(axis=(0, 1))):
        counts, edges = np.histogram(above[:, :, z], bins=_BINS)
        mask[:, :, z] = above[:, :, z] > otsu_cut(counts, (edges[:-1] + edges[1:]) / 2)
    mask = ndimage.binary_closing(ndimage.binary_opening(mask, _CROSS), _CROSS)
    return largest_component(mask, 6)
