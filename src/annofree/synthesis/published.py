"""SynthTumour's first stage as published: one bright blob in a healthy FLAIR, and its distribution-shifted twin.

A training case replaces the image inside a blob by a smoothed, brightened copy of itself behind a soft border. A
validation case multiplies the image's own texture behind a hard border, so that a network is chosen by how it copes
with tumours unlike those it was taught. `PublishedSettings()` is the published form, faults included;
`PublishedSettings.corrected()` repairs what can be repaired within the idea. See docs/synthesis_published.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from annofree.errors import InputError
from annofree.masks import Box, Mask, SmoothingInside, bounding_box, widened
from annofree.synthesis.placement import Tissue
from annofree.synthesis.published_settings import PublishedSettings
from annofree.synthesis.published_shapes import Drawn, add_clot, draw_tumour, rooms_of

Image = NDArray[np.float32]
Spacing = tuple[float, float, float]
Range = tuple[float, float]

#: Gaussian sigmas of a halo's reach and of the white matter that it is confined to, mm.
_HALO_MM, _TISSUE_MM = 10.0, 1.0


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
    tissue: Tissue | None = None,
    validation: bool = False,
) -> PublishedCase:
    """Put a tumour into a healthy image (X, Y, Z), skull-stripped FLAIR; or make the distribution-shifted twin.

    Centres are drawn from all of the brain (X, Y, Z) unless the settings say otherwise. `tissue` is that of the scan,
    where `settings.needs_tissue`.

    Raises:
        InputError: The brain is empty or does not fit the image, or there is no tissue to put a tumour into.
    """
    settings = settings or PublishedSettings()
    if brain.shape != image.shape or not brain.any():
        raise InputError(
            f"A brain mask of shape {brain.shape} and {int(brain.sum())} voxels does not fit an image of {image.shape}",
            fix="Give the mask of this image: non-zero inside the brain",
        )
    voxel_ml = float(np.prod(spacing_mm)) / 1000.0
    if settings.needs_tissue and tissue is None:
        raise InputError("These settings need the scan's tissue", fix="Give tissue=tissue_of(scan)")
    drawn, tumour, core, meta = draw_tumour(rooms_of(brain, tissue, settings), spacing_mm, rng, settings)
    first = float(rng.uniform(*settings.gain))
    if rng.random() < settings.darken:
        first = 1.0 / first
    two = bool(rng.random() < settings.two_tissues)
    second = float(rng.uniform(*settings.second_gain)) if two else None
    meta |= {"gain": first, "second_gain": second, "realised_ml": float(tumour.sum()) * voxel_ml}
    meta["core_ml"] = float(core.sum()) * voxel_ml
    make = _validation if validation else _training
    under = image
    if tissue is not None and settings.halo:
        under = _with_halo(image, brain, tissue.white, drawn, first, spacing_mm, settings, validation)
    blobs = _Blobs(tumour, core if two else None, first, second, under)
    changed, labels = make(image, brain, blobs, spacing_mm, rng, settings)
    if settings.clot:
        meta["clot_ml"] = add_clot(changed, image[brain], drawn[0], spacing_mm, rng, settings, validation) * voxel_ml
    meta |= {"validation": validation, "label_ml": float(labels.sum()) * voxel_ml}
    return PublishedCase(changed, labels, meta)


class _Blobs(NamedTuple):
    """The bright blob and the one inside it, with the factors of their grey levels."""

    tumour: Mask
    core: Mask | None
    first: float
    second: float | None
    under: Image
    """What the tumour is painted over: the image, with its halo where there is one."""


def _training(
    image: Image, brain: Mask, blobs: _Blobs, spacing_mm: Spacing, rng: np.random.Generator, settings: PublishedSettings
) -> tuple[Image, NDArray[np.uint8]]:
    """I (1 - M) + t G M with G the smoothed image and M the soft mask; the same once more for the inner blob."""
    tumour, core, first, second, under = blobs
    per_voxel = np.ones(3) if settings.unit == "voxel" else 1.0 / np.asarray(spacing_mm)
    border, smooth = rng.uniform(*settings.border) * per_voxel, settings.smooth * per_voxel
    box = _around(tumour, 4.0 * border)
    soft = ndimage.gaussian_filter(tumour[box].astype(np.float32), border)
    out = under.copy()
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
    tumour, core, first, second, under = blobs
    out = under.copy()
    if rng.random() < settings.distance_weighted:
        box = _around(tumour, np.ones(3))
        depth = ndimage.distance_transform_edt(tumour[box], sampling=spacing_mm).astype(np.float32)
        depth /= depth.max()
        out[box] = first * image[box] * depth + under[box] * (1.0 - depth)
    else:
        out[tumour] = np.float32(first) * image[tumour]
    if core is not None and second is not None:
        out[core] = np.float32(second) * image[core]
    return out, tumour.astype(np.uint8)


def _with_halo(
    image: Image,
    brain: Mask,
    white: Mask,
    drawn: list[Drawn],
    factor: float,
    spacing_mm: Spacing,
    settings: PublishedSettings,
    validation: bool,
) -> Image:
    """The image with the white matter around its tumours changed: smoothed and brighter, or in its own texture."""
    spacing = np.asarray(spacing_mm)
    reach, room = np.zeros(brain.shape, np.float32), np.zeros(brain.shape, bool)
    for lesion in drawn:
        assert lesion.wide is not None
        box, mask = lesion.wide
        reach[box] = np.maximum(reach[box], mask & lesion.room[box])
        room |= lesion.room
    weight = ndimage.gaussian_filter(reach, _HALO_MM / spacing)
    weight *= ndimage.gaussian_filter((white & room).astype(np.float32), _TISSUE_MM / spacing) * brain
    sigma = settings.smooth * (np.ones(3) if settings.unit == "voxel" else 1.0 / spacing)
    everything = (slice(0, image.shape[0]), slice(0, image.shape[1]), slice(0, image.shape[2]))
    base = image if validation else _smoothed(image, brain, everything, sigma, settings.brain_only)
    return np.asarray(image + weight * (np.float32(factor) * base - image), dtype=np.float32)


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
    return SmoothingInside(brain[wide], sigma, least=1e-3)(image[wide])[back]


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
