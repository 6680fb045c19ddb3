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
    label: tissue
    for tissue, labels in {
        Tissue.OUTSIDE: (0,),
        Tissue.WHITE: (2, 41),
        Tissue.CORTEX: (3, 42),
        Tissue.CSF: (24,),
        Tissue.VENTRICLE: (4, 43, 5, 44, 14, 72),
        Tissue.FOURTH_VENTRICLE: (15,),
        Tissue.STRIATUM: (11, 50, 12, 51, 26, 58),
        Tissue.PALLIDUM: (13, 52),
        Tissue.THALAMUS: (10, 49),
        Tissue.HIPPOCAMPUS: (17, 53, 18, 54),
        Tissue.BRAINSTEM: (16, 512),
        Tissue.VENTRAL_DC: (28, 60, 85),
        Tissue.CEREBELLAR_WHITE: (7, 46),
        Tissue.CEREBELLAR_CORTEX: (8, 47),
        Tissue.WHITE_LESION: (25, 57, 77),
        Tissue.CHOROID: (31, 63, 136, 137, 163, 164),
        Tissue.VEIN: (514,),
        Tissue.ARTERY: (30, 62, 502),
        Tissue.BONE: (515,),
        Tissue.MARROW: (516,),
        Tissue.SOFT: (506, 507, 508, 509, 511, 530),
    }.items()
    for label in labels
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
