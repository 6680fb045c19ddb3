"""SynthTumour's first stage as published: one bright blob in a healthy FLAIR, and its distribution-shifted twin.

A training case replaces the image inside a blob by a smoothed, brightened copy of itself behind a soft border. A
validation case multiplies the image's own texture behind a hard border, so that a network is chosen by how it copes
with tumours unlike those it was taught. `PublishedSettings()` is the published form, faults included;
`PublishedSettings.corrected()` repairs what can be repaired within the idea. See docs/synthesis_published.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt
from scipy import ndimage

from annofree.errors import InputError
from annofree.masks import Box, Mask, bounding_box, largest_component, widened
from annofree.settings import NotNegative, Settings, Share, Span
from annofree.synthesis.blob import blob

Image = NDArray[np.float32]
Spacing = tuple[float, float, float]
Range = tuple[float, float]


class PublishedSettings(Settings):
    """The published constants; see the class methods for its variants."""

    volume_ml: Span = (20.0, 80.0)
    """Requested volume of the outer and of the inner blob, uniform."""
    ratio: Span = (1.0, 2.0)
    """Ratio q of the half axes r, r q, r / q, uniform."""
    lesions: PositiveInt = 1
    """Blobs in one image; their union is the tumour."""
    rotation: Literal["euler", "uniform"] = "euler"
    noise: bool = True
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

    @classmethod
    def corrected(cls, **changes: Any) -> PublishedSettings:
        """Sigmas in mm, labels that end where the tumour is half, nothing outside the brain, every rotation alike."""
        own: dict[str, Any] = {"unit": "mm", "label_from": 0.5, "brain_only": True, "rotation": "uniform"}
        return cls(**own | changes)

    @classmethod
    def single_lesion(cls, **changes: Any) -> PublishedSettings:
        """The fork's script for one lesion of 0.5 to 50 ml."""
        own: dict[str, Any] = {"volume_ml": (0.5, 50.0), "border": (0.5, 1.0), "gain": (1.5, 4.0), "label_from": 0.3}
        return cls(**own | {"two_tissues": 0.0, "distance_weighted": 0.5} | changes)

    @classmethod
    def multi_lesion(cls, **changes: Any) -> PublishedSettings:
        """The fork's recipe for diseases with many lesions: 30 in one brain."""
        own: dict[str, Any] = {"volume_ml": (0.5, 50.0), "border": (0.5, 1.0), "gain": (1.5, 2.0), "label_from": 0.2}
        return cls(**own | {"two_tissues": 0.0, "lesions": 30} | changes)


PRESETS: dict[str, Callable[[], PublishedSettings]] = {
    "published": PublishedSettings,
    "published-corrected": PublishedSettings.corrected,
    "published-single": PublishedSettings.single_lesion,
    "published-multi": PublishedSettings.multi_lesion,
}
"""Names of the presets, as the command line takes them."""


@dataclass(frozen=True, eq=False)
class PublishedCase:
    """One made case.

    Attributes:
        image: (X, Y, Z) float32 in the grey levels of the healthy scan.
        labels: (X, Y, Z) uint8, 1 in the tumour.
        meta: What was drawn: requested and realised volumes, factors, the centre's voxel.
    """

    image: Image
    labels: NDArray[np.uint8]
    meta: dict[str, Any]


