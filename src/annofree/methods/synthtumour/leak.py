"""Enhancement as the physics has it: what T1 after contrast shows beyond what T1 before it explains.

Contrast agent leaves the vessels only where the blood-brain barrier leaks. In healthy tissue the two sequences go
together; the line between them, and how far healthy tissue strays from it, are read from this scan's own healthy
brain, away from the lesion and from the brain's edge with its vessels and dura.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from annofree.borders import BORDERS
from annofree.grid import apply_affine
from annofree.intensity import robust_level
from annofree.masks import away_mm, bounding_box, components, components_with, depth_mm, margin_for
from annofree.methods.synthtumour.core import LEAST_PART_ML, NATIVE, core_around
from annofree.refine.mirror import MirrorFilter
from annofree.scan import Modality, Scan
from annofree.volumes import reaches

#: Healthy brain is further from the lesion and from the brain's edge than this, mm.
AWAY_MM = 6.0
#: Share of healthy tissue that strays less from the line than tissue which surely enhances.
STRAY = 0.995
#: Share of healthy tissue that strays less than any enhancing voxel.
LOWEST = 0.975
#: Blur and thick slices (up to 6 mm) spread enhancement over about this distance, mm: so far from a part that surely
#: enhances its height counts.
REACH_MM = 5.0
#: Share of healthy brain that is darker after contrast than an enhancing voxel.
DARKER = 0.9
#: Probability of the tumour core from which leaking tissue is called enhancing tumour.
CORE = 0.3
#: Below this probability of the core nothing is called enhancing; the score there is 0.
NEGLIGIBLE = 0.01
#: Least number of healthy voxels that can say anything.
LEAST = 500


@dataclass(frozen=True)
class Leak:
    """What healthy tissue of one scan looks like before and after contrast.

    Attributes:
        before: Median and robust deviation of T1 in healthy brain.
        after: The same of T1C.
        slope: Of normalised T1C over normalised T1.
        middle: Median of the distance from that line.
        spread: Robust deviation of that distance.
        stray: Distance, in `spread`, beyond which only 0.5 % of healthy tissue lies.
        lowest: The same for 2.5 %.
        bright: Normalised T1C that only 10 % of healthy brain exceeds.
    """

    before: tuple[float, float]
    after: tuple[float, float]
    slope: float
    middle: float
    spread: float
    stray: float
    lowest: float
    bright: float

    @classmethod
    def of(cls, t1: NDArray[np.float32], t1c: NDArray[np.float32], healthy: NDArray[np.bool_]) -> Leak | None:
        """Read a scan before and after contrast where it is healthy (a coarse grid will do); None where that is little.

        All three are (X, Y, Z); for what is healthy see `healthy_brain`.
        """
        if healthy.sum() < LEAST:
            return None
        before, after = robust_level(t1[healthy]), robust_level(t1c[healthy])
        x, y = (t1[healthy] - before[0]) / before[1], (t1c[healthy] - after[0]) / after[1]
        slope = float(np.cov(x, y)[0, 1] / max(float(np.var(x)), 1e-6))
        middle, spread = robust_level(y - slope * x)
        away = (y - slope * x - middle) / spread
        stray, lowest = (_healthy_reach(away, share) for share in (STRAY, LOWEST))
        return cls(before, after, slope, middle, spread, stray, lowest, float(np.quantile(y, DARKER)))

    def score(
        self,
        t1: NDArray[np.float32],
        t1c: NDArray[np.float32],
        core: NDArray[np.float32],
        spacing_mm: tuple[float, float, float],
        slices_vox: tuple[float, float, float] = (1.0, 1.0, 1.0),
    ) -> NDArray[np.float32]:
        """How surely each voxel is enhancing tumour, (X, Y, Z) in 0..1, on any grid of the scan.

        Tissue surely enhances where it strays from the line like 0.5 % of healthy tissue, is as bright after contrast
        as 10 % of it, and is core with probability `CORE`. A voxel that such tissue fills to a quarter shows a quarter
        of its height and is seen to enhance (`annofree.borders`): within `REACH_MM` of a part that surely enhances the
        border lies at that share of the part's median distance from the line, but never where 2.5 % of healthy tissue
        strays as far. One half of the score lies at that level.

        A slice of several voxels (`slices_vox` along each axis) that is a share s full shows s of its height over its
        whole length. Where the border's level is a share s of the height near by, it lies (1/2 - s) of a voxel outside
        of the tissue; on slices of n voxels the level of 1/2 - (1/2 - s) / n puts it there too: tumours do not enhance
        more on thick slices. `core` is the probability of the tumour core.
        """
        score = np.zeros(core.shape, dtype=np.float32)
        seen = bounding_box(core >= NEGLIGIBLE, margin_for(REACH_MM, spacing_mm))
        if seen is None:
            return score
        t1, t1c, core = t1[seen], t1c[seen], core[seen]
        y = (t1c - np.float32(self.after[0])) / np.float32(self.after[1])
        before = (t1 - np.float32(self.before[0])) / np.float32(self.before[1])
        strays = (y - np.float32(self.slope) * before - np.float32(self.middle)) / np.float32(self.spread)
        level = np.full(strays.shape, self.stray, dtype=np.float32)
        sure = (strays > self.stray) & (y > self.bright) & (core >= CORE)
        box = bounding_box(sure, margin_for(REACH_MM, spacing_mm))
        if box is not None:
            parts, count = components(sure[box])
            heights = np.append(0.0, ndimage.median(strays[box], parts, np.arange(1, count + 1)))
            away, nearest = ndimage.distance_transform_edt(parts == 0, sampling=spacing_mm, return_indices=True)
            low = np.maximum(BORDERS["visible"].enhancing * heights[parts[tuple(nearest)]], self.lowest)
            level[box] = np.where(away <= REACH_MM, low, self.stray)
        for axis, length in enumerate(slices_vox):
            if length > 1.0:
                height = ndimage.maximum_filter1d(strays, 2 * round(length) + 1, axis=axis)
                share = np.clip(level / np.maximum(height, level), 0.0, 1.0)
                level = np.maximum(level, (0.5 - (0.5 - share) / np.float32(length)) * height)
        excess = np.minimum(strays - level, y - self.bright)
        leaks = 1.0 / (1.0 + np.exp(-np.clip(excess, -30.0, 30.0)))
        score[seen] = np.minimum(leaks, np.clip(core * np.float32(0.5 / CORE), 0.0, 1.0))
        return score


def with_enhancement(
    odds: dict[str, NDArray[np.float32]],
    scan: Scan,
    coarse: Scan,
    lesion: NDArray[np.bool_],
    slices_vox: tuple[float, float, float] = (1.0, 1.0, 1.0),
    notes: list[str] | None = None,
) -> dict[str, NDArray[np.float32]]:
    """The networks' answer where T1 was taken before and after contrast: the leak says what enhances and encloses.

    Where nothing encloses the core, it ends where the images show it. Where T1 is missing before or after contrast
    nobody knows what encloses it, and the answer is `odds` itself.

    Args:
        odds: Probability of WT, TC and ET, (X, Y, Z) on the grid of `scan`.
        scan: The scan.
        coarse: The same on the networks' grid, with its brain; what is healthy is read there.
        lesion: Whole tumour on that grid.
        slices_vox: How many voxels of the scan long along each axis the slices are that it was taken in.
        notes: Here a sentence is put where the networks' core is not believed.
    """
    if Modality.T1 not in scan.images or Modality.T1C not in scan.images or not lesion.any():
        return odds
    assert coarse.brain is not None
    healthy = healthy_brain(coarse.brain, lesion, coarse.spacing_mm)
    leak = Leak.of(coarse.images[Modality.T1], coarse.images[Modality.T1C], healthy)
    if leak is None:
        return odds
    whole = odds["WT"] > 0.5
    enhancing = leak.score(scan.images[Modality.T1], scan.images[Modality.T1C], odds["TC"], scan.spacing_mm, slices_vox)
    thin = thin_parts((enhancing > 0.5) & whole, scan)
    if thin:
        t1, t1c, everywhere = coarse.images[Modality.T1], coarse.images[Modality.T1C], coarse.brain.astype(np.float32)
        leaks = (leak.score(t1, t1c, everywhere, coarse.spacing_mm) > 0.5) & ~lesion
        for part in [*mirrored(thin, scan, coarse, leaks), *going_on(thin, leak, whole, scan, slices_vox)]:
            enhancing[tuple(part.T)] = 0.0
    normal = {m: robust_level(coarse.images[m][healthy]) for m in NATIVE if m in coarse.images}
    core = core_around(odds["TC"], whole, (enhancing > 0.5) & whole, scan, normal, notes)
    return {"WT": odds["WT"], "TC": np.maximum(core, np.minimum(enhancing, odds["WT"])), "ET": enhancing}


def healthy_brain(
    brain: NDArray[np.bool_], lesion: NDArray[np.bool_], spacing_mm: tuple[float, float, float]
) -> NDArray[np.bool_]:
    """Brain away from the lesion and from the brain's edge with its vessels and dura, (X, Y, Z)."""
    return (depth_mm(brain, spacing_mm) > AWAY_MM) & (away_mm(lesion, spacing_mm) > AWAY_MM)


