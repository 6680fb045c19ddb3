"""What is made, and how often: every feature is a switch."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, PositiveFloat

from annofree.borders import Rule
from annofree.settings import NotNegative, Settings, Share, Span
from annofree.synthesis.kinds import KINDS


def _known(kind: str) -> str:
    if kind not in KINDS:
        raise ValueError(f"it should be one of {', '.join(KINDS)}")
    return kind


def _some(shares: dict[str, float]) -> dict[str, float]:
    if not any(shares.values()):
        raise ValueError("one kind at least needs a share above 0")
    return shares


KindName = Annotated[str, AfterValidator(_known)]
Shares = Annotated[dict[KindName, NotNegative], AfterValidator(_some)]


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
    kind: KindName | None = None
    """One kind for all, a name of `annofree.synthesis.kinds.KINDS`; by default the mixture of `shares`."""
    shares: Shares = Field(default={name: kind.weight for name, kind in KINDS.items()})
    """How often each kind is drawn where none is asked for: weights of any sum; a kind left out is not drawn."""
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
