"""A scan as axial slices for a two-dimensional network, and results back on the scan's own grid.

Two frames. "scan" keeps the scan's own axes at 2 mm and centres the brain: quick, and nothing is registered. "mni" is
the published form of BLOGRR: an affine to MNI space, axial slices 30 to 149, resized to 128 x 128.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from annofree.errors import InputError
from annofree.formats.grids import resample
from annofree.intensity import Normalisation
from annofree.prepare.resample import to_spacing
from annofree.scan import Grid, Modality, Scan
from annofree.settings import Settings

if TYPE_CHECKING:
    from annofree.anatomy.align import Alignment

#: Sequences in the order in which tumour and oedema stand out.
PREFERRED = (Modality.FLAIR, Modality.T2, Modality.T1C, Modality.T1)
#: Robust z of the darkest and the brightest grey level of a slice.
DARKEST, BRIGHTEST = -4.0, 8.0
_STEP = 1.0 / 255.0
#: A brain may be longer than a slice by so many pixels: its outermost millimetres are then cut off, and a note says so.
_OVERHANG_PX = 4


class SliceSettings(Settings):
    """How slices are cut.

    Attributes:
        frame: "scan" or "mni", see above.
        size: Pixels a side.
        spacing_mm: Pixel size and distance of slices in the frame "scan".
        first: First slice in the frame "mni" (1 mm template, from the bottom).
        last: Last slice, included.
    """

    frame: Literal["scan", "mni"] = "scan"
    size: int = Field(96, ge=16)
    spacing_mm: float = Field(2.0, gt=0)
    first: int = Field(30, ge=0, le=188)
    last: int = Field(149, ge=0, le=188)

    @classmethod
    def published(cls) -> Self:
        """MNI space, slices 30 to 149, 128 x 128 pixels."""
        return cls(frame="mni", size=128)


def pick_sequence(scan: Scan, wanted: Modality | None = None) -> Modality:
    """The sequence to look at: the one asked for, else the first present of FLAIR, T2, T1C, T1.

    Raises:
        MissingSequence: The scan lacks the one asked for.
    """
    if wanted is not None:
        scan.require(wanted, why="the setting 'sequence'")
        return wanted
    return next(s for s in PREFERRED if s in scan.images)


def framed(scan: Scan, settings: SliceSettings | None = None) -> Scan:
    """The scan on the grid of its slices, with grey levels 0..1.

    Grey levels are robust z inside the brain from -4 (0) to 8 (1), at least 1/255 inside it and 0 outside, so that the
    foreground of a slice is what is not 0.

    Returns:
        A scan of shape (size, size, N); slice n is ``image[:, :, n]``; `resample.back` brings results back.

    Raises:
        InputError: The brain is empty, larger than the frame, or could not be aligned with MNI space.
    """
    settings = settings or SliceSettings()
    brain = scan.foreground()
    if not brain.any():
        raise InputError(f"Scan '{scan.id}' has no brain", fix="Give a brain mask with --brain-mask")
    scan = scan.replace(brain=brain)
    moved = _centred(scan, settings) if settings.frame == "scan" else _in_mni(scan, settings)
    assert moved.brain is not None
    if not moved.brain.any():
        raise InputError(f"No brain of scan '{scan.id}' lies in the slices", fix="Check the mask and the orientation")
    return moved.replace(images={name: grey_levels(image, moved.brain) for name, image in moved.images.items()})


def to_slices(volume: NDArray[Any]) -> NDArray[Any]:
    """(size, size, N) as slices (N, size, size), contiguous."""
    return np.ascontiguousarray(np.moveaxis(volume, 2, 0))


def from_slices(slices: NDArray[Any]) -> NDArray[Any]:
    """Slices (N, size, size) as (size, size, N), contiguous."""
    return np.ascontiguousarray(np.moveaxis(slices, 0, 2))


def grey_levels(image: NDArray[np.float32], brain: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Grey levels 0..1 of any image, see `framed`."""
    z = Normalisation.fit(image, brain)(image)
    levels = np.clip((z - DARKEST) / (BRIGHTEST - DARKEST), _STEP, 1.0)
    return np.where(brain, levels, np.float32(0)).astype(np.float32)


