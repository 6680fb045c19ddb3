"""The constants of SynthTumour's published first stage, and its presets."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from pydantic import PositiveInt

from annofree.settings import NotNegative, Settings, Share, Span
from annofree.synthesis.blob import Form


class PublishedSettings(Settings):
    """The published constants; see `PRESETS` for its variants."""

    volume_ml: Span = (20.0, 80.0)
    """Requested volume of the outer and of the inner blob, uniform."""
    ratio: Span = (1.0, 2.0)
    """Ratio q of the half axes r, r q, r / q, uniform."""
    lesions: PositiveInt = 1
    """Blobs in one image; their union is the tumour."""
    rotation: Literal["euler", "uniform"] = "euler"
    shape: Form = "noisy"
    """An ellipsoid with a noisy surface, a plain one, or a cuboid along the image's axes."""
    hemisphere: Literal["both", "left", "right", "either"] = "both"
    """Half of the brain that a tumour stays in; "either" draws one for each tumour."""
    centre: Literal["brain", "grey"] = "brain"
    """Where centres are drawn: the whole brain, or cerebral grey matter without the deep nuclei."""
    tissue: Literal["brain", "resectable"] = "brain"
    """What a tumour is clipped to: the brain, or the hemispheres without cerebellum and brainstem."""
    gain: Span = (1.5, 5.0)
    """Factor on the brightness, uniform."""
    second_gain: Span = (0.8, 1.2)
    """Factor of the inner blob, where it has one."""
    two_tissues: Share = 0.1
    """Share of cases whose inner blob has a factor of its own."""
    darken: Share = 0.0
    """Share of cases whose factor is inverted."""
    texture: Literal["gain", "constant", "random", "csf"] = "gain"
    """What fills the blob of a training case: the smoothed image times the factor; the image's 1st percentile; a random
    percentile; or noise with the brightness of this image's fluid."""
    smooth: NotNegative = 5.0
    """Gaussian sigma of the smoothed image."""
    border: Span = (1.0, 1.0)
    """Gaussian sigma of the soft border, uniform."""
    unit: Literal["voxel", "mm"] = "voxel"
    """Unit of both sigmas."""
    label_from: Share = 0.1
    """A training label holds the voxels whose soft mask exceeds this."""
    brain_only: bool = False
    """Smooth within the brain, and leave everything outside the brain as it was."""
    distance_weighted: Share = 0.0
    """Share of validation cases whose change fades towards the border."""
    halo: bool = False
    """White matter within three times the tumour's size changes like the tumour, fading over 10 mm; it has no label."""
    clot: bool = False
    """Noise as bright as the image's 90th to 99th percentile inside the tumour."""
    clot_smaller: Span = (1.0, 1.0)
    """The clot's half axes are the tumour's over this, uniform; the published script says 3 to 8 in a comment."""

    @property
    def needs_tissue(self) -> bool:
        """Whether a case needs `annofree.synthesis.placement.tissue_of` its scan."""
        return (self.hemisphere, self.centre, self.tissue, self.halo) != ("both", "brain", "brain", False)

    @classmethod
    def corrected(cls, **changes: Any) -> PublishedSettings:
        """Sigmas in mm, labels that end where the tumour is half, nothing outside the brain, every rotation alike."""
        own: dict[str, Any] = {"unit": "mm", "label_from": 0.5, "brain_only": True, "rotation": "uniform"}
        return cls(**own | changes)


#: The fork's scripts: one lesion, and diseases with many.
_FORK: dict[str, Any] = {"volume_ml": (0.5, 50.0), "border": (0.5, 1.0), "two_tissues": 0.0}
PRESETS: dict[str, Callable[[], PublishedSettings]] = {
    "published": PublishedSettings,
    "published-corrected": PublishedSettings.corrected,
    "published-single": partial(PublishedSettings, gain=(1.5, 4.0), label_from=0.3, distance_weighted=0.5, **_FORK),
    "published-multi": partial(PublishedSettings, gain=(1.5, 2.0), label_from=0.2, lesions=30, **_FORK),
}
"""Names of the presets, as the command line takes them."""
