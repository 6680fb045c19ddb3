"""The names of regions: their side and their lobe, and the check that a table's sides fit its image."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError, some

Side = Literal["left", "right", "midline"]

#: Lobes and structures that annofree names, in the order of a radiologist's reading.
LOBES = (
    "Frontal",
    "Parietal",
    "Temporal",
    "Occipital",
    "Insula",
    "Cingulate",
    "Deep grey",
    "Corpus callosum",
    "Brainstem",
    "Cerebellum",
)

#: Region numbers of AAL2 (first, last) and their lobe. The mesial temporal structures count as temporal, the
#: paracentral lobule as frontal (Tzourio-Mazoyer et al., NeuroImage 15, 2002, table 2), the fusiform gyrus as temporal.
_AAL_LOBES = (
    (2001, 2832, "Frontal"),
    (3001, 3002, "Insula"),
    (4001, 4022, "Cingulate"),
    (4101, 4202, "Temporal"),
    (5001, 5302, "Occipital"),
    (5401, 5402, "Temporal"),
    (6001, 6302, "Parietal"),
    (6401, 6402, "Frontal"),
    (7001, 7102, "Deep grey"),
    (8101, 8302, "Temporal"),
    (9001, 9170, "Cerebellum"),
)

_SIDE_WORDS: dict[Side, str] = {
    "left": r"l|lh|left",
    "right": r"r|rh|right",
    "midline": r"m|b|mid|midline|medial|both|bilateral|none|",
}


@dataclass(frozen=True)
class Region:
    """One row of an atlas table.

    Attributes:
        index: Value in the label image; positive.
        name: As the atlas calls it.
        side: "left", "right" or "midline" (unpaired or crossing).
        lobe: Lobe or structure.
    """

    index: int
    name: str
    side: Side
    lobe: str


def aal_region(index: int, name: str) -> Region:
    """A row of AAL2 with its side (from the name) and lobe (from the number)."""
    lobe = next(lobe for first, last, lobe in _AAL_LOBES if first <= index <= last)
    return Region(index, name, side_in_name(name) or "midline", lobe)


def side_in_name(name: str) -> Side | None:
    """The side that a region's name begins or ends with, or None.

    Example:
        >>> side_in_name("Precentral_L"), side_in_name("ctx-rh-cuneus"), side_in_name("Right Putamen")
        ('left', 'right', 'right')
    """
    words = [word.lower() for word in re.split(r"[^A-Za-z]+", name) if word]
    sides: tuple[Side, ...] = ("left", "right")
    for word in (*words[:2], *words[-1:]):
        for side in sides:
            if re.fullmatch(_SIDE_WORDS[side], word):
                return side
    return None


def parse_side(text: str) -> Side:
    """The side that a table's cell means. Raises `InputError`: it is no side."""
    for side, pattern in _SIDE_WORDS.items():
        if re.fullmatch(pattern, text.strip().lower()):
            return side
    raise InputError(f"'{text}' is not a side", fix="Use left, right or midline")


def check_sides(table: Iterable[Region], centroid_x_mm: Mapping[int, float], source: str) -> None:
    """Refuse by an `InputError` rows whose left and right do not fit the x of their centre, mm (negative is left)."""
    other = {"left": 1.0, "right": -1.0, "midline": 0.0}
    wrong = [
        f"{row.index} {row.name} (called {row.side}, lies at x = {centroid_x_mm[row.index]:+.0f} mm)"
        for row in table
        if centroid_x_mm.get(row.index, 0.0) * other[row.side] > 0
    ]
    if wrong:
        raise InputError(
            "Left and right of the atlas table do not fit its image",
            file=source,
            why=some(wrong, 6),
            fix="Swap the sides of these rows, or use the label table that belongs to this image; x < 0 is left in MNI",
        )


FILE = Path(__file__).parent / "data" / "lobes.npz"
#: Without sides.
UNPAIRED = ("Corpus callosum", "Brainstem")


@cache
def lobe_map() -> tuple[NDArray[np.int32], NDArray[np.float64], tuple[Region, ...]]:
    """The lobes of the MNI brain: labels (X, Y, Z) in voxels of 2 mm, their affine to MNI mm, and what they mean.

    0 is outside the brain. `python benchmarks/make_anatomy.py lobes FOLDER_OF_LABEL_MAPS` writes the file anew from
    label maps and landmarks, and says how.
    """
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
