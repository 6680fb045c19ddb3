"""Where the published tumours lie, what shape they have, and the clot in them."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from annofree.errors import InputError
from annofree.masks import Box, Mask, largest_component
from annofree.synthesis.blob import blob
from annofree.synthesis.placement import Tissue
from annofree.synthesis.published_settings import PublishedSettings

Image = NDArray[np.float32]
Spacing = tuple[float, float, float]

#: A clot's level lies between these percentiles of the brain, and its noise has this deviation.
_CLOT_PERCENTILES, _CLOT_NOISE = (90.0, 99.0), 0.5


class Room(NamedTuple):
    """What a blob is clipped to, and the flat indices of where its centre may lie."""

    mask: Mask
    places: NDArray[np.intp]


class Drawn(NamedTuple):
    """A blob: its box and the mask in it, what was drawn, its room, and for a halo its threefold enlargement."""

    box: Box
    mask: Mask
    volume_ml: float
    ratio: float
    centre: NDArray[np.float64]
    room: Mask
    wide: tuple[Box, Mask] | None


def rooms_of(brain: Mask, tissue: Tissue | None, settings: PublishedSettings) -> list[Room]:
    """The rooms that a tumour is put into one of: the brain, or one a side."""
    if tissue is None:
        return [Room(brain, np.flatnonzero(brain))]
    sides: tuple[Any, ...] = ("left", "right") if settings.hemisphere == "either" else (settings.hemisphere,)
    rooms = []
    for side in sides:
        mask = brain if side == "both" else brain & tissue.half(side)
        mask = mask & tissue.resectable if settings.tissue == "resectable" else mask
        places = np.flatnonzero(mask & tissue.grey if settings.centre == "grey" else mask)
        if not places.size:
            raise InputError(
                "No voxel of this brain may be the centre of a tumour",
                why=f"the settings say hemisphere={side}, centre={settings.centre}, tissue={settings.tissue}",
                fix="Give a whole brain, or leave these settings as they are",
            )
        rooms.append(Room(mask, places))
    return rooms


def draw_tumour(
    rooms: list[Room], spacing_mm: Spacing, rng: np.random.Generator, settings: PublishedSettings
) -> tuple[list[Drawn], Mask, Mask, dict[str, Any]]:
    """The outer blobs, their union, and the inner blob."""
    tumour = np.zeros(rooms[0].mask.shape, dtype=bool)
    drawn = []
    for _ in range(settings.lesions):
        room = rooms[int(rng.integers(len(rooms)))] if len(rooms) > 1 else rooms[0]
        drawn.append(_clipped(room, spacing_mm, rng, settings))
        tumour[drawn[-1].box] |= drawn[-1].mask
    core = np.zeros_like(tumour)
    inner = _clipped(Room(tumour, np.flatnonzero(tumour)), spacing_mm, rng, settings)
    core[inner.box] = inner.mask
    requested = sum((lesion.volume_ml for lesion in drawn), 0.0)
    meta = {"requested_ml": requested, "requested_core_ml": inner.volume_ml, "lesions": settings.lesions}
    centre = {f"{axis}_vox": int(value) for axis, value in zip("xyz", drawn[0].centre, strict=True)}
    return drawn, tumour, core, meta | centre


def _clipped(room: Room, spacing_mm: Spacing, rng: np.random.Generator, settings: PublishedSettings) -> Drawn:
    """A blob centred on one of the places, clipped to the room, largest component; drawn again while empty."""
    shape = room.mask.shape
    while True:
        centre = np.array(np.unravel_index(int(room.places[rng.integers(room.places.size)]), shape), dtype=float)
        volume, ratio = float(rng.uniform(*settings.volume_ml)), float(rng.uniform(*settings.ratio))
        same = copy.deepcopy(rng) if settings.halo else None

        box, mask = _body(shape, spacing_mm, centre, rng, volume, ratio, settings)
        mask = largest_component(mask & room.mask[box], 6)
        if mask.any():
            # the same draws give the same body, three times as long in every direction
            wide = None if same is None else _body(shape, spacing_mm, centre, same, 27.0 * volume, ratio, settings)
            return Drawn(box, mask, volume, ratio, centre, room.mask, wide)


def _body(
    shape: Any,
    spacing_mm: Spacing,
    centre: Any,
    rng: np.random.Generator,
    ml: float,
    ratio: float,
    own: PublishedSettings,
) -> tuple[Box, Mask]:
    return blob(shape, spacing_mm, centre, rng, volume_ml=ml, ratio=ratio, form=own.shape, rotation=own.rotation)


def add_clot(
    image: Image,
    values: Image,
    lesion: Drawn,
    spacing_mm: Spacing,
    rng: np.random.Generator,
    settings: PublishedSettings,
    validation: bool,
) -> int:
    """Put a clot into the tumour, in place; its voxels are counted, none where the tumour is too thin for one."""
    deep = ndimage.binary_erosion(lesion.mask, iterations=2)
    places = np.argwhere(deep)
    if not len(places):
        return 0
    centre = places[int(rng.integers(len(places)))].astype(float)
    smaller = max(float(rng.uniform(*settings.clot_smaller)), 1.0)
    volume_ml = lesion.volume_ml / smaller**3
    box, mask = _body(lesion.mask.shape, spacing_mm, centre, rng, volume_ml, lesion.ratio, settings)
    clot = np.zeros(lesion.mask.shape, dtype=bool)
    clot[box] = mask & lesion.mask[box]
    level = float(rng.uniform(*np.percentile(values, _CLOT_PERCENTILES)))
    noise = rng.normal(level, _CLOT_NOISE, clot.shape)
    border = rng.uniform(*settings.border) / (1.0 if settings.unit == "voxel" else np.asarray(spacing_mm))
    soft = clot if validation else ndimage.gaussian_filter(clot.astype(np.float32), border) * lesion.mask
    patch = image[lesion.box]
    image[lesion.box] = patch + soft * (noise - patch)
    return int(clot.sum())
