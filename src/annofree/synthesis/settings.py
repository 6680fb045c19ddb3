"""What is made, and how often: every feature is a switch."""

from __future__ import annotations

from pydantic import Field

from annofree.borders import Rule
from annofree.settings import Settings


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

    healthy_share: float = Field(0.25, ge=0, le=1)
    """Share of cases without a tumour."""
    volume_ml: tuple[float, float] = (2.0, 200.0)
    """Range of the whole tumour."""
    volumes_ml: tuple[float, ...] | None = None
    """A list of volumes to draw from, instead of the prior."""
    kind: str | None = None
    """One kind for all, a name of `annofree.synthesis.plan.KINDS`; by default a mixture."""
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

    free_share: float = 0.3
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
