"""Tissue classes, and the table from anatomical label numbers to them.

The table covers FreeSurfer numbers and the extra-cerebral numbers (502-530) found in whole-head maps. A label that is
not in the table is an error, never silently background.
"""

from __future__ import annotations

from enum import IntEnum

RIGHT = 64
"""Bit set in a stored class number where the voxel belongs to the right half of the head."""


class Tissue(IntEnum):
    """What a voxel is made of, as far as contrast is concerned."""

    OUTSIDE = 0
    WHITE = 1
    CORTEX = 2
    CSF = 3
    VENTRICLE = 4
    FOURTH_VENTRICLE = 5
    STRIATUM = 6
    PALLIDUM = 7
    THALAMUS = 8
    HIPPOCAMPUS = 9
    BRAINSTEM = 10
    VENTRAL_DC = 11
    CEREBELLAR_WHITE = 12
    CEREBELLAR_CORTEX = 13
    WHITE_LESION = 14
    CHOROID = 15
    VEIN = 16
    ARTERY = 17
    DURA = 18
    BONE = 19
    MARROW = 20
    SOFT = 21


LABEL_TO_TISSUE: dict[int, Tissue] = {
    0: Tissue.OUTSIDE,
    2: Tissue.WHITE,
    41: Tissue.WHITE,
    3: Tissue.CORTEX,
    42: Tissue.CORTEX,
    4: Tissue.VENTRICLE,
    43: Tissue.VENTRICLE,
    5: Tissue.VENTRICLE,
    44: Tissue.VENTRICLE,
    14: Tissue.VENTRICLE,
    72: Tissue.VENTRICLE,
    15: Tissue.FOURTH_VENTRICLE,
    7: Tissue.CEREBELLAR_WHITE,
    46: Tissue.CEREBELLAR_WHITE,
    8: Tissue.CEREBELLAR_CORTEX,
    47: Tissue.CEREBELLAR_CORTEX,
    10: Tissue.THALAMUS,
    49: Tissue.THALAMUS,
    11: Tissue.STRIATUM,
    50: Tissue.STRIATUM,
    12: Tissue.STRIATUM,
    51: Tissue.STRIATUM,
    26: Tissue.STRIATUM,
    58: Tissue.STRIATUM,
    13: Tissue.PALLIDUM,
    52: Tissue.PALLIDUM,
    16: Tissue.BRAINSTEM,
    17: Tissue.HIPPOCAMPUS,
    53: Tissue.HIPPOCAMPUS,
    18: Tissue.HIPPOCAMPUS,
    54: Tissue.HIPPOCAMPUS,
    24: Tissue.CSF,
    25: Tissue.WHITE_LESION,
    57: Tissue.WHITE_LESION,
    28: Tissue.VENTRAL_DC,
    60: Tissue.VENTRAL_DC,
    30: Tissue.ARTERY,
    62: Tissue.ARTERY,
    31: Tissue.CHOROID,
    63: Tissue.CHOROID,
    77: Tissue.WHITE_LESION,
    85: Tissue.VENTRAL_DC,
    136: Tissue.CHOROID,
    137: Tissue.CHOROID,
    163: Tissue.CHOROID,
    164: Tissue.CHOROID,
    502: Tissue.ARTERY,
    506: Tissue.SOFT,
    507: Tissue.SOFT,
    508: Tissue.SOFT,
    509: Tissue.SOFT,
    511: Tissue.SOFT,
    512: Tissue.BRAINSTEM,
    514: Tissue.VEIN,
    515: Tissue.BONE,
    516: Tissue.MARROW,
    530: Tissue.SOFT,
}
"""Label number in a map -> tissue class."""

RIGHT_LABELS = frozenset({41, 42, 43, 44, 46, 47, 49, 50, 51, 52, 53, 54, 57, 58, 60, 62, 63, 137, 164})
LEFT_LABELS = frozenset({2, 3, 4, 5, 7, 8, 10, 11, 12, 13, 17, 18, 25, 26, 28, 30, 31, 136, 163})

WHITE = (Tissue.WHITE, Tissue.WHITE_LESION, Tissue.CEREBELLAR_WHITE)
CORTEX = (Tissue.CORTEX, Tissue.HIPPOCAMPUS, Tissue.CEREBELLAR_CORTEX)
DEEP_GREY = (Tissue.STRIATUM, Tissue.PALLIDUM, Tissue.THALAMUS)
STEM = (Tissue.BRAINSTEM, Tissue.VENTRAL_DC)
CEREBELLUM = (Tissue.CEREBELLAR_WHITE, Tissue.CEREBELLAR_CORTEX)
VENTRICLES = (Tissue.VENTRICLE, Tissue.FOURTH_VENTRICLE, Tissue.CHOROID)
FLUID = (Tissue.CSF, *VENTRICLES)
PARENCHYMA = (*WHITE, *CORTEX, *DEEP_GREY, *STEM)
VESSELS = (Tissue.VEIN, Tissue.ARTERY)
BEYOND = (Tissue.OUTSIDE, Tissue.DURA, Tissue.BONE, Tissue.MARROW, Tissue.SOFT)

LANDMARKS_MM: dict[int, tuple[float, float, float]] = {
    10: (-11.0, -18.0, 7.0),
    11: (-13.0, 10.0, 10.0),
    12: (-25.5, 2.0, 0.0),
    13: (-20.0, -4.0, -1.0),
    17: (-26.0, -22.0, -14.0),
    18: (-23.5, -4.0, -19.0),
    8: (-25.0, -65.0, -36.0),
    16: (0.0, -29.0, -31.0),
    15: (0.0, -46.0, -32.0),
    2: (-27.0, -19.0, 18.0),
    3: (-36.0, -20.0, 14.0),
}
"""Centres of gravity in MNI space (mm, RAS) of left or midline structures; the right partner mirrors them."""

PARTNER = {10: 49, 11: 50, 12: 51, 13: 52, 17: 53, 18: 54, 8: 47, 2: 41, 3: 42}
"""Left label -> right label for the landmarks."""
