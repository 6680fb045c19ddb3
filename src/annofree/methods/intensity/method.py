"""The plain rule that every method has to beat: what is bright on FLAIR is tumour.

Score: robust z of one sequence over the brain, smoothed. Mask: threshold, inside the eroded brain, one component.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from annofree.intensity import Normalisation
from annofree.methods.base import Method
from annofree.methods.decide import Rules, Scored
from annofree.prepare.slices import PREFERRED
from annofree.refine.brain import ErodedBrain
from annofree.refine.components import KeepComponents
from annofree.scan import Modality, Scan
from annofree.segmentation import ScoreMap
from annofree.settings import NotNegative, Settings
from annofree.thresholds.fixed import Fixed


class IntensitySettings(Settings):
    """Settings of the intensity rule.

    Attributes:
        sequence: Which sequence to look at; None takes the first present of FLAIR, T2, T1C, T1.
        sigma_mm: Smoothing before the threshold.
    """

    sequence: Modality | None = None
    sigma_mm: NotNegative = 1.5


class Intensity(Method):
    """Bright voxels of one sequence, threshold from healthy scans (tier T0).

    Fitting sets the threshold on healthy scans: the 99 % quantile of their scores by default.
    """

    name: ClassVar[str] = "intensity"
    settings_class = IntensitySettings
    run_settings: ClassVar[frozenset[str]] = frozenset({"sequence"})
    settings: IntensitySettings

    def default_rules(self) -> Rules:
        """The threshold, the eroded brain, the largest component."""
        chain = (ErodedBrain(mm=3.0), KeepComponents(connectivity=6, keep="largest"))
        return Rules({"WT": self.default_threshold()}, {"WT": chain})

    def default_threshold(self) -> Any:
        """Learned from healthy scans by `fit`."""
        from annofree.thresholds.healthy import HealthyQuantile

        return HealthyQuantile(quantile=0.99)

    def score(self, scan: Scan) -> Scored:
        """Smoothed robust z of the sequence; -5 outside the brain, so that the edge is never bright."""
        from scipy.ndimage import gaussian_filter

        sequence = self.settings.sequence or next(s for s in PREFERRED if s in scan.images)
        scan.require(sequence, why=f"method '{self.name}'")
        image, brain = scan.images[sequence], scan.foreground()
        z = np.where(brain, Normalisation.fit(image, brain)(image), np.float32(-5.0))
        sigma = [self.settings.sigma_mm / step for step in scan.spacing_mm]
        scores = {"WT": ScoreMap(gaussian_filter(z, sigma), "WT", "z", scan.grid)}
        return Scored(scores, self.rules, looked_at=str(sequence))


class PublishedIntensity(Intensity):
    """The rule with its fixed z > 1.5, which was picked on masks: tier T2, printed beside every number."""

    name: ClassVar[str] = "intensity-published"

    def default_threshold(self) -> Any:
        """1.5 robust standard deviations."""
        return Fixed(value=1.5, tier="T2", source="picked on the masks of seven development patients")
