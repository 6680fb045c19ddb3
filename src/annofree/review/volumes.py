"""What of a scan goes into a page: the brain's box, bytes, and nothing outside the brain.

Score maps go there as levels between slider stops, so that a browser counts exactly the voxels that Python counts.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.formats.brain_mask import head_in
from annofree.formats.grids import on_grid
from annofree.formats.gz import compress
from annofree.masks import bounding_box
from annofree.processes import side_by_side
from annofree.scan import Grid, Modality, Scan
from annofree.segmentation import Segmentation, Unit

#: Sequences in the order in which a page offers them.
SHOWN_FIRST = (Modality.FLAIR, Modality.T1C, Modality.T2, Modality.T1)
#: Around each region that decides inside another, the other.
_AROUND = {"WT": None, "TC": "WT", "ET": "TC"}
#: About so many voxels tell the window of grey levels.
_SAMPLE = 100_000
#: Coarser grids to fall back on, in mm; None is the scan's own.
_GRIDS_MM = (None, 1.0, 1.5, 2.0, 3.0)


@dataclass(frozen=True, eq=False)
class Brain:
    """A scan and its answer, cut to the brain's box, everything outside the brain zero.

    Attributes:
        images: Uint8 (X, Y, Z) by sequence: 0 outside, 1..255 inside.
        labels: Uint8 (X, Y, Z).
        levels: By score name ("WT", "TC", "ET"); at the scan's own resolution.
        inside: Boolean (X, Y, Z).
        affine: (4, 4) of the box.
        voxel_ml: Of the scan's own voxels.
    """

    images: Mapping[Modality, NDArray[np.uint8]]
    labels: NDArray[np.uint8]
    levels: Mapping[str, Levels]
    inside: NDArray[np.bool_]
    affine: NDArray[np.float64]
    voxel_ml: float

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel edges in mm."""
        return Grid(self.labels.shape, self.affine).spacing_mm


@dataclass(frozen=True)
class Packed:
    """Volumes as text for a page.

    Attributes:
        files: Gzipped NIfTI files in base64, by name: "image-FLAIR", "labels", "score-WT".
        spacing_mm: Of the packed voxels.
        step: How many of the scan's voxels one packed voxel spans, per axis.
    """

    files: Mapping[str, str]
    spacing_mm: tuple[float, float, float]
    step: tuple[int, int, int]

    @property
    def coarser(self) -> bool:
        """Whether the packed voxels are coarser than the scan's own."""
        return self.step != (1, 1, 1)


def cut_brain(result: Segmentation, scan: Scan) -> Brain:
    """Cut a scan and its segmentation to the brain.

    Raises:
        InputError: The two are not on one grid, or the scan shows a whole head and nobody gave a brain mask.
    """
    if result.labels.shape != scan.shape:
        raise InputError(
            f"The segmentation of '{result.scan_id}' has shape {result.labels.shape}, its scan {scan.shape}",
            fix="Give the scan that was segmented",
        )
    if scan.brain is None and (why := head_in(scan)) is not None:
        raise InputError(f"The page of '{scan.id}' would show a face", why=why, fix="Give a brain mask with the scan")
    brain = result.brain if result.brain is not None else scan.foreground()
    brain = brain | (result.labels > 0)
    box = bounding_box(brain)
    if box is None:
        raise InputError(f"Scan '{scan.id}' has no brain to show", fix="Give a brain mask with the scan")
    inside = brain[box]
    levels = {}
    for name, around in _AROUND.items():
        used = result.thresholds.get(name)
        if name in result.scores and used is not None and used.value is not None:
            counts_where = inside if around is None or around not in result.regions else result.mask(around)[box]
            if around is None and result.brain is not None:
                counts_where = result.brain[box]
            score = on_grid(result.scores[name], result.grid)
            levels[name] = make_levels(score.values[box], score.unit, used.value, counts_where)
    order = [s for s in SHOWN_FIRST if s in scan.images]
    return Brain(
        images=dict(zip(order, side_by_side(lambda s: _to_bytes(scan.images[s][box], inside), order), strict=True)),
        labels=result.labels[box],
        levels=levels,
        inside=inside,
        affine=scan.grid.within(box).affine,
        voxel_ml=scan.voxel_ml,
    )


def pack(brain: Brain, budget: int) -> Packed:
    """Encode a brain's volumes, on the finest grid on which they stay within `budget` characters."""
    steps = list(dict.fromkeys(_steps(brain.spacing_mm, target_mm) for target_mm in _GRIDS_MM))
    for step in steps[:-1]:
        if brain.labels[:: step[0], :: step[1], :: step[2]].size > 2 * budget:
            continue  # too large even where a voxel packs into half a character
        packed = _pack(brain, step)
        if sum(map(len, packed.files.values())) <= budget:
            return packed
    return _pack(brain, steps[-1])


def _pack(brain: Brain, step: tuple[int, int, int]) -> Packed:
    affine = brain.affine.copy()
    affine[:3, :3] *= step
    every = tuple(slice(None, None, s) for s in step)
    arrays = {f"image-{s}": _mean(image, brain.inside, step) for s, image in brain.images.items()}
    arrays["labels"] = brain.labels[every]
    arrays |= {f"score-{name}": levels.values[every] for name, levels in brain.levels.items()}

    def packed(name: str) -> str:
        # the viewer draws outlines around what is called a label
        return _nifti(arrays[name], affine, "label" if name == "labels" else "none")

    files = dict(zip(arrays, side_by_side(packed, arrays), strict=True))
    x, y, z = (edge * s for edge, s in zip(brain.spacing_mm, step, strict=True))
    return Packed(files, (x, y, z), step)


