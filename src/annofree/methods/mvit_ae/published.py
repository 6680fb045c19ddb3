"""The published MViT-AE: its network, constants and decisions, faults included (tier T2).

Comas-Quiles et al. 2025 (arXiv:2510.15684), rebuilt from its description; no code was taken. Two things are not as
published. It learns from healthy brains instead of the tumour-free slices of patients, because those are found with
the very masks that a label-free method does without. And results keep the scan's geometry, which the published
container throws away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from annofree.errors import InputError
from annofree.methods.mvit_ae.frame import Frame, Map, frame
from annofree.scan import Modality, Scan

if TYPE_CHECKING:
    from annofree.methods.mvit_ae.network import ViTAESettings

from pathlib import Path
from typing import Any, ClassVar, Self

from annofree.labels import NESTED
from annofree.methods.decide import Rules, Scored
from annofree.methods.mvit_ae.settings import MViTAEPublishedSettings
from annofree.methods.network_method import NetworkMethod
from annofree.refine.published_mvit import PublishedMViT
from annofree.scan import Cohort
from annofree.segmentation import ScoreMap
from annofree.thresholds.fixed import Fixed

#: Thresholds of the published container, in units of that z-score.
THRESHOLDS = {Modality.T1C: PublishedMViT().t1c, Modality.FLAIR: PublishedMViT().flair}


#: Volume that grey levels are normalised over: the published z-score takes the background in, so that its constants
#: mean something in the frame of BraTS only, 240 x 240 x 155 mm.
BRATS_MM3 = 240.0 * 240.0 * 155.0


def network_settings(size: Literal["published", "narrow"]) -> ViTAESettings:
    """Shape of the network: the published one, or the same 10 x 10 patches of 24 mm at 3 mm and narrower."""
    from annofree.methods.mvit_ae.network import SEQUENCES, ViTAESettings

    if size == "published":
        return ViTAESettings()
    decoder = ((16, 11, 2, 0), (16, 11, 2, 1), (8, 11, 1, 0), (SEQUENCES, 14, 1, 0))
    return ViTAESettings(image=80, patch=8, dim=64, mlp=128, latent=256, decoder=decoder)


def whole_volume_z(scan: Scan, sequence: Modality) -> tuple[Map, tuple[float, float]]:
    """A sequence in z over a BraTS-sized volume whose background is 0, and the mean and deviation used.

    What lies outside the scan's brain mask counts as 0.

    Raises:
        InputError: The sequence has no contrast.
    """
    assert scan.brain is not None
    inside = scan.images[sequence][scan.brain].astype(np.float64)
    number = max(BRATS_MM3 / (1000.0 * scan.voxel_ml), float(inside.size))
    mean = float(inside.sum()) / number
    deviation = float(np.sqrt(max((inside**2).sum() / number - mean**2, 0.0)))
    if deviation <= 0:
        raise InputError(f"{sequence} of scan '{scan.id}' has no contrast", fix="Check that the file holds an MRI")
    z = (np.where(scan.brain, scan.images[sequence], np.float32(0.0)) - mean) / deviation
    return z.astype(np.float32), (mean, deviation)


def published_frame(scan: Scan, network: ViTAESettings) -> Frame:
    """All slices of a scan with its brain mask as the published network sees them: square, 240 mm wide."""
    framed, rules = frame(scan, (network.image, network.image), 240.0 / network.image, clip=float("inf"))
    images = np.empty_like(framed.images)
    for channel, sequence in enumerate(Modality):
        if sequence not in rules:
            images[channel] = 0.0
            continue
        _, (mean, deviation) = whole_volume_z(scan, sequence)
        grey = np.where(framed.brain, rules[sequence].back(framed.images[channel]), np.float32(0.0))
        images[channel] = (grey - mean) / deviation
    return Frame(images, framed.brain, framed.height, framed.present, framed.grid, framed.start)


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
        from annofree.methods.mvit_ae.reconstruct import reconstruct_slices

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
