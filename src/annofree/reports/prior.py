"""Reading -> soft prior map, volume range and "nothing here": what a report really says about voxels.

A lobe is about ten times larger than a tumour, so the union of the named lobes is a poor label: a perfect segmentation
would score a Dice of 0.2 against it. The prior asks instead where a body of the reported volume can lie if it touches
every named region.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveFloat
from scipy import ndimage

from annofree.masks import Mask
from annofree.reports.findings import Place, Reading, ReportedLesion, Side
from annofree.reports.regions import AtlasRegions
from annofree.reports.sizes import VolumeRange, volume_of
from annofree.settings import NotNegative, Settings

Map = NDArray[np.float32]
_GRID_MM = 2.0  # borders of lobes are vaguer than this
_HIGHEST = 0.95


class PriorSettings(Settings):
    """How words become voxels.

    Attributes:
        border_mm: how far beyond an atlas border a reader may still use the region's name (one standard deviation).
        unknown_ml: volume of a lesion whose size is not reported; about that of a glioma when it is found.
        largest_ml: no lesion is larger.
    """

    border_mm: NotNegative = 5.0
    unknown_ml: PositiveFloat = 30.0
    largest_ml: PositiveFloat = 300.0


@dataclass(frozen=True)
class ReportPrior:
    """What one report says about the voxels of the atlas grid.

    Attributes:
        probability: (X, Y, Z) float32 in 0..0.95; its sum times the voxel volume is the expected volume, weighted by
            certainty, less what falls where nothing is.
        region: union of the named regions, whole: the published label.
        nothing_here: regions the report calls normal or free of tumour.
        volume: volume of all lesions; None when the report has none. The upper end is the regions' own volume when
            oedema or several lesions are reported, since the diameters then leave something out.
        measured: whether every lesion came with a size.
        missing: named regions the atlas lacks; they limit nothing.
        affine: 4x4 of the grid, RAS+, mm.
    """

    probability: Map
    region: Mask
    nothing_here: Mask
    volume: VolumeRange | None
    measured: bool
    missing: tuple[str, ...]
    affine: NDArray[np.float64]


def report_prior(reading: Reading, regions: AtlasRegions, settings: PriorSettings | None = None) -> ReportPrior:
    """Prior map of one report on the atlas grid."""
    settings = settings or PriorSettings()
    places = [place for lesion in reading.lesions for place in lesion.places]
    nothing = regions.mask_of(reading.nothing_here)
    absent = np.ones(regions.labels.shape, dtype=np.float32)
    ranges = []
    for lesion in reading.lesions:
        bounds = _bounds(lesion, reading, regions, settings)
        ranges.append(bounds)
        found = _lesion_map(lesion, reading.oedema, bounds.expected_ml, regions, settings)
        absent *= 1 - lesion.certainty.weight * found
    probability = (1 - absent) * ~nothing
    total = VolumeRange(*(sum(ends) for ends in zip(*(astuple(r) for r in ranges), strict=True))) if ranges else None
    return ReportPrior(
        probability=probability.astype(np.float32),
        region=regions.mask_of(places),
        nothing_here=nothing,
        volume=total,
        measured=bool(reading.lesions) and all(lesion.size for lesion in reading.lesions),
        missing=regions.missing(places),
        affine=regions.affine,
    )


def _bounds(lesion: ReportedLesion, reading: Reading, regions: AtlasRegions, settings: PriorSettings) -> VolumeRange:
    named = regions.mask_of((*lesion.places, *reading.oedema)) if lesion.places else regions.brain
    room = min(max(float(np.count_nonzero(named)) * regions.grid.voxel_ml, settings.unknown_ml), settings.largest_ml)
    if lesion.size is None:  # 0.5 ml: a sphere of 1 cm, about the smallest that is reported
        return VolumeRange(0.5, settings.unknown_ml, room)
    measured = volume_of(lesion.size)
    leaves_out = lesion.several or bool(reading.oedema)
    return replace(measured, high_ml=max(measured.high_ml, room)) if leaves_out else measured


def _lesion_map(
    lesion: ReportedLesion, oedema: Sequence[Place], volume_ml: float, regions: AtlasRegions, settings: PriorSettings
) -> Map:
    """Probability of each voxel for one lesion, computed on a coarser grid.

    With r the radius of a ball of the volume, a centre is as likely as the share of the ball inside the named regions,
    times a factor below 1 for every named region the ball does not reach; the map is the centres blurred by the ball.
    The ball is a Gaussian of the same second moment, r / sqrt(5).
    """
    spacing = np.asarray(regions.grid.spacing_mm)
    x, y, z = (max(1, round(_GRID_MM / s)) for s in spacing)
    every = (x, y, z)
    grid_mm = spacing * every
    radius = (3000 * volume_ml / (4 * math.pi)) ** (1 / 3)
    blur = radius / math.sqrt(5) / grid_mm
    brain = regions.brain[::x, ::y, ::z]
    both = (Side.LEFT, Side.RIGHT)
    parts = [
        regions.mask(place.region, side, every)
        for place in lesion.places
        for side in (both if place.side is Side.BILATERAL else (place.side,))
    ]
    parts = [part for part in parts if part.any()]
    named = np.logical_or.reduce([*parts, regions.mask_of(oedema, every)]) if parts else brain
    centre = ndimage.gaussian_filter(named.astype(np.float32), blur) * brain
    reach = np.ones(brain.shape, dtype=np.float32)
    for part in parts:
        beyond = np.maximum(ndimage.distance_transform_edt(~part, sampling=grid_mm).astype(np.float32) - radius, 0)
        reach *= np.exp(-0.5 * (beyond / settings.border_mm) ** 2)
    if (centre * reach).max() > 0.05 * centre.max():  # else no single body reaches them all: several, one in each
        centre *= reach
    density = _scaled(
        ndimage.gaussian_filter(centre, blur) * brain, volume_ml / regions.grid.voxel_ml / math.prod(every)
    )
    for axis, step in enumerate(every):
        density = np.repeat(density, step, axis=axis)
    full = density[tuple(slice(size) for size in regions.labels.shape)] * regions.brain
    return _scaled(full, volume_ml / regions.grid.voxel_ml)


def _scaled(density: Map, voxels: float) -> Map:
    """Scale so that the probabilities add up to a number of voxels, none above 0.95."""
    density = density / max(float(density.sum(dtype=np.float64)), 1e-30) * np.float32(voxels)
    for _ in range(20):
        if float(density.max()) <= _HIGHEST:
            break
        full = density >= _HIGHEST
        room = voxels - _HIGHEST * float(np.count_nonzero(full))
        rest = float(density[~full].sum(dtype=np.float64))
        density[full] = _HIGHEST
        if room <= 0 or rest <= 0:
            break
        density[~full] *= room / rest
    return np.minimum(density, _HIGHEST).astype(np.float32)
