"""What differs from the tissue that the atlas expects there, and from the other side of the same brain.

Each grey level is compared with what this brain's own grey matter, white matter and fluid would give at that place of
the MNI template, in robust standard deviations, and with its mirror image across the brain's own midline. White-matter
hyperintensities of age are nearly symmetric and fade; a tumour is neither expected nor mirrored.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from annofree.intensity import robust_level
from annofree.masks import Box, SmoothingInside, bounding_box
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


def expected_tissues(scan: Scan, box: Box, affine: NDArray[np.float64], sigma_mm: float) -> NDArray[np.float32]:
    """The template's grey matter, white matter and fluid on part of a scan's grid, (3, X, Y, Z), summing to one.

    The affine (4, 4) leads from scanner mm to MNI mm; the maps are smoothed by `sigma_mm`.
    """
    from scipy import ndimage

    from annofree.anatomy.template import template

    to_voxel = np.linalg.inv(template().affine) @ affine @ scan.affine
    offset = to_voxel[:3, :3] @ np.array([axis.start for axis in box]) + to_voxel[:3, 3]
    shape = tuple(axis.stop - axis.start for axis in box)
    maps = [ndimage.affine_transform(m, to_voxel[:3, :3], offset, shape, order=1) for m in _smooth_tissues(sigma_mm)]
    stack = np.clip(np.stack(maps), 0.0, 1.0)
    total = stack.sum(axis=0)
    stack[2] += np.clip(1.0 - total, 0.0, 1.0)
    return np.asarray(stack / stack.sum(axis=0), dtype=np.float32)


@lru_cache(maxsize=1)
def _smooth_tissues(sigma_mm: float) -> tuple[NDArray[np.float32], ...]:
    """Grey matter, white matter and fluid of the template, smoothed; kept for the next scan."""
    from scipy import ndimage

    from annofree.anatomy.template import template

    brain = template()
    return tuple(ndimage.gaussian_filter(tissue, sigma_mm) for tissue in (brain.grey, brain.white, brain.csf))


def tissue_z(
    image: NDArray[np.float32], brain: NDArray[np.bool_], tissues: NDArray[np.float32] | None, sign: int = 1
) -> NDArray[np.float32]:
    """Robust z (X, Y, Z) of an image against the mixture of tissues expected at each voxel, 0 outside the brain.

    The grey level of each tissue is fitted to this brain by least squares with Tukey's biweight (c = 4.685, the usual
    95 % efficiency; Huber and Ronchetti, Robust Statistics, 2009), so that a tumour has no say. The spread of each
    tissue is its weighted mean absolute residual within the biweight's reach. Shares of tissues are (3, X, Y, Z); None
    compares with the brain's median and spread. The sign is 1 where abnormal is bright, -1 where dark, 0 where either.
    """
    values = image[brain].astype(np.float64)
    shares = np.ones((values.size, 1)) if tissues is None else tissues[:, brain].T.astype(np.float64)
    step = max(1, values.size // 60_000)
    some, parts = values[::step], shares[::step]
    levels: NDArray[Any] = np.full(shares.shape[1], np.median(some))
    ridge = 1e-6 * len(some) * np.eye(len(levels))
    for _ in range(12):
        residual = some - parts @ levels
        spread = robust_level(residual)[1]
        weight = np.clip(1.0 - (residual / (4.685 * spread)) ** 2, 0.0, 1.0) ** 2
        normal = (parts * weight[:, None]).T @ parts + ridge
        levels = np.linalg.solve(normal, (parts * weight[:, None]).T @ some + ridge @ levels)
    residual = some - parts @ levels
    near = (np.abs(residual) < 4.685 * spread)[:, None] * parts
    absolute = 1.2533 * (near * np.abs(residual)[:, None]).sum(axis=0) / np.maximum(near.sum(axis=0), 1e-9)
    spreads = np.maximum(absolute, 0.25 * spread)
    z = (values - shares @ levels) / (shares @ spreads)
    out = np.zeros(image.shape, dtype=np.float32)
    out[brain] = np.clip(np.abs(z) if sign == 0 else sign * z, -10.0, 10.0)
    return out


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
        smooth = SmoothingInside(brain, self.settings.sigma_mm, scan.spacing_mm, least=0.1)
        z = np.where(brain, smooth(z), np.float32(0.0))
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