def _centred(scan: Scan, settings: SliceSettings) -> Scan:
    """The scan's own axes at the wanted spacing, in-plane cut or padded about the brain, along z cut to the brain."""
    coarse = to_spacing(scan, settings.spacing_mm)
    assert coarse.brain is not None
    points = np.argwhere(coarse.brain)
    if not len(points):
        raise InputError(
            f"The brain of scan '{scan.id}' is too thin for slices at {settings.spacing_mm:g} mm",
            fix="Give the whole brain, or a smaller spacing",
        )
    low, high = points.min(axis=0), points.max(axis=0) + 1
    size = settings.size
    beyond = int((high - low)[:2].max()) - size
    if beyond > _OVERHANG_PX:
        raise InputError(
            f"The brain of scan '{scan.id}' is {(high - low)[:2].max() * settings.spacing_mm:.0f} mm long",
            why=f"slices of {size} pixels hold {size * settings.spacing_mm:.0f} mm",
            fix="Check the brain mask; it may hold the whole head",
        )
    start = np.array([(low[0] + high[0] - size) // 2, (low[1] + high[1] - size) // 2, low[2]])
    shape = (size, size, int(high[2] - low[2]))
    affine = np.array(coarse.affine)
    affine[:3, 3] = coarse.affine[:3, :3] @ start + coarse.affine[:3, 3]
    grid = Grid(shape, affine)
    images = {name: resample(image, coarse.grid, grid, 0) for name, image in coarse.images.items()}
    said = (f"The brain is {beyond * settings.spacing_mm:g} mm longer than a slice.",) if beyond > 0 else ()
    notes = (*coarse.notes, *said)
    return coarse.replace(images=images, brain=resample(coarse.brain, coarse.grid, grid, 0), affine=affine, notes=notes)


def mni_alignment(scan: Scan) -> Alignment:
    """From the scanner to MNI: registered by the brain, or known where the scan consists of published slices."""
    from annofree.anatomy import register_to_mni
    from annofree.anatomy.align import Alignment
    from annofree.formats.slices import in_template

    return Alignment(np.eye(4), 1.0, 1.0, True) if in_template(scan.grid) else register_to_mni(scan)


def _in_mni(scan: Scan, settings: SliceSettings) -> Scan:
    from annofree.formats.slices import in_template

    assert scan.brain is not None
    if in_template(scan.grid) and scan.shape[0] == settings.size:
        return scan
    alignment = mni_alignment(scan)
    if not alignment.plausible:
        raise InputError(
            f"Scan '{scan.id}' could not be aligned with MNI space",
            why="the affine found is not that of a head in a scanner",
            fix="Use the frame 'scan', which needs no alignment, or check brain mask and orientation",
        )
    grid = mni_grid(settings)
    target = Grid(grid.shape, np.linalg.inv(alignment.affine) @ grid.affine)
    return scan.replace(
        images={name: resample(image, scan.grid, target, 1) for name, image in scan.images.items()},
        brain=resample(scan.brain, scan.grid, target, 0),
        affine=target.affine,
        notes=(*scan.notes, f"Aligned with MNI space (overlap of the brains {alignment.overlap:.2f})."),
    )


def mni_grid(settings: SliceSettings) -> Grid:
    """The grid of published slices in MNI millimetres: the 1 mm template, its planes resized, some of its slices.

    Raises:
        InputError: The last slice comes before the first.
    """
    from annofree.formats.slices import published_grid

    if settings.last < settings.first:
        raise InputError(f"Slices {settings.first} to {settings.last} are none", fix="Give first and last in order")
    return published_grid(settings.size, settings.first, settings.last - settings.first + 1)
