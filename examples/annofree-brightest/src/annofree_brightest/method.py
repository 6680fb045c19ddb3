"""A whole method: settings, rules, scores. Fitting, saving, loading and deciding come with the base."""

from typing import ClassVar, Literal

from annofree.intensity import Normalisation
from annofree.methods.base import Method
from annofree.methods.decide import Rules, Scored
from annofree.refine import KeepComponents
from annofree.scan import Modality, Scan
from annofree.segmentation import ScoreMap
from annofree.settings import Settings
from annofree.thresholds import HealthyQuantile, Mad


class BrightestSettings(Settings):
    """Settings of the method.

    Attributes:
        first: The sequence to look at where it is there.
        rule: Where the threshold comes from: the scan itself, or healthy scans (then the method must be fitted).
    """

    first: Modality = Modality.FLAIR
    rule: Literal["scan", "healthy"] = "scan"


class Brightest(Method):
    """Robust z of one sequence; the largest part above a threshold."""

    name: ClassVar[str] = "brightest"
    settings_class = BrightestSettings
    settings: BrightestSettings
    run_settings: ClassVar[frozenset[str]] = frozenset({"first"})

    def default_rules(self) -> Rules:
        """Three robust deviations, or what 99 % of healthy voxels stay below."""
        threshold = Mad(k=3.0) if self.settings.rule == "scan" else HealthyQuantile(quantile=0.99)
        return Rules({"WT": threshold}, {"WT": (KeepComponents(keep="largest"),)})

    def score(self, scan: Scan) -> Scored:
        """The scores, on the scan's grid; `scan.brain` is where the method may look."""
        sequence = self.settings.first if self.settings.first in scan.images else scan.sequences[0]
        image, brain = scan.images[sequence], scan.foreground()
        values = Normalisation.fit(image, brain)(image) * brain
        return Scored({"WT": ScoreMap(values, "WT", "z", scan.grid)}, self.rules)