def _healthy_reach(away: NDArray[np.floating], share: float) -> float:
    """Distance from the line within which that share of healthy tissue lies.

    Vessels are healthy and hold contrast agent: above the line they, not the tissue, set the highest quantiles. Below
    it lies tissue alone, because no agent darkens T1. The smaller of both sides is taken.
    """
    low, high = np.quantile(away, (1.0 - share, share))
    return float(min(-low, high))


#: Choroid plexus and vessels are nowhere deeper than this, mm.
THIN_MM = 2.5
#: Their like on the other side has at least this share of their volume.
BULK = 0.5
#: What goes on outside of the tumour, within this distance, mm, has more than this many times the volume inside, and is
#: nowhere deeper than this, mm.
ALONG_MM = 10.0
BEYOND = 2.0
LUMP_MM = 4.0


def thin_parts(enhancing: NDArray[np.bool_], scan: Scan) -> list[NDArray[np.int_]]:
    """Voxels (N, 3) of each part of enhancing tumour that is as thin as a vessel, and not the largest."""
    box = bounding_box(enhancing, (1, 1, 1))
    if box is None:
        return []
    parts, count = components(enhancing[box])
    voxels = np.bincount(parts.ravel(), minlength=count + 1)
    deep = np.bincount(parts[depth_mm(enhancing[box], scan.spacing_mm) > THIN_MM], minlength=count + 1)
    doubtful = reaches(voxels, scan.voxel_ml, LEAST_PART_ML) & (deep == 0)
    doubtful[[0, 1 + int(voxels[1:].argmax())]] = False
    first = [axis.start for axis in box]
    return [np.argwhere(parts == part) + first for part in np.flatnonzero(doubtful)]


