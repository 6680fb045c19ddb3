"""What is made, and how often: every feature is a switch."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, PositiveFloat

from annofree.borders import Rule
from annofree.settings import Settings, Share, Span

KINDS: dict[str, float] = {
    "ring": 0.36,
    "solid": 0.10,
    "patchy": 0.12,
    "homogeneous": 0.23,
    "mismatch": 0.12,
    "infiltrative": 0.05,
    "metastases": 0.03,
    "dural": 0.03,
    "isointense": 0.15,
    "cystic": 0.08,
}
"""Kinds of tumour and how often they are drawn: about a third shows no enhancement."""


def _known(kind: str) -> str:
    if kind not in KINDS:
        raise ValueError(f"it should be one of {', '.join(KINDS)}")
    return kind


class Anatomy(Settings):
    """Shape of the made brain."""

    flip: bool = True
    """Swap left and right in half of the cases."""
    affine: bool = True
    """Random size, proportions, rotation and shift."""
    warp: bool = True
    """Smooth random deformation."""
    ventricles: bool = True
    """Make the ventricles wider or narrower."""


class Tumours(Settings):
    """Which tumours are put in."""

    healthy_share: Share = 0.25
    """Share of cases without a tumour."""
    volume_ml: Span = (2.0, 200.0)
    """Range of the whole tumour."""
    volumes_ml: Annotated[tuple[PositiveFloat, ...], Field(min_length=1)] | None = None
    """A list of volumes to draw from, instead of the prior."""
    kind: Annotated[str, AfterValidator(_known)] | None = None
    """One kind for all, a name of `KINDS`; by default a mixture."""
    growth: bool = True
    """Rough cores whose oedema grows along tissue; else one smooth ellipsoid inside another."""
    oedema: bool = True
    enhancement: bool = True
    necrosis: bool = True
    cysts: bool = True
    blood: bool = True
    several: bool = True
    """More than one lesion in some cases."""
    mass_effect: bool = True
    texture: bool = True
    """Gradients and noise within the tumour."""
    borders: Rule = "visible"
    """Where labels end: where a reader sees tumour through the slices, or where half of the voxel is tumour."""


class Contrast(Settings):
    """Brightness of tissues."""

    free_share: Share = 0.3
    """Share of sequences whose tissue contrast is free instead of physical."""
    texture: bool = True
    """Correlated noise within tissue."""
    drift: bool = True
    """Slow change within tissue: bright cortex, insula, temporal pole and cingulate on FLAIR."""


class LookAlikes(Settings):
    """Healthy findings that are bright and are no tumour."""

    periventricular: bool = True
    """Confluent bilateral hyperintensities and caps."""
    spots: bool = True
    """Small white-matter spots and ovoid plaques."""
    labelled: bool = True
    """White-matter lesions of the label map, with random strength."""
    vessels: bool = True
    choroid: bool = True
    dura: bool = True
    """Dura, edge and pituitary, bright on T1C."""
    flow: bool = True
    """Flow artefacts in fluid on FLAIR and T2."""
    edges: bool = True
    """Bright edge of the stripped brain."""


class Acquisition(Settings):
    """What the scanner and the preparation do, alike for every case."""

    bias: bool = True
    slices: bool = True
    """Thick slices along a random axis."""
    misregistration: bool = True
    mask_errors: bool = True
    noise: bool = True
    blur: bool = True
    gamma: bool = True
    quantisation: bool = True
    missing_slab: bool = True


class SynthesisSettings(Settings):
    """Everything that `annofree.synthesis.make_case` can be told."""

    anatomy: Anatomy = Anatomy()
    tumours: Tumours = Tumours()
    contrast: Contrast = Contrast()
    look_alikes: LookAlikes = LookAlikes()
    acquisition: Acquisition = Acquisition()
