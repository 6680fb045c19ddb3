"""A small made atlas: every region of the tests as a box, so that each expected voxel can be counted by hand."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from annofree.anatomy.atlas import Atlas
from annofree.anatomy.regions import Region
from annofree.reports.regions import AtlasRegions

sys.path.insert(0, str(Path(__file__).parent))  # held_out.py lies beside the tests

BOXES = {  # name -> lobe, range of |x|, y, z in voxels from the corner nearest the midline
    "Frontal_Sup": ("Frontal", (2, 16), (26, 38), (10, 30)),
    "Precentral": ("Frontal", (2, 16), (22, 26), (10, 30)),
    "Parietal_Sup": ("Parietal", (2, 16), (8, 22), (18, 30)),
    "Temporal_Mid": ("Temporal", (8, 16), (10, 26), (4, 10)),
    "Hippocampus": ("Temporal", (4, 8), (10, 22), (4, 10)),
    "Insula": ("Insula", (8, 16), (10, 22), (10, 18)),
    "Thalamus": ("Deep grey", (2, 8), (10, 22), (10, 18)),
    "Occipital_Mid": ("Occipital", (2, 16), (2, 8), (4, 30)),
}


def made_atlas() -> Atlas:
    """40 x 40 x 34 voxels of 4 mm, x = 0 between voxels 19 and 20; left labels are odd, the brainstem is unpaired."""
    labels = np.zeros((40, 40, 34), dtype=np.int32)
    rows = []
    for number, (name, (lobe, x, y, z)) in enumerate(BOXES.items()):
        for offset, side in ((1, "left"), (2, "right")):
            index = 2 * number + offset
            own = slice(20 + x[0], 20 + x[1]) if side == "right" else slice(20 - x[1], 20 - x[0])
            labels[own, slice(*y), slice(*z)] = index
            rows.append(Region(index, f"{name}_{side[0].upper()}", "left" if side == "left" else "right", lobe))
    labels[18:22, 10:22, 2:10] = 99
    rows.append(Region(99, "Brainstem", "midline", "Brainstem"))
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    affine[:3, 3] = (-78.0, -80.0, -60.0)
    return Atlas("made", labels, affine, tuple(rows))


@pytest.fixture(scope="session")
def regions() -> AtlasRegions:
    return AtlasRegions(made_atlas())
