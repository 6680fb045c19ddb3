"""The nouns of the input side: `Scan`, `Truth`, `Cohort` (`Grid` and `Modality` have files of their own).

Arrays are `(X, Y, Z)` in closest-canonical RAS+ axis order; affines map voxel indices to scanner millimetres (RAS+).
"""

from __future__ import annotations

from annofree.grid import Grid, canonical_grid, to_canonical, to_native
from annofree.modality import Modality
from annofree.scan.cohort import Cohort, Origin
from annofree.scan.scan import Scan, foreground
from annofree.scan.truth import Truth, learning, scoring

__all__ = [
    "Cohort",
    "Grid",
    "Modality",
    "Origin",
    "Scan",
    "Truth",
    "canonical_grid",
    "foreground",
    "learning",
    "scoring",
    "to_canonical",
    "to_native",
]
