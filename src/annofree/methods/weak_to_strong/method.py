"""Weak to strong: labels that nobody drew teach a UNETR (tier T0), or, said openly, labels that somebody drew (S).

The published system (see `docs/weak_to_strong.md`) makes Otsu masks of head foreground, trains a 2-D U-Net on them and
then a 3-D UNETR on experts' masks; nothing passes from one to the other. Here the strong stage learns from made
tumours, from the weak stage's tumour masks, or from any other method's answers.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from annofree.errors import InputError, no_folder
from annofree.methods.decide import Rules, Scored
from annofree.methods.network_method import SMALLEST_ML, NetworkMethod
from annofree.methods.weak_to_strong.settings import MADE, OTSU, WeakToStrongSettings
from annofree.progress import say
from annofree.refine.components import KeepComponents
from annofree.refine.holes import FillHoles
from annofree.scan import Cohort, Scan
from annofree.segmentation import ScoreMap, Unit
from annofree.thresholds.base import Threshold
from annofree.thresholds.fixed import Fixed

if TYPE_CHECKING:
    from annofree.methods.weak_to_strong.unetr import Size
    from annofree.methods.weak_to_strong.volumes import Volume

_TIER = "tier of the labels"


class WeakToStrong(NetworkMethod):
    """A UNETR taught by labels that nobody drew; the whole tumour from any subset of T1, T1C, T2 and FLAIR."""

    name: ClassVar[str] = "weak-to-strong"
    unit: ClassVar[Unit | None] = "probability"
    settings_class = WeakToStrongSettings
    settings: WeakToStrongSettings

    run_settings: ClassVar[frozenset[str]] = frozenset({"quality"})

    @property
    def learned_tier(self) -> str:
        """That of the labels; truth is open to a fit of tier S alone."""
        return "S" if self.settings.supervision == "truth" else str(self.card.get(_TIER, "T0"))

    def default_rules(self) -> Rules:
        """Even odds; holes are filled, specks go."""
        return _rules(Fixed(value=0.5, tier="T0", source="even odds of the network"), SMALLEST_ML[0])

    def score(self, scan: Scan) -> Scored:
        """Probability of whole tumour, by sliding windows over the brain as it is and flipped left to right.

        Raises:
            InputError: The model was not fitted.
        """
        from annofree.methods.weak_to_strong.predict import probabilities, view_of
        from annofree.prepare.resample import back

        network, brain = self.needed_network(), scan.foreground()
        images, inside, grid = view_of(scan, float((self.network_extra or {})["spacing_mm"]), brain)
        found = probabilities(network, images, inside, quality=self.settings.quality)
        fine = found if grid.same_as(scan.grid) else back(found, grid, scan.grid)
        values = np.clip(fine, 0.0, 1.0) * brain
        return Scored({"WT": ScoreMap(values, "WT", "probability", scan.grid)}, self.rules)

    @property
    def fit_mb(self) -> int:
        """Weights, their average, Adam's two, and the copy that is being written; twice where it is pre-trained."""
        once = {"small": 200, "compact": 4000, "published": 4000}[self.settings.size]
        return once * (2 if self.settings.pretrain_steps else 1)

    def check_fit(self, healthy: Cohort | None, patients: Cohort | None) -> None:
        """Labels need patients, and patients labels or a pre-training.

        Raises:
            InputError: One is there without the other, or there is no folder of labels.
        """
        super().check_fit(healthy, patients)
        own = self.settings
        if not self._made and patients is None:
            what = f"Labels '{own.labels}' belong to patients, and none were given"
            raise InputError(what, fix="Give them with --patients DIR")
        if self._made and patients is not None and not own.pretrain_steps:
            raise InputError(
                "Nothing would be learned from the patients",
                why="labels=made are those of made brains, and pretrain_steps=0 looks at no patient",
                fix="Choose --set labels=otsu or a folder of masks, or pretrain_steps=400, or leave --patients out",
            )
        if own.labels not in (MADE, OTSU) and not Path(own.labels).is_dir():
            raise no_folder(own.labels, "Check --set labels", "of labels")

    @property
    def _made(self) -> bool:
        return self.settings.supervision == "pseudo" and self.settings.labels == MADE

    def fit(
        self, *, healthy: Cohort | None = None, patients: Cohort | None = None, workspace: Path | None = None
    ) -> Self:
        """Learn, then set the smallest lesion that is kept on healthy scans; both cohorts serve the pre-training.

        Weights are chosen on held-out cases with the same kind of label; patients' truth is read under supervision
        "truth" alone.

        Raises:
            InputError: The labels need patients and there are none, or a label does not fit its scan.
        """
        from annofree.methods.weak_to_strong.unetr import size_of
        from annofree.methods.weak_to_strong.volumes import volume_of

        size = size_of(self.settings)
        pretrains = self.settings.pretrain_steps > 0
        unlabelled: list[Volume] = []
        # Healthy scans are read first even where they only calibrate: a useless one fails now, not after the training.
        for scan in (*(healthy or ()), *((patients or ()) if pretrains and self.settings.labels == MADE else ())):
            brain = self.brain(scan)
            if pretrains:
                unlabelled.append(volume_of(scan, size.spacing_mm, brain))
        with tempfile.TemporaryDirectory() as temporary:
            fitted = self._learn(size, patients, unlabelled, workspace or Path(temporary))
        return fitted if healthy is None else fitted.calibrate(healthy)

    def _learn(self, size: Size, patients: Cohort | None, unlabelled: list[Volume], workspace: Path) -> Self:
        from annofree.methods.weak_to_strong.lessons import made_lessons, patient_lessons
        from annofree.methods.weak_to_strong.strong import score_volumes, train_strong
        from annofree.methods.weak_to_strong.volumes import VolumeSampler

        settings = self.settings
        assert patients is not None or self._made  # by check_fit
        lessons = (
            made_lessons(settings, size)
            if patients is None or self._made
            else patient_lessons(settings, size, patients, self.brain)
        )
        for sentence in lessons.card.get("cut tumours", ()):
            say(sentence)
        if isinstance(lessons.sampler, VolumeSampler):
            unlabelled = [*unlabelled, *lessons.sampler.volumes]
        module, trained = train_strong(
            lessons,
            size,
            workspace,
            steps=settings.steps,
            seed=settings.seed,
            unlabelled=unlabelled,
            pretrain_steps=settings.pretrain_steps,
        )
        card = {
            _TIER: lessons.tier,
            "steps": trained.step,
            "steps of masked pre-training": settings.pretrain_steps,
            "validation Dice against labels of the same kind": trained.best_score,
        }
        if lessons.test:
            scores = score_volumes(module, lessons.test)
            card["held-out scans against labels of the same kind"] = str(scores)
            say(f"held-out scans against labels of the same kind: {scores}")
        fitted = self.with_network(module, lessons.card, {"spacing_mm": size.spacing_mm})
        return fitted.replace(card={**fitted.card, **card})

    def calibrate(self, healthy: Cohort) -> Self:
        """Set the smallest lesion that is kept: the volume at which half of healthy people have nothing called.

        At least 0.5 ml and at most 3 ml: a finding of more than that is never dropped for its size.
        """
        rules = _rules(self.thresholds["WT"], self.smallest_ml(healthy, [FillHoles()]))
        return self.replace(rules=rules, card={**self.card, "healthy": list(healthy.ids)})


def _rules(threshold: Threshold, smallest_ml: float) -> Rules:
    chain = (FillHoles(), KeepComponents(connectivity=26, min_ml=smallest_ml))
    return Rules({"WT": threshold}, {"WT": chain})
