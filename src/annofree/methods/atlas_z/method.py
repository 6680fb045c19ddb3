"""What differs from the tissue that the atlas expects there, and from the other side of the same brain.

Each grey level is compared with what this brain's own grey matter, white matter and fluid would give at that place of
the MNI template, in robust standard deviations, and with its mirror image across the brain's own midline. White-matter
hyperintensities of age are nearly symmetric and fade; a tumour is neither expected nor mirrored.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from pydantic import Field

from annofree.masks import bounding_box
from annofree.methods.atlas_z.tissue import expected_tissues, tissue_z
from annofree.methods.base import Method
from annofree.methods.decide import Rules, Scored
from annofree.refine.brain import ErodedBrain
from annofree.refine.components import KeepComponents
from annofree.scan import Cohort, Modality, Scan
from annofree.segmentation import ScoreMap
from annofree.settings import Settings
from annofree.thresholds.healthy import HealthyQuantile
from annofree.thresholds.mad import Mad

#: How a tumour's water shows: bright on FLAIR and T2; FLAIR counts twice, because it darkens fluid.
_WATER = {Modality.FLAIR: 2.0, Modality.T2: 1.0}
#: Used only where neither is present. Contrast medium is bright and oedema dark, on T1 everything is dark.
_OTHERWISE = (Modality.T1C, Modality.T1)
#: Mirrored anatomy agrees to a few millimetres only.
_MIRROR_SIGMA_MM = 3.0


class AtlasZSettings(Settings):
    """Settings of the atlas z.

    Attributes:
        sigma_mm: Smoothing of the scores before the threshold.
        tissue_sigma_mm: Smoothing of the template's tissue maps: an affine leaves folds and ventricles off by about
            as much.
        asymmetry: How much of what is bright on the other side, too, is taken away: from 0 (none) to 1 (all).
    """

    sigma_mm: float = Field(1.5, ge=0)
    tissue_sigma_mm: float = Field(3.0, ge=0)
    asymmetry: float = Field(0.5, ge=0, le=1)


class AtlasZ(Method):
    """Robust z against the tissue expected at each place, plus left-right asymmetry (tier T0).

    Any one sequence will do; FLAIR and T2 are used where present, else T1C, else T1. As it comes, the threshold is
    three robust standard deviations above the brain's own median; fitting sets it on healthy scans instead. Where the
    brain cannot be aligned with the template, every voxel is compared with the brain's median.
    """

    name: ClassVar[str] = "atlas-z"
    settings_class = AtlasZSettings
    settings: AtlasZSettings

    def default_rules(self) -> Rules:
        """Three robust standard deviations, the eroded brain, the largest component."""
        chain = (ErodedBrain(mm=3.0), KeepComponents(connectivity=6, keep="largest"))
        return Rules({"WT": Mad(k=3.0)}, {"WT": chain})

    def check_fit(self, healthy: Cohort | None, patients: Cohort | None) -> None:
        """The threshold that a fit sets needs three healthy scans."""
        if healthy is not None and healthy.ids:
            self.require_healthy(healthy, HealthyQuantile(quantile=0.99).needed_scans)

    def fit(
        self, *, healthy: Cohort | None = None, patients: Cohort | None = None, workspace: Path | None = None
    ) -> Self:
        """Set the threshold to what 99 % of healthy brain voxels stay below; without healthy scans it stays."""
        if healthy is None:
            return self
        learner = self
        if isinstance(self.thresholds["WT"], Mad):
            learner = self.replace(thresholds={"WT": HealthyQuantile(quantile=0.99)})
        return learner.calibrate(healthy)

    def score(self, scan: Scan) -> Scored:
        """Tissue z less what the other side shows, too, in robust standard deviations; 0 outside the brain."""
        from scipy import ndimage

        from annofree.anatomy.align import register_to_mni
        from annofree.anatomy.locate import plane_of
        from annofree.anatomy.symmetry import mirrored

        assert scan.brain is not None
        box = bounding_box(scan.brain)
        assert box is not None
        brain = scan.brain[box]
        alignment = register_to_mni(scan)
        tissues = (
            expected_tissues(scan, box, alignment.affine, self.settings.tissue_sigma_mm) if alignment.trusted else None
        )
        weighted = [
            (weight, tissue_z(scan.images[s][box], brain, tissues, sign)) for s, weight, sign in _looked_at(scan)
        ]
        total = sum(weight for weight, _ in weighted)
        z = np.asarray(sum(weight * value for weight, value in weighted) / total, dtype=np.float32)
        sigma = [self.settings.sigma_mm / step for step in scan.spacing_mm]
        share = ndimage.gaussian_filter(brain.astype(np.float32), sigma)
        z = np.where(brain, ndimage.gaussian_filter(z, sigma) / np.maximum(share, 0.1), np.float32(0.0))
        if self.settings.asymmetry > 0:
            broad = ndimage.gaussian_filter(z, [_MIRROR_SIGMA_MM / step for step in scan.spacing_mm])
            plane = plane_of(scan).within(box, scan.spacing_mm)
            opposite, _ = mirrored(broad[None], brain, scan.spacing_mm, plane)
            z = z - self.settings.asymmetry * np.maximum(opposite[0], 0.0)
        values = np.zeros(scan.shape, dtype=np.float32)
        values[box] = np.where(brain, z, 0.0)
        looked_at = " and ".join(str(s) for s, _, _ in _looked_at(scan))
        return Scored({"WT": ScoreMap(values, "WT", "z", scan.grid)}, self.rules, looked_at=looked_at)


def _looked_at(scan: Scan) -> list[tuple[Modality, float, int]]:
    """The sequences used, each with weight and sign (-1: tumour is dark, 0: it differs either way)."""
    water = [(s, weight, 1) for s, weight in _WATER.items() if s in scan.images]
    if water:
        return water
    sequence = next(s for s in _OTHERWISE if s in scan.images)
    return [(sequence, 1.0, 0 if sequence is Modality.T1C else -1)]
