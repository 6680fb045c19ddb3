"""The lobes of the MNI brain, read from one small file that was made from label maps and landmarks once.

`python benchmarks/make_anatomy.py lobes FOLDER_OF_LABEL_MAPS` writes it anew, and says how.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annofree.anatomy.regions import LOBES, Region

FILE = Path(__file__).parent / "data" / "lobes.npz"
#: Without sides.
UNPAIRED = ("Corpus callosum", "Brainstem")


@cache
def lobe_map() -> tuple[NDArray[np.int32], NDArray[np.float64], tuple[Region, ...]]:
    """Labels (X, Y, Z) in voxels of 2 mm, their affine to MNI mm, and what they mean; 0 outside the brain."""
    with np.load(FILE) as kept:
        return kept["labels"].astype(np.int32), kept["affine"], _table()


def _table() -> tuple[Region, ...]:
    """A lobe on the midline, on the left, on the right: three times its number, one more, two more."""
    rows = []
    for number, lobe in enumerate(LOBES, start=1):
        name = lobe.replace(" ", "_")
        rows.append(Region(3 * number, name, "midline", lobe))
        if lobe not in UNPAIRED:
            rows.append(Region(3 * number + 1, f"{name}_L", "left", lobe))
            rows.append(Region(3 * number + 2, f"{name}_R", "right", lobe))
    return tuple(rows)
