"""What tells a good answer from a bad one without truth: numbers that a segmentation has anyway."""

from __future__ import annotations

from functools import partial
from math import log

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from annofree.formats.grids import on_grid
from annofree.intensity import robust_level
from annofree.masks import Box, Mask, away_mm, bounding_box, dice, margin_for
from annofree.prepare.slices import pick_sequence
from annofree.processes import side_by_side
from annofree.scan import Modality, Scan
from annofree.segmentation import Segmentation

#: Middle and spread of each sequence inside the brain.
Levels = dict[Modality, tuple[float, float]]

#: How far on both sides of its outline a mask is looked at, mm.
SHELL_MM = 4.0
#: How far around a mask probabilities are looked at, mm.
AROUND_MM = 12.0
#: The plain rule that answers are compared with: bright by so many robust spreads.
PLAIN_Z = 1.5
#: About so many voxels tell the level of a brain.
_SAMPLE = 60_000


def marks_of(result: Segmentation, scan: Scan) -> dict[str, float] | None:
    """Numbers on which an expected Dice can rest; None where nothing was found, or the scores are no probabilities.

    Volumes are in ml and distances in mm, so that voxel sizes matter little.
    """
    score, mask = result.scores.get("WT"), result.mask("WT")
    box = bounding_box(mask, margin_for(AROUND_MM, scan.spacing_mm))
    if score is None or score.unit != "probability" or box is None:
        return None
    spacing, voxel_ml = scan.spacing_mm, scan.voxel_ml
    odds = on_grid(score, result.grid).values
    brain = scan.foreground() if result.brain is None else result.brain
    volume_ml = float(np.count_nonzero(mask)) * voxel_ml
    called_ml = float(np.count_nonzero(odds > 0.5)) * voxel_ml  # tell it before the rules drop and move anything
    sample = np.flatnonzero(brain)
    sample = sample[:: max(1, sample.size // _SAMPLE)]
    levels = {name: robust_level(image.ravel()[sample]) for name, image in scan.images.items()}
    inside, near, head = mask[box], odds[box], brain[box]
    half = float(np.mean(spacing)) / 2
    to_the_edge = partial(away_mm, spacing_mm=spacing)
    depth, distance = (found - half for found in side_by_side(to_the_edge, [~inside, inside]))
    inner, outer = inside & (depth <= SHELL_MM), ~inside & head & (distance <= SHELL_MM)
    close = head & (distance <= AROUND_MM)
    shell = inner | outer
    mass = float(near[close].sum())
    wide, tight = (float(np.count_nonzero(close & (near > level))) * voxel_ml for level in (0.25, 0.75))
    parts = np.array([lesion.volume_ml for lesion in result.lesions]) if result.lesions else np.array([volume_ml])
    volumes = result.volumes_ml
    marks = {
        "log volume": log(volume_ml),
        "confidence": float(near[inside].mean()),
        "entropy in the shell": _entropy(near[shell]),
        "soft Dice": 2 * float(near[inside].sum()) / (mass + float(inside.sum())),
        "width of the border": log((wide + 0.1) / (tight + 0.1)),
        "moved by the rules": dice(inside, close & (near > 0.5), empty=0.0),
        "dropped by the rules": log((called_ml + 1) / (volume_ml + 1)),
        "share of surface": float(inner.sum() / inside.sum()),
        "lesions": log(len(parts)),
        "share of the largest": float(parts.max() / parts.sum()),
        "core": volumes.get("TC", 0.0) / volume_ml,
        # as in the made tumours that taught, also where no image shows it and no volume of it is stated
        "enhancing": {**result.provenance.get("guessed_ml", {}), **volumes}.get("ET", 0.0) / volume_ml,
        "plain rule": _plain(scan, levels, box, inside, close),
        **_edges(scan, levels, box, inner, outer),
        **sequences_of(scan),
    }
    agreement = result.provenance.get("agreement")
    return marks if agreement is None else {**marks, "agreement": float(agreement)}


def sequences_of(scan: Scan) -> dict[str, float]:
    """The marks that say which sequences a scan has, 0 or 1; they are known where nothing was found, too."""
    return {f"with {name}": float(name in scan.images) for name in Modality}


def _entropy(odds: NDArray[np.float32]) -> float:
    """Mean binary entropy, bits."""
    p = np.clip(odds.astype(np.float64), 1e-6, 1 - 1e-6)
    return float(-(p * np.log2(p) + (1 - p) * np.log2(1 - p)).mean()) if p.size else 0.0


def _plain(scan: Scan, levels: Levels, box: Box, inside: Mask, close: Mask) -> float:
    """Dice with what is plainly bright around the mask."""
    name = pick_sequence(scan)
    middle, spread = levels[name]
    smooth = ndimage.gaussian_filter(
        (scan.images[name][box] - middle) / spread, [1.0 / edge for edge in scan.spacing_mm]
    )
    return dice(inside, close & (smooth > PLAIN_Z), empty=0.0)


def _edges(scan: Scan, levels: Levels, box: Box, inner: Mask, outer: Mask) -> dict[str, float]:
    """How far grey levels just inside lie from those just outside, in spreads of the brain: largest and mean."""
    steps = [0.0]
    if inner.any() and outer.any():
        for name, image in scan.images.items():
            near = image[box]
            steps.append(abs(float(near[inner].mean() - near[outer].mean())) / levels[name][1])
    return {"sharpest edge": max(steps), "mean edge": float(np.mean(steps[1:] or steps))}