def make_published(
    image: Image,
    brain: Mask,
    spacing_mm: Spacing,
    rng: np.random.Generator,
    settings: PublishedSettings | None = None,
    *,
    validation: bool = False,
) -> PublishedCase:
    """Put a tumour into a healthy image.

    Args:
        image: (X, Y, Z) skull-stripped FLAIR of a healthy brain.
        brain: (X, Y, Z) boolean; centres are drawn from all of it.
        spacing_mm: Voxel edge lengths.
        rng: Decides everything.
        settings: The published form by default.
        validation: Make the distribution-shifted twin.

    Raises:
        InputError: The brain is empty or does not fit the image.
    """
    settings = settings or PublishedSettings()
    if brain.shape != image.shape or not brain.any():
        raise InputError(
            f"A brain mask of shape {brain.shape} and {int(brain.sum())} voxels does not fit an image of {image.shape}",
            fix="Give the mask of this image: non-zero inside the brain",
        )
    voxel_ml = float(np.prod(spacing_mm)) / 1000.0
    tumour, core, meta = _draw_tumour(brain, spacing_mm, rng, settings)
    first = float(rng.uniform(*settings.gain))
    if rng.random() < settings.darken:
        first = 1.0 / first
    two = bool(rng.random() < settings.two_tissues)
    second = float(rng.uniform(*settings.second_gain)) if two else None
    meta |= {"gain": first, "second_gain": second, "realised_ml": float(tumour.sum()) * voxel_ml}
    meta["core_ml"] = float(core.sum()) * voxel_ml
    make = _validation if validation else _training
    blobs = _Blobs(tumour, core if two else None, first, second)
    changed, labels = make(image, brain, blobs, spacing_mm, rng, settings)
    meta |= {"validation": validation, "label_ml": float(labels.sum()) * voxel_ml}
    return PublishedCase(changed, labels, meta)


def _draw_tumour(
    brain: Mask, spacing_mm: Spacing, rng: np.random.Generator, settings: PublishedSettings
) -> tuple[Mask, Mask, dict[str, Any]]:
    """The union of the outer blobs, and the inner blob of the first."""
    tumour = np.zeros(brain.shape, dtype=bool)
    places = np.flatnonzero(brain)
    requested, centre = 0.0, np.zeros(3)
    for lesion in range(settings.lesions):
        box, mask, volume, at = _clipped(brain, places, spacing_mm, rng, settings)
        tumour[box] |= mask
        requested += volume
        centre = at if lesion == 0 else centre
    core = np.zeros_like(tumour)
    box, mask, inner, _ = _clipped(tumour, np.flatnonzero(tumour), spacing_mm, rng, settings)
    core[box] = mask
    meta = {"requested_ml": requested, "requested_core_ml": inner, "lesions": settings.lesions}
    return tumour, core, meta | {f"{axis}_vox": int(value) for axis, value in zip("xyz", centre, strict=True)}


def _clipped(
    room: Mask,
    places: NDArray[np.intp],
    spacing_mm: Spacing,
    rng: np.random.Generator,
    settings: PublishedSettings,
) -> tuple[Box, Mask, float, NDArray[np.float64]]:
    """A blob centred on one of the places, clipped to the room, largest component; drawn again while empty."""
    while True:
        centre = np.array(np.unravel_index(int(places[rng.integers(places.size)]), room.shape), dtype=float)
        volume = float(rng.uniform(*settings.volume_ml))
        box, mask = blob(
            room.shape,  # type: ignore[arg-type]
            spacing_mm,
            centre,
            rng,
            volume_ml=volume,
            ratio=float(rng.uniform(*settings.ratio)),
            noise=settings.noise,
            rotation=settings.rotation,
        )
        mask = largest_component(mask & room[box], 6)
        if mask.any():
            return box, mask, volume, centre


class _Blobs(NamedTuple):
    """The bright blob and the one inside it, with the factors of their grey levels."""

    tumour: Mask
    core: Mask | None
    first: float
    second: float | None


