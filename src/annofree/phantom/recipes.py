"""The kinds of subject: what each tumour is made of, as data.

The kinds between them cover bright, equal and dark on FLAIR, with and without
enhancement, inside and outside the brain, one and many.
"""

from __future__ import annotations

from dataclasses import dataclass

from annofree.errors import InputError
from annofree.phantom.relaxation import TISSUES, Tissue

Range = tuple[float, float]


@dataclass(frozen=True)
class Recipe:
    """What a kind of tumour looks like.

    Attributes:
        core_ml: Volume of the tumour core (labels 1 and 3), drawn log-uniformly.
        oedema_ml: Volume of the oedema around it (label 2), likewise.
        foci: Least and greatest number of lesions.
        rim_mm: Thickness of the enhancing rim; None where nothing enhances, very thick where all of it does.
        necrosis: Share of what the rim encloses that is necrotic instead of solid.
        solid: Relaxation of solid tumour without enhancement.
        enhancing: Relaxation and uptake of enhancing tumour.
        patches: Chance of an enhancing patch in a core without rim.
        cyst: The core is a fluid-filled cyst with an enhancing nodule in its wall.
        extra_axial: Grows from the dura and pushes the brain inwards.
        oedema_probability: Probability that there is oedema at all.
        mass: Displacement of the brain as a share of the core's radius.
    """

    core_ml: Range
    oedema_ml: Range
    foci: tuple[int, int] = (1, 1)
    rim_mm: Range | None = None
    necrosis: float = 0.0
    solid: Tissue = TISSUES["solid"]
    enhancing: Tissue = TISSUES["enhancing"]
    patches: float = 0.0
    cyst: bool = False
    extra_axial: bool = False
    oedema_probability: float = 1.0
    mass: Range = (0.1, 0.3)


RECIPES: dict[str, Recipe] = {
    "glioblastoma": Recipe(core_ml=(7, 60), oedema_ml=(15, 110), rim_mm=(2.5, 6.0), necrosis=0.8, mass=(0.15, 0.4)),
    "diffuse": Recipe(core_ml=(12, 80), oedema_ml=(6, 50), solid=Tissue(0.86, 1450, 150), patches=0.3),
    "isointense": Recipe(
        core_ml=(10, 55),
        oedema_ml=(2, 12),
        solid=Tissue(0.87, 2000, 112),
        patches=0.6,
        oedema_probability=0.5,
    ),
    "hypointense": Recipe(core_ml=(10, 60), oedema_ml=(3, 14), solid=Tissue(0.92, 2650, 190)),
    "cystic": Recipe(core_ml=(12, 60), oedema_ml=(3, 25), rim_mm=(1.5, 2.5), cyst=True, oedema_probability=0.7),
    "meningioma": Recipe(
        core_ml=(6, 60),
        oedema_ml=(5, 60),
        rim_mm=(80, 90),
        enhancing=Tissue(0.83, 1250, 92, 0.6),
        extra_axial=True,
        oedema_probability=0.5,
        mass=(0.45, 0.7),
    ),
    "metastases": Recipe(
        core_ml=(0.5, 7), oedema_ml=(5, 45), foci=(3, 6), rim_mm=(2.5, 4.0), necrosis=0.9, oedema_probability=0.85
    ),
}

KINDS: tuple[str, ...] = (*RECIPES, "healthy")


def check_kind(kind: str) -> str:
    """The kind itself. Raises `InputError`: it is none of `KINDS`."""
    if kind not in KINDS:
        raise InputError(f"'{kind}' is not a kind of phantom", fix=f"Use one of {', '.join(KINDS)}")
    return kind
