"""What a masked transformer autoencoder of healthy brains cannot explain, decided per sequence (tier T0).

The corrected form of MViT-AE (Comas-Quiles et al. 2025, arXiv:2510.15684); the published one is in `published.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.labels import NESTED
from annofree.masks import SmoothingInside
from annofree.methods.decide import Rules, Scored
from annofree.methods.mvit_ae.frame import Frame, Map, frame
from annofree.methods.mvit_ae.healthy import HOLD_OUT_SEEDS
from annofree.methods.mvit_ae.settings import Fusion, MViTAESettings
from annofree.methods.network_method import SMALLEST_ML, NetworkMethod
from annofree.refine.base import Refiner
from annofree.refine.brain import ErodedBrain, eroded
from annofree.refine.components import KeepComponents
from annofree.refine.half_height import HalfHeight
from annofree.refine.holes import FillHoles
from annofree.refine.mirror import MirrorFilter
from annofree.refine.morphology import Morphology
from annofree.scan import Cohort, Modality, Scan
from annofree.segmentation import ScoreMap
from annofree.thresholds.base import HealthyScores, Threshold
from annofree.thresholds.fixed import Fixed
from annofree.thresholds.healthy import HealthyQuantile
from annofree.training.healthy import bank_of, made_scan

#: Real healthy scans with a sequence from which on they alone set its level; made brains stand in before.
ENOUGH_REAL = 3

#: Names of levels beside those of the sequences: T1C within the tumour, and early fusion's mean.
INSIDE, MEAN = "T1C-inside", "mean"

#: A level is at least this many robust standard deviations.
LEAST_LEVEL = 0.1

#: Made brains on which levels are set where real ones lack a sequence.
HELD_OUT = 4

#: Slice in voxels, left-right and back-front, where no network says.
SLICE = (64, 80)


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


class MViTAE(NetworkMethod):
    """Residuals of a masked ViT autoencoder, thresholds of each sequence from healthy scans; WT, TC and ET.

    Any subset of the sequences will do: FLAIR (else T2, else T1) tells oedema, T1C enhancement.
    """

    name: ClassVar[str] = "mvit-ae"
    settings_class = MViTAESettings
    run_settings: ClassVar[frozenset[str]] = frozenset({"fusion", "reconstruction"})
    settings: MViTAESettings
    folders: ClassVar[dict[str, str]] = {"network": "networks/0"}

    def default_rules(self) -> Rules:
        """One is the healthy level, in whose units the scores are."""
        one = Fixed(value=1.0, tier="T0", source="the healthy level of the sequence, in whose units the scores are")
        return Rules({"WT": one, "TC": one, "ET": one}, region_refiners(SMALLEST_ML[0]))

    def score(self, scan: Scan) -> Scored:
        """How far image minus reconstruction exceeds what is healthy: 1 is the healthy level, 0 as expected.

        Raises:
            InputError: The model is not fitted, or the brain is too small.
        """
        framed = self.framed(scan)
        residuals = self.residuals(framed, self.settings.fusion)
        levels = {s: self._level(self._key(self.settings.fusion, s)) for s in residuals}
        inside = self._level(self._key(self.settings.fusion, INSIDE)) if Modality.T1C in residuals else 1.0
        maps = fuse(residuals, levels, self.settings.fusion, inside)
        if self.settings.fusion == "early":
            maps["WT"] = maps["WT"] / np.float32(self._level(self._key("early", MEAN)))
        brain = scan.foreground()
        on_scan: dict[int, Map] = {}
        scores = {}
        for region, values in maps.items():
            if id(values) not in on_scan:
                on_scan[id(values)] = framed.to_scan(values, scan) * brain
            scores[region] = ScoreMap(on_scan[id(values)], region, "residual", scan.grid)
        return Scored(scores, self.rules)

    def framed(self, scan: Scan) -> Frame:
        """The scan as the network sees it. Raises `InputError`: the model is not fitted, or the scan has no brain."""
        if self.settings.reconstruction == "network":
            self.needed_network()
        size = tuple(self.network.settings.size) if self.network is not None else SLICE
        spacing = float((self.network_extra or {}).get("spacing_mm", self.settings.spacing_mm))
        return frame(scan.replace(brain=self.brain(scan)), size, spacing)[0]

    def residuals(self, framed: Frame, fusion: Fusion) -> dict[Modality, Map]:
        """Image minus reconstruction of each sequence that is there, smoothed, (Z, X, Y) robust z.

        A reconstruction may excuse what looks like tumour, bright grey matter on FLAIR for instance, but not accuse:
        where it is on the other side of the brain's median, the median stands in. A blurred reconstruction puts fluid a
        little beside where it is, and all that stands there instead would look too bright. The fusion "late" shows the
        network one sequence at a time, the others show it all.
        """
        residuals = {}
        joint = None if fusion == "late" else self._reconstruct(framed, framed.present)
        for channel, sequence in enumerate(Modality):
            if framed.present[channel]:
                found = joint if joint is not None else self._reconstruct(framed, np.arange(len(Modality)) == channel)
                expected = np.maximum(found[channel] * DIRECTION[sequence], 0.0) * DIRECTION[sequence]
                residuals[sequence] = self._smoothed(framed, framed.images[channel] - expected)
        return residuals

    def _reconstruct(self, framed: Frame, shown: NDArray[np.bool_]) -> Map:
        from annofree.methods.mvit_ae.frame import reconstruct

        if self.settings.reconstruction == "constant":
            return np.zeros_like(framed.images)
        assert self.network is not None
        settings = self.settings
        return reconstruct(self.network, framed, shown, rounds=settings.rounds, hide_share=settings.hide_share)

    def _smoothed(self, framed: Frame, residual: Map) -> Map:
        x, y, z = framed.grid.spacing_mm
        smooth = SmoothingInside(framed.brain, self.settings.sigma_mm, (z, x, y), least=0.1)
        return smooth(residual) * framed.brain

    def _key(self, fusion: Fusion, what: str) -> str:
        """Name of a level: levels differ with what the network is shown."""
        way = "constant" if self.settings.reconstruction == "constant" else "alone" if fusion == "late" else "joint"
        return f"{way}-{what}"

    def _level(self, key: str) -> float:
        rule = self.thresholds.get(key)
        if rule is None or rule.value is None:
            raise InputError(
                f"This {self.name} model has no level for '{key}'",
                why="levels are measured on healthy scans",
                fix="Fit it with --healthy, or leave --model out to use the shipped one",
            )
        return rule.value

    def fit(
        self, *, healthy: Cohort | None = None, patients: Cohort | None = None, workspace: Path | None = None
    ) -> Self:
        """Train the autoencoder on healthy slices, then set the levels on healthy scans. No mask is read.

        Healthy scans may be of any sequences; the better half of patients is mirrored over the worse one where that can
        be checked.
        """
        from annofree.methods.mvit_ae.learn import fit

        learner = self.with_network(*fit(self.settings, healthy, patients, workspace))
        return learner.calibrate(healthy if healthy is not None else Cohort({}))

    @property
    def fit_mb(self) -> int:
        """Checkpoints, and the slices that are learned from."""
        return 400

    def calibrate(self, healthy: Cohort) -> Self:
        """Set the level of each sequence and the smallest finding that is kept.

        A level is what `quantile` of healthy voxels stay below, away from the brain's rim, for the network shown all
        sequences, shown that one alone, and for the constant. Real scans set it where three or more have the sequence;
        made brains that nothing was learned from stand in otherwise.
        """
        real = list(healthy)
        bank = bank_of(self.settings.labelmaps)
        made = (made_scan(bank, seed) for seed in range(HOLD_OUT_SEEDS, HOLD_OUT_SEEDS + HELD_OUT))
        ways: list[tuple[str, Fusion]] = [("constant", "early-late")]
        if self.network is not None:
            ways += [("network", "early-late"), ("network", "late")]
        probe = self.replace(reconstruction=ways[-1][0])
        frames = [(scan.id, number < len(real), probe.framed(scan)) for number, scan in enumerate((*real, *made))]
        levels: dict[str, Threshold] = {}
        for option, fusion in ways:
            levels |= self.replace(reconstruction=option)._levels(frames, fusion)
        own = {region: self.thresholds[region] for region, _ in NESTED}
        learner = self.replace(
            rules=Rules(own | levels, self.refiners), card={**self.card, "healthy": list(healthy.ids)}
        )
        before = (r for r in region_refiners(0.0)["WT"] if not isinstance(r, HalfHeight | MirrorFilter))
        return learner.replace(refiners=region_refiners(learner.smallest_ml(real, before) if real else SMALLEST_ML[0]))

    def _levels(self, frames: list[tuple[str, bool, Frame]], fusion: Fusion) -> dict[str, Threshold]:
        """Levels of each sequence, and of early fusion's mean over sequences in units of theirs.

        `frames` has id, whether it is a real scan, and slices of each healthy brain.
        """
        rule = HealthyQuantile(quantile=self.settings.quantile, floor=LEAST_LEVEL)
        residuals = [self.residuals(framed, fusion) for _, _, framed in frames]
        levels: dict[str, Threshold] = {}
        for sequence in Modality:
            having = [(f, r[sequence]) for f, r in zip(frames, residuals, strict=True) if sequence in r]
            if sum(is_real for (_, is_real, _), _ in having) >= ENOUGH_REAL:
                having = [one for one in having if one[0][1]]
            scores = [healthy_scores(name, framed, DIRECTION[sequence] * r) for (name, _, framed), r in having]
            levels[self._key(fusion, sequence)] = rule.fit(scores)
            if sequence is Modality.T1C:
                levels[self._key(fusion, INSIDE)] = rule.replace(quantile=self.settings.inside_quantile).fit(scores)
        if fusion != "late":
            own = {s: float(levels[self._key(fusion, s)].value or 1.0) for s in Modality}
            levels[self._key("early", MEAN)] = rule.fit(
                healthy_scores(name, framed, fuse(r, own, "early", 1.0)["WT"])
                for (name, _, framed), r in zip(frames, residuals, strict=True)
            )
        return levels


#: Whether tumour is brighter (1) or darker (-1) than what the network expects.
DIRECTION = {Modality.T1: -1.0, Modality.T1C: 1.0, Modality.T2: 1.0, Modality.FLAIR: 1.0}

#: The sequence that decides on oedema is the first of these that is there; T1C decides on enhancement besides.
WATER = (Modality.FLAIR, Modality.T2, Modality.T1)


def oedema_sequence(present: Mapping[Modality, object]) -> Modality | None:
    """The sequence on which oedema is looked for, or None where only T1C is there."""
    return next((s for s in WATER if s in present), None)


def fuse(
    residuals: Mapping[Modality, Map], levels: Mapping[Modality, float], fusion: Fusion, inside: float
) -> dict[str, Map]:
    """Scores of the regions from smoothed signed residuals, in units of the healthy level: above 1 is abnormal.

    Late and early-late fusion differ in how the residuals were made (each sequence reconstructed from itself, or all
    together); both decide per sequence and merge: FLAIR (else T2, else T1) tells oedema, T1C enhancement. Early fusion
    takes one decision on the mean of all sequences; within it T1C tells enhancement. `levels` are what healthy
    residuals rarely exceed in the tumour's direction, `inside` that of T1C within what is called tumour, where vessels
    and dura are rare. "TC" and "ET" are the same map, and there is neither without T1C.
    """
    scaled = {s: DIRECTION[s] * values / np.float32(levels[s]) for s, values in residuals.items()}
    if fusion == "early":
        whole: Map = np.asarray(np.mean(list(scaled.values()), axis=0, dtype=np.float32))
    else:
        water = oedema_sequence(scaled)
        deciding = [scaled[s] for s in (water, Modality.T1C) if s is not None and s in scaled]
        whole = np.asarray(np.maximum.reduce(deciding))
    if Modality.T1C not in residuals:
        return {"WT": whole}
    enhancing = residuals[Modality.T1C] / np.float32(inside)
    return {"WT": whole, "TC": enhancing, "ET": enhancing}
