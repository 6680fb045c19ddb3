"""What a report says about the voxels of its own scan: where the tumour is, where none is, how large it is.

A lobe is about ten times larger than a tumour, so the published label, whole lobes, gives a perfect segmentation a Dice
of 0.2. What can be learned from these targets instead is in `annofree.thresholds.report_losses`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import ndimage

from annofree.anatomy.align import Alignment, register_to_mni
from annofree.errors import InputError
from annofree.reports import AtlasRegions, Place, Reading, Side, VolumeRange, read_report, volume_of
from annofree.reports.region_table import RegionTable, mask_of_ids
from annofree.scan import Scan
from annofree.settings import Settings

Use = Literal["none", "side", "lobe", "lobe+size", "published"]
#: Atlas voxels that are looked at: borders of lobes are vaguer than this.
_EVERY = (3, 3, 3)


class ReportTargetSettings(Settings):
    """What of a report is used.

    Attributes:
        use: "none" only that there is a tumour; "side"; "lobe" side and regions; "lobe+size" diameters too;
            "published" the named regions as if they were a mask.
        border_mm: How far beyond the named regions tumour may lie: atlas borders, alignment and words are vague.
    """

    use: Use = "lobe+size"
    border_mm: float = Field(10.0, ge=0)


@dataclass(frozen=True, eq=False)
class ReportTarget:
    """A report on its scan's grid.

    Attributes:
        scan_id: The scan.
        inside: (X, Y, Z) boolean, brain in which the tumour lies; all of it where the report does not say.
        outside: (X, Y, Z) boolean, brain in which the report leaves none.
        volume: Of all lesions, ml; None where the report gives no size or it is not used.
        use: What of the report was used.
        notes: Why something could not be used.
    """

    scan_id: str
    inside: NDArray[np.bool_]
    outside: NDArray[np.bool_]
    volume: VolumeRange | None = None
    use: Use = "none"
    notes: tuple[str, ...] = ()


def report_target(
    scan: Scan,
    regions: AtlasRegions,
    settings: ReportTargetSettings | None = None,
    *,
    alignment: Alignment | None = None,
    table: RegionTable | None = None,
) -> ReportTarget | None:
    """Bring what a scan's report says to the scan's own grid; None where the report names no tumour.

    Words of a `table` name the regions instead of the lexicon's.

    Raises:
        InputError: The scan has no report.
    """
    settings = settings or ReportTargetSettings()
    if scan.report is None:
        raise InputError(f"Scan '{scan.id}' has no report", fix="Name the folder of the texts with --reports")
    reading = read_report(scan.report, id=scan.id)
    if not reading.lesions:
        return None
    brain, use = scan.foreground(), settings.use
    notes: tuple[str, ...] = ()
    if use != "none":
        alignment = alignment or register_to_mni(scan)
        if not alignment.trusted:
            use, notes = "none", ("the brain could not be aligned with the atlas: places were not used",)
    if use == "none" or alignment is None:
        return ReportTarget(scan.id, brain, np.zeros_like(brain), use="none", notes=notes)
    reading = _only(reading, use)
    to_atlas = np.linalg.inv(regions.affine) @ alignment.affine @ scan.affine
    places = [place for lesion in reading.lesions for place in lesion.places]
    if table is None:
        named = regions.mask_of((*places, *(reading.oedema if use != "published" else ())), _EVERY)
    else:
        named = mask_of_ids(regions, table.ids_for(reading))[tuple(slice(None, None, step) for step in _EVERY)]
    if not named.any():
        named = regions.brain[tuple(slice(None, None, step) for step in _EVERY)]
    near = _widened(named, regions.affine, settings.border_mm) if use != "published" else named
    steps = np.asarray(_EVERY, dtype=float)
    matrix, offset = to_atlas[:3, :3] / steps[:, None], to_atlas[:3, 3] / steps
    inside = ndimage.affine_transform(near.astype(np.float32), matrix, offset, scan.shape, order=0) > 0
    inside &= brain
    if not inside.any():
        inside, notes = brain, ("no voxel of the brain lies in the named places: they were not used",)
    room_ml = float(inside.sum()) * scan.voxel_ml
    volume = _volume(reading, room_ml) if use == "lobe+size" else None
    return ReportTarget(scan.id, inside, brain & ~inside, volume, use, notes)


def _volume(reading: Reading, room_ml: float) -> VolumeRange | None:
    """Volume of all lesions where every one has a size; open above where diameters leave something out."""
    sizes = [lesion.size for lesion in reading.lesions]
    measured = [volume_of(size) for size in sizes if size is not None]
    if len(measured) < len(sizes):
        return None
    low, expected, high = (sum(getattr(v, name) for v in measured) for name in ("low_ml", "expected_ml", "high_ml"))
    if reading.oedema or any(lesion.several for lesion in reading.lesions):
        high = max(high, room_ml)
    return VolumeRange(low, expected, high)


def _only(reading: Reading, use: Use) -> Reading:
    """The reading with what is not used taken away."""
    if use in ("lobe+size", "published"):
        return reading
    lesions = [replace(lesion, size=None) for lesion in reading.lesions]
    if use == "lobe":
        return replace(reading, lesions=tuple(lesions))
    kept = []
    for lesion in lesions:
        one_side = use == "side" and lesion.side in (Side.LEFT, Side.RIGHT)
        first = lesion.places[:1] if one_side else ()
        places = tuple(Place("cerebrum", lesion.side, True, "brain", place.span) for place in first)
        kept.append(replace(lesion, places=places, side=lesion.side if one_side else None))
    return replace(reading, lesions=tuple(kept), oedema=(), nothing_here=())


def _widened(mask: NDArray[np.bool_], affine: NDArray[np.float64], border_mm: float) -> NDArray[np.bool_]:
    """A mask on every n-th atlas voxel with a border around it."""
    spacing = np.sqrt((affine[:3, :3] ** 2).sum(axis=0)) * np.asarray(_EVERY)
    return np.asarray(ndimage.distance_transform_edt(~mask, sampling=spacing) <= border_mm)