def _steps(spacing_mm: tuple[float, float, float], target_mm: float | None) -> tuple[int, int, int]:
    if target_mm is None:
        return 1, 1, 1
    x, y, z = (max(1, round(target_mm / edge)) for edge in spacing_mm)
    return x, y, z


def _mean(image: NDArray[np.uint8], inside: NDArray[np.bool_], step: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Block means over the brain's voxels; a block whose first voxel lies outside stays black, like labels."""
    if step == (1, 1, 1):
        return image
    starts = [np.arange(0, size, s) for size, s in zip(image.shape, step, strict=True)]
    total, count = image.astype(np.float32), inside.astype(np.float32)
    for axis, start in enumerate(starts):
        total, count = np.add.reduceat(total, start, axis=axis), np.add.reduceat(count, start, axis=axis)
    kept = inside[:: step[0], :: step[1], :: step[2]]
    return np.where(kept, np.rint(total / np.maximum(count, 1)), 0).astype(np.uint8)


def _nifti(array: NDArray[np.uint8], affine: NDArray[np.float64], intent: str) -> str:
    from nibabel.nifti1 import Nifti1Image

    make: Any = Nifti1Image  # nibabel has no types
    image = make(np.ascontiguousarray(array), affine)
    image.header.set_intent(intent)
    image.set_qform(None, code=0)
    image.set_sform(affine, code=1)
    return base64.b64encode(compress(image.to_bytes(), small=True)).decode()


def _to_bytes(image: NDArray[np.float32], inside: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Grey levels between the 0.5 % and 99.8 % quantiles of the brain, as 1..255; 0 outside."""
    values = image[inside]
    low, high = np.quantile(values[:: max(1, values.size // _SAMPLE)], (0.005, 0.998)).astype(np.float32)
    grey = np.zeros(image.shape, dtype=np.uint8)
    grey[inside] = 1 + np.rint(254 * np.clip((values - low) / max(float(high - low), 1e-9), 0, 1))
    return grey


#: Levels fit in a byte: 0 for the outside and for what no stop lets through.
STOPS = 254


@dataclass(frozen=True, eq=False)
class Levels:
    """A score map cut at the stops of a slider.

    `values > k` holds exactly where `scores > stops[k]` and the voxel counts, so a mask and its volume at any stop
    need no scores at all.

    Attributes:
        values: Uint8 (X, Y, Z): the number of stops that the voxel's score exceeds; 0 where voxels do not count.
        stops: Float32, ascending; the method's own threshold is one of them.
        own: Index of that stop.
        counts: Voxels per level, 0 first.
    """

    values: NDArray[np.uint8]
    stops: NDArray[np.float32]
    own: int
    counts: NDArray[np.int64]

    def voxels_above(self, stop: int) -> int:
        """Voxels whose score is above a stop."""
        return int(self.counts[stop + 1 :].sum())

    def steadiness(self) -> float | None:
        """How little the volume hangs on the threshold, 0 to 1; None where nothing is above it.

        The volume a tenth of the reach above the threshold, divided by the volume a tenth below it. The reach is the
        distance from the threshold to the brain's median score, or to 0 for probabilities.
        """
        own, low = float(self.stops[self.own]), float(self.stops[0])
        step = 0.1 * (own - low)
        above = self.voxels_above(int(np.abs(self.stops - (own + step)).argmin()))
        below = self.voxels_above(int(np.abs(self.stops - (own - step)).argmin()))
        return above / below if below else None


def make_levels(scores: NDArray[np.float32], unit: Unit, threshold: float, counts_where: NDArray[np.bool_]) -> Levels:
    """Cut a score map at slider stops.

    Scores are (X, Y, Z); only voxels of `counts_where`, the brain or the region around, may belong to a mask.
    """
    inside = scores[counts_where]
    stops, own = _stops(inside, threshold, unit)
    values = np.zeros(scores.shape, dtype=np.uint8)
    # 'left' counts the stops that are smaller than the score: the same comparison as score > stop, in float32.
    values[counts_where] = np.searchsorted(stops, inside, side="left")
    counts = np.bincount(values[counts_where], minlength=stops.size + 1)
    return Levels(values, stops, own, counts)


def _stops(inside: NDArray[np.float32], threshold: float, unit: str) -> tuple[NDArray[np.float32], int]:
    low, high = float(threshold) - 1.0, float(threshold) + 1.0
    if unit == "probability":
        low, high = min(0.0, threshold), max(1.0, threshold)
    elif inside.size:
        low = min(float(np.median(inside)), float(threshold))
        reach = max(float(threshold) - low, 1e-3 * max(1.0, abs(threshold)))
        low = float(threshold) - reach
        high = max(float(np.quantile(inside, 0.9995)), float(threshold) + reach)
    stops = np.linspace(low, high, STOPS).astype(np.float32)
    own = int(np.abs(stops - np.float32(threshold)).argmin())
    stops[own] = np.float32(threshold)
    return stops, own