def mirrored(
    parts: list[NDArray[np.int_]], scan: Scan, coarse: Scan, leaks: NDArray[np.bool_]
) -> list[NDArray[np.int_]]:
    """The parts (voxels (N, 3) each) of enhancing tumour that have their like on the other side.

    A tumour's mass may push choroid plexus and vessels into its core, where they look like a piece of it. Unlike that
    they meet, mirrored across the midsagittal plane, enhancement of at least half of their volume that is no tumour:
    `leaks`, on the grid of `coarse`, the same scan with its brain.
    """
    from annofree.anatomy import midsagittal_plane

    assert coarse.brain is not None
    plane = midsagittal_plane(coarse.images[Modality.T1][None], coarse.brain, coarse.spacing_mm)
    to_mirrored = plane.reflection(coarse.spacing_mm) @ np.linalg.inv(coarse.affine) @ scan.affine
    found = []
    for part in parts:
        opposite = np.rint(apply_affine(to_mirrored, part)).astype(int)
        least = BULK * len(part) * scan.voxel_ml / coarse.voxel_ml
        if MirrorFilter().meets(leaks, opposite, len(part), coarse.spacing_mm, least=least):
            found.append(part)
    return found


def going_on(
    parts: list[NDArray[np.int_]],
    leak: Leak,
    whole: NDArray[np.bool_],
    scan: Scan,
    slices_vox: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> list[NDArray[np.int_]]:
    """The parts (voxels (N, 3) each) of enhancing tumour that go on outside of the whole tumour (X, Y, Z).

    A vessel, a fold of dura or choroid plexus ends at no tumour's border: of what enhances and hangs together within
    `ALONG_MM` more than `BEYOND` times the part lies outside. A lump, deeper than `LUMP_MM`, is a tumour of which the
    networks found a piece.
    """
    brain, found = scan.foreground(), []
    for part in parts:
        here = np.zeros(whole.shape, dtype=bool)
        here[tuple(part.T)] = True
        box = bounding_box(here, margin_for(ALONG_MM, scan.spacing_mm))
        assert box is not None
        t1, t1c, inside = scan.images[Modality.T1][box], scan.images[Modality.T1C][box], brain[box].astype(np.float32)
        leaks = leak.score(t1, t1c, inside, scan.spacing_mm, slices_vox) > 0.5
        joined = components_with(leaks & ~whole[box] | here[box], here[box])
        if joined.sum() > (1.0 + BEYOND) * len(part) and depth_mm(joined, scan.spacing_mm).max() <= LUMP_MM:
            found.append(part)
    return found
