"""How scores become regions, and what is measured on healthy scans."""

from __future__ import annotations

from annofree.methods.mvit_ae.frame import Frame, Map
from annofree.refine.base import Refiner
from annofree.refine.brain import ErodedBrain, eroded
from annofree.refine.components import KeepComponents
from annofree.refine.half_height import HalfHeight
from annofree.refine.holes import FillHoles
from annofree.refine.mirror import MirrorFilter
from annofree.refine.morphology import Morphology
from annofree.thresholds.base import HealthyScores

#: Width of the brain's rim in which nothing is called and no level is measured, mm.
RIM_MM = 3.0

#: A level is measured away from the rim where that leaves this many voxels.
_LEAST_VOX = 1000


def healthy_scores(scan_id: str, framed: Frame, values: Map) -> HealthyScores:
    """Scores of a healthy framed scan, away from the brain's rim where that leaves anything."""
    x, y, z = framed.grid.spacing_mm
    inner = eroded(framed.brain, RIM_MM, (z, x, y))
    brain = inner if inner.sum() > _LEAST_VOX else framed.brain
    return HealthyScores(scan_id, values, brain, framed.grid.voxel_ml)


def region_refiners(min_ml: float) -> dict[str, tuple[Refiner, ...]]:
    """From thresholded scores to regions; findings smaller than `min_ml` are dropped."""
    return {
        "WT": (
            ErodedBrain(mm=RIM_MM),
            Morphology(operation="opening", mm=2.0),
            MirrorFilter(),
            KeepComponents(connectivity=26, min_ml=min_ml),
            HalfHeight(reach_mm=5.0),
            Morphology(operation="closing", mm=2.0),
            FillHoles(),
        ),
        "TC": (
            KeepComponents(connectivity=26, min_ml=0.1),
            Morphology(operation="closing", mm=3.0),
            FillHoles(axial=True),
        ),
        "ET": (),
    }
