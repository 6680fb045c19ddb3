"""Whether a whole brain is there: cut fields of view, half heads, holes, fluid-filled cavities."""

from __future__ import annotations

from math import inf

import numpy as np

from annofree.masks import components
from annofree.scan import Modality
from annofree.trust.check import Check
from annofree.trust.view import View

#: A brain is round: near its end its area is small (55 real scans: 0.34 at most, 3 mm from the end).
MOST_CUT = 0.5
#: Brighter than this, in medians of the brain, is no void; and how much of it is one, ml (55 real scans: 0.2 at most).
VOID_LEVEL = 0.1
MOST_VOID_ML = 2.0
#: Fluid of one half beyond that of the other, ml (55 real scans: 18 at most, 30 phantoms: 22).
MOST_CAVITY_ML = 25.0
#: How much longer than brains the template is along each axis, logarithm, less the mean of the three; and how far a
#: brain may be from that (50 real scans: 0.080 at most, 29 of 30 phantoms 0.116; one edge 30 % wrong: 0.135 and more).
_USUAL = np.array([-0.012, -0.033, 0.048])
MOST_ODD = 0.12
_ENDS = (("left", "right"), ("back", "front"), ("bottom", "top"))
_NEAR_MM = 3.0


def cut(view: View) -> Check:
    """The largest flat end of the brain: its area 3 mm from the end against its largest area along that axis."""
    worst, where = 0.0, "bottom"
    for axis, names in enumerate(_ENDS):
        others = tuple(k for k in range(3) if k != axis)
        area = view.brain.sum(axis=others)
        inside = np.flatnonzero(area)
        step = min(max(1, round(_NEAR_MM / view.grid.spacing_mm[axis])), inside.size - 1)
        for name, place in zip(names, (inside[0] + step, inside[-1] - step), strict=True):
            if (share := float(area[place] / area.max())) > worst:
                worst, where = share, name
    return Check.measured(
        "cut",
        worst,
        (-inf, MOST_CUT),
        f"area of the brain 3 mm from its {where} end, as a part of its largest area along that axis",
        f"the brain ends flat at its {where}: part of it lies outside the field of view or was masked away, and "
        "nothing can be found there",
    )


def proportions(view: View) -> Check | None:
    """How far the brain's length, width and height are from those of brains, as a wrong edge of the voxels makes it."""
    if not view.alignment.fits:
        return None
    directions = view.grid.affine[:3, :3] / np.asarray(view.grid.spacing_mm)
    scales = np.log(np.linalg.norm(view.alignment.affine[:3, :3] @ directions, axis=0))
    odd = scales - scales.mean() - _USUAL
    axis = int(np.argmax(np.abs(odd)))
    percent = 100.0 * (np.exp(-1.5 * odd[axis]) - 1.0)  # what one axis adds, the mean takes a third of away
    way = "longer" if percent > 0 else "shorter"
    return Check.measured(
        "proportions",
        float(np.abs(odd[axis])),
        (-inf, MOST_ODD),
        "largest difference of the brain's extent along an axis from that of brains of its size, logarithm",
        f"from {' to '.join(_ENDS[axis])} the brain is by its header {abs(percent):.0f} % {way} than brains of its "
        "size: if a voxel edge (the distance of slices) is wrong there, so are volumes; compare it with the protocol",
    )


def void(view: View) -> Check | None:
    """The largest place deep in the brain that gives no signal in any sequence: implant, bleeding, or a hole."""
    if not view.zero_known or set(view.images) == {Modality.FLAIR}:
        return None  # FLAIR by itself takes the signal of fluid away
    brightest = np.zeros(view.brain.shape, dtype=np.float32)
    for sequence in view.images:
        np.maximum(brightest, view.levels(sequence), out=brightest)
    parts, count = components(view.deep & (brightest < VOID_LEVEL), 6)
    largest_ml = int(np.bincount(parts.ravel())[1:].max()) * view.grid.voxel_ml if count else 0.0
    return Check.measured(
        "signal void",
        largest_ml,
        (-inf, MOST_VOID_ML),
        "largest place deep in the brain without signal in any sequence, ml",
        f"{largest_ml:.0f} ml deep in the brain give no signal in any sequence: an implant, a large bleeding or a hole "
        "in the image; what lies around it may be distorted",
    )


def cavity(view: View) -> Check | None:
    """The difference of fluid between the two halves, as a resection cavity makes it."""
    if not view.zero_known or not {Modality.T1, Modality.FLAIR} <= view.images.keys():
        return None
    fluid = view.deep & (view.levels(Modality.T1) < 0.6) & (view.levels(Modality.FLAIR) < 0.5)
    if Modality.T2 in view.images:
        fluid &= view.levels(Modality.T2) > 1.4
    across = np.asarray(view.brain.any(axis=(1, 2)))
    middle = float(np.mean(np.flatnonzero(across)))
    left = np.arange(across.size) < middle
    apart = abs(int(fluid[left].sum()) - int(fluid[~left].sum())) * view.grid.voxel_ml
    return Check.measured(
        "cavity",
        apart,
        (-inf, MOST_CAVITY_ML),
        "fluid deep in one half of the brain beyond that in the other, ml",
        f"one half of the brain holds {apart:.0f} ml more fluid than the other, as after an operation or beside a "
        "large cyst; the models have seen no operated brains",
    )