def _training(
    image: Image, brain: Mask, blobs: _Blobs, spacing_mm: Spacing, rng: np.random.Generator, settings: PublishedSettings
) -> tuple[Image, NDArray[np.uint8]]:
    """I (1 - M) + t G M with G the smoothed image and M the soft mask; the same once more for the inner blob."""
    tumour, core, first, second = blobs
    per_voxel = np.ones(3) if settings.unit == "voxel" else 1.0 / np.asarray(spacing_mm)
    border, smooth = rng.uniform(*settings.border) * per_voxel, settings.smooth * per_voxel
    box = _around(tumour, 4.0 * border)
    soft = ndimage.gaussian_filter(tumour[box].astype(np.float32), border)
    out = image.copy()
    patch = out[box]
    if settings.texture == "gain":
        base = _smoothed(image, brain, box, smooth, settings.brain_only)
        fill = np.float32(first) * base
    else:
        base = fill = _texture(image, brain, patch.shape, rng, settings)
    patch = patch * (1.0 - soft) + fill * soft
    if core is not None and second is not None:
        inner = ndimage.gaussian_filter(core[box].astype(np.float32), border)
        patch = patch * (1.0 - inner) + np.float32(second) * base * inner
    labelled = soft > settings.label_from
    if settings.brain_only:
        patch = np.where(brain[box], patch, image[box])
        labelled &= brain[box]
    out[box] = patch
    labels = np.zeros(image.shape, np.uint8)
    labels[box] = labelled
    return out, labels


def _validation(
    image: Image, brain: Mask, blobs: _Blobs, spacing_mm: Spacing, rng: np.random.Generator, settings: PublishedSettings
) -> tuple[Image, NDArray[np.uint8]]:
    """The image's own texture times the factor behind a hard border, or fading with the depth below it."""
    tumour, core, first, second = blobs
    out = image.copy()
    if rng.random() < settings.distance_weighted:
        box = _around(tumour, np.ones(3))
        depth = ndimage.distance_transform_edt(tumour[box], sampling=spacing_mm).astype(np.float32)
        depth /= depth.max()
        out[box] = first * image[box] * depth + image[box] * (1.0 - depth)
    else:
        out[tumour] = np.float32(first) * image[tumour]
    if core is not None and second is not None:
        out[core] = np.float32(second) * image[core]
    return out, tumour.astype(np.uint8)


def _around(mask: Mask, margin_vox: NDArray[np.float64]) -> Box:
    """The mask's bounding box, wider by a margin, inside the array."""
    box = bounding_box(mask, np.ceil(margin_vox).astype(int).tolist())
    assert box is not None
    return box


def _smoothed(image: Image, brain: Mask, box: Box, sigma: NDArray[np.float64], brain_only: bool) -> Image:
    """The Gaussian of the image inside the box, as if the whole image had been filtered."""
    wide = widened(box, (np.ceil(4.0 * sigma).astype(int) + 1).tolist(), image.shape)
    back = tuple(slice(b.start - w.start, b.stop - w.start) for b, w in zip(box, wide, strict=True))
    if not brain_only:
        return np.asarray(ndimage.gaussian_filter(image[wide], sigma)[back])
    inside = brain[wide].astype(np.float32)
    share = ndimage.gaussian_filter(inside, sigma)[back]
    return np.asarray(ndimage.gaussian_filter(image[wide] * inside, sigma)[back] / np.maximum(share, 1e-3))


def _texture(
    image: Image, brain: Mask, shape: tuple[int, ...], rng: np.random.Generator, settings: PublishedSettings
) -> Image:
    values = image[brain]
    if settings.texture == "csf":
        return _fluid(values, shape, rng)
    percentile = 1.0 if settings.texture == "constant" else float(rng.uniform(1.0, 99.0))
    return np.full(shape, np.percentile(values, percentile), np.float32)


def _fluid(values: Image, shape: tuple[int, ...], rng: np.random.Generator) -> Image:
    """Noise like fluid on FLAIR: mean at the mode of the darkest twentieth, spread from the values below it."""
    dark = values[values <= np.percentile(values, 5.0)]
    counts, edges = np.histogram(dark, bins=32)
    mode = int(np.argmax(counts))
    mean = float(edges[mode] + edges[mode + 1]) / 2.0
    below = dark[dark < mean]
    spread = float(np.sqrt(np.mean((below - mean) ** 2))) if below.size else 0.0
    return rng.normal(mean, spread, shape).astype(np.float32)
