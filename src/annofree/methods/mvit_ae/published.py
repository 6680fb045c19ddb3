"""The published MViT-AE: its network, constants and decisions, faults included (tier T2).

Comas-Quiles et al. 2025 (arXiv:2510.15684), rebuilt from its description; no code was taken. Two things are not as
published. It learns from healthy brains instead of the tumour-free slices of patients, because those are found with
the very masks that a label-free method does without. And results keep the scan's geometry, which the published
container throws away.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from annofree.labels import NESTED
from annofree.methods.decide import Rules, Scored
from annofree.methods.mvit_ae.frame import Map, published_frame, reconstruct_slices, whole_volume_z
from annofree.methods.mvit_ae.settings import MViTAEPublishedSettings
from annofree.methods.network_method import NetworkMethod
from annofree.refine.published_mvit import PublishedMViT
from annofree.scan import Cohort, Modality, Scan
from annofree.segmentation import ScoreMap
from annofree.thresholds.fixed import Fixed

#: Thresholds of the published container, in units of that z-score.
THRESHOLDS = {Modality.T1C: PublishedMViT().t1c, Modality.FLAIR: PublishedMViT().flair}


class MViTAEPublished(NetworkMethod):
    """The published preset: signed residuals of T1C and FLAIR, fixed thresholds, the largest component of each."""

    name: ClassVar[str] = "mvit-ae-published"
    needs: ClassVar[tuple[Modality, ...]] = tuple(Modality)
    settings_class = MViTAEPublishedSettings
    settings: MViTAEPublishedSettings
    folders: ClassVar[dict[str, str]] = {"network": "networks/0"}
    run_settings: ClassVar[frozenset[str]] = frozenset({"reconstruction"})

    def default_rules(self) -> Rules:
        """The published constants; the same two-step decision gives every region."""
        source = "the published constants, chosen by results on masks, in whose units the scores are"
        regions = [region for region, _ in NESTED]
        one = Fixed(value=1.0, tier="T2", source=source)
        return Rules(dict.fromkeys(regions, one), dict.fromkeys(regions, (PublishedMViT(),)))

    def score(self, scan: Scan) -> Scored:
        """Image minus reconstruction of FLAIR and T1C, and the regions' scores in units of the thresholds.

        Raises:
            InputError: The model is not fitted, or a sequence has no contrast.
        """
        expected = self._expected(scan)
        maps = {
            f"residual-{s}": (whole_volume_z(scan, s)[0] - expected[s]) * np.float32(scan.brain) for s in THRESHOLDS
        }
        scaled = {s: maps[f"residual-{s}"] / np.float32(v) for s, v in THRESHOLDS.items()}
        enhancing = scaled[Modality.T1C]
        maps = {"WT": np.maximum(enhancing, scaled[Modality.FLAIR]), "TC": enhancing, "ET": enhancing, **maps}
        return Scored({name: ScoreMap(m, name, "residual", scan.grid) for name, m in maps.items()}, self.rules)

    def _expected(self, scan: Scan) -> dict[Modality, Map]:
        """The reconstruction of FLAIR and T1C on the scan's grid."""
        if self.settings.reconstruction == "constant":
            middle = {s: np.median(whole_volume_z(scan, s)[0][scan.brain]) for s in THRESHOLDS}
            return {s: np.full(scan.shape, value, dtype=np.float32) for s, value in middle.items()}
        network = self.needed_network()
        framed = published_frame(scan, network.settings)
        found = reconstruct_slices(network, framed.images)
        return {s: framed.to_scan(found[list(Modality).index(s)], scan) for s in THRESHOLDS}

    @property
    def fit_mb(self) -> int:
        """40.7 million weights, their average, Adam's two, and the copy that is being written."""
        return 2500 if self.settings.network == "published" else 400

    def fit(
        self, *, healthy: Cohort | None = None, patients: Cohort | None = None, workspace: Path | None = None
    ) -> Self:
        """Train the network on four-sequence healthy slices; the constants stay.

        Healthy scans without all four sequences are left out; the better half of patients is mirrored over the worse
        one where that can be checked.
        """
        from annofree.methods.mvit_ae.learn import fit

        return self.with_network(*fit(self.settings, healthy, patients, workspace))

    def calibrate(self, healthy: Cohort) -> Self:
        """Nothing to set: the constants are the published ones."""
        return self.replace(card={**self.card, "healthy": [scan.id for scan in healthy]})

    @classmethod
    def migrated(cls, config: dict[str, Any]) -> dict[str, Any]:
        """In the first form the decisions were part of the method, and one of them was a setting."""
        if config["form"] > 1:
            return config
        settings = dict(config["settings"])
        last = PublishedMViT(over_enhancing=settings.pop("fill_over_enhancing", True)).to_dict()
        regions = [region for region, _ in NESTED]
        refiners = {region: [last, *config["refiners"].get(region, [])] for region in regions}
        thresholds = {region: config["thresholds"][region] for region in regions}
        return {**config, "settings": settings, "refiners": refiners, "thresholds": thresholds}
