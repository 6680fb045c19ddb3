"""Places in words -> regions of an atlas -> voxels."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annofree.anatomy.atlas import Atlas, gyri_atlas
from annofree.masks import Mask
from annofree.reports.findings import Place, Side
from annofree.reports.lexicon import Lexicon
from annofree.scan import Grid

Step = tuple[int, int, int]
_VENTRICLE = re.compile("ventric", re.IGNORECASE)  # "temporal horn of the lateral ventricle" is no temporal lobe


class AtlasRegions:
    """The lexicon's regions in one atlas.

    The lexicon gives lobes and name patterns for every region.
    """

    def __init__(self, atlas: Atlas, lexicon: Lexicon | None = None) -> None:
        self.lexicon = lexicon or Lexicon.load()
        self.labels = atlas.labels
        self.affine = atlas.affine
        self.grid = Grid(atlas.labels.shape, atlas.affine)
        self.rows = atlas.table

    @classmethod
    def from_files(
        cls, atlas: str | Path | None = None, table: str | Path | None = None, lexicon: Lexicon | None = None
    ) -> AtlasRegions:
        """The regions of a user's own atlas and its table, or of the atlas of gyri where neither is given.

        Raises:
            InputError: A file cannot be read, or the table makes no sense.
        """
        own = gyri_atlas() if atlas is None or table is None else Atlas.from_files(atlas, table)
        return cls(own, lexicon)

    @cached_property
    def brain(self) -> Mask:
        """Voxels of any region."""
        return np.asarray(self.labels > 0)

    @cached_property
    def x_mm(self) -> NDArray[np.float32]:
        """(X, 1, 1) millimetres to the patient's right of the midsagittal plane; exact for atlases along the axes."""
        steps = np.arange(self.labels.shape[0])
        return np.asarray(self.affine[0, 0] * steps + self.affine[0, 3], dtype=np.float32)[:, None, None]

    def ids(self, region: str) -> frozenset[int]:
        """Labels of a lexicon region, both sides; empty when the atlas has none."""
        entry = self.lexicon.regions.get(region)
        if entry is None:
            return frozenset()
        if region == "brain":
            return frozenset(row.index for row in self.rows)
        patterns = [re.compile(pattern) for pattern in entry.names]
        found = frozenset(
            row.index
            for row in self.rows
            if not _VENTRICLE.search(row.name)
            and (
                row.lobe.lower() in entry.lobes
                or any(p.search(name) for p in patterns for name in _spellings(row.name))
            )
        )
        return found if found or entry.instead is None else self.ids(entry.instead)

    def mask(self, region: str, side: Side | None = None, every: Step = (1, 1, 1)) -> Mask:
        """Voxels of a region on a side; both sides for None and bilateral. All False when the atlas lacks the region.

        `every` takes every n-th voxel along each axis.
        """
        chosen, unsided = np.zeros((2, int(self.labels.max()) + 1), dtype=bool)
        one_side = side is Side.LEFT or side is Side.RIGHT
        found = self.ids(region)
        for row in self.rows:
            own = Side(row.side)
            chosen[row.index] = row.index in found and (not one_side or own is side)
            unsided[row.index] = row.index in found and one_side and own not in (Side.LEFT, Side.RIGHT)
        coarse = tuple(slice(None, None, step) for step in every)
        labels = self.labels[coarse]
        mask = chosen[labels]
        if unsided.any():
            mask |= unsided[labels] & ((self.x_mm > 0) == (side is Side.RIGHT))[coarse[0]]
        return mask

    def mask_of(self, places: Iterable[Place], every: Step = (1, 1, 1)) -> Mask:
        """Union of the places' regions: the published form of a report's label, whole regions."""
        union = np.zeros(self.labels[tuple(slice(None, None, step) for step in every)].shape, dtype=bool)
        for place in {(place.region, place.side): place for place in places}.values():
            union |= self.mask(place.region, place.side, every)
        return union

    def missing(self, places: Sequence[Place]) -> tuple[str, ...]:
        """Regions of the places that the atlas has no label for."""
        return tuple(dict.fromkeys(place.region for place in places if not self.ids(place.region)))


def _spellings(name: str) -> tuple[str, str]:
    """A region's name in lower case without side marks, as it is and with "SuperiorFrontal" taken apart."""
    spaced = re.sub(r"[_\-]+", " ", name)
    apart = re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", " ", spaced)
    side = r"^(?:l|r|left|right)\s+|\s+(?:l|r|left|right)$"
    return re.sub(side, "", spaced.lower().strip()), re.sub(side, "", apart.lower().strip())
