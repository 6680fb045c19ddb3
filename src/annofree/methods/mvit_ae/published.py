"""The published MViT-AE: its network, constants and decisions, faults included (tier T2).

Comas-Quiles et al. 2025 (arXiv:2510.15684), rebuilt from its description; no code was taken. Two things are not as
published. It learns from healthy brains instead of the tumour-free slices of patients, because those are found with
the very masks that a label-free method does without. And results keep the scan's geometry, which the published
container throws away.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import ndimage

from annofree.errors import InputError
from annofree.methods.decide import Decision
from annofree.methods.mvit_ae.frame import Frame, Map, frame
from annofree.methods.mvit_ae.network_method import NetworkMethod
from annofree.refine import refine
from annofree.refine.base import RefineContext
from annofree.scan import Cohort, Modality, Scan
from annofree.segmentation import ScoreMap, Segmentation
from annofree.settings import Settings
from annofree.thresholds.base import Threshold
from annofree.thresholds.fixed import Fixed

if TYPE_CHECKING:
    from annofree.methods.mvit_ae.fit import Fitted
    from annofree.methods.mvit_ae.network import ViTAESettings

#: Volume that grey levels are normalised over: the published z-score takes the background in, so that its constants
#: mean something in the frame of BraTS only, 240 x 240 x 155 mm.
BRATS_MM3 = 240.0 * 240.0 * 155.0

#: Thresholds of the published container, in units of that z-score.
THRESHOLDS = {Modality.T1C: 1.2, Modality.FLAIR: 1.5}

_CROSS = ndimage.generate_binary_structure(2, 1)[:, :, None]


class MViTAEPublishedSettings(Settings):
    """Settings of the preset.

    Attributes:
        reconstruction: "network"; or "constant", the control that the authors' log reports: the brain's median stands
            in everywhere (their constant is not stated).
        fill_over_enhancing: Whether the holes of the oedema become core even where they hold enhancing tumour; True as
            published, which deletes enhancing tumour that oedema encloses.
        network: What `fit` trains: "published" (40.7 million parameters, slices of 1 mm) or "narrow" (the same layout
            at 3 mm, which two CPU cores can train).
        labelmaps: Folder (or bank file) of anatomical label maps to make brains from; None takes the MNI tissue maps.
        made: Made brains that `fit` learns from.
        steps: Training steps of `fit`.
        seed: Decides a fit.
    """

    reconstruction: Literal["network", "constant"] = "network"
    fill_over_enhancing: bool = True
    network: Literal["published", "narrow"] = "published"
    labelmaps: str | None = None
    made: int = Field(24, ge=1)
    steps: int = Field(10_000, ge=1)
    seed: int = 0


def network_settings(size: Literal["published", "narrow"]) -> ViTAESettings:
    """Shape of the network: the published one, or the same 10 x 10 patches of 24 mm at 3 mm and narrower."""
    from annofree.methods.mvit_ae.network import SEQUENCES, ViTAESettings

    if size == "published":
        return ViTAESettings()
    decoder = ((16, 11, 2, 0), (16, 11, 2, 1), (8, 11, 1, 0), (SEQUENCES, 14, 1, 0))
    return ViTAESettings(image=80, patch=8, dim=64, mlp=128, latent=256, decoder=decoder)


class MViTAEPublished(NetworkMethod):
    """The published preset: signed residuals of T1C and FLAIR, fixed thresholds, the largest component of each."""

    name: ClassVar[str] = "mvit-ae-published"
    regions: ClassVar[tuple[str, ...]] = ("WT", "TC", "ET")
    needs: ClassVar[tuple[Modality, ...]] = tuple(Modality)
    settings_class = MViTAEPublishedSettings
    settings: MViTAEPublishedSettings

    def __init__(self, settings: Settings | None = None, **options: Any) -> None:
        super().__init__(settings, **options)
        source = "published constant, chosen by results on masks"
        one = Fixed(1.0, tier="T2", source="the published constants, in whose units the scores are")
        self.thresholds: dict[str, Threshold] = {"WT": one, "TC": one, "ET": one}
        self.thresholds |= {f"residual-{s}": Fixed(v, tier="T2", source=source) for s, v in THRESHOLDS.items()}
        self.refiners = {"WT": ()}

    def score(self, scan: Scan) -> dict[str, ScoreMap]:
        """Image minus reconstruction of FLAIR and T1C, and the regions' scores in units of the thresholds.

        Raises:
            InputError: The model is not fitted, or a sequence has no contrast.
        """
        scan.require(*self.needs, why=f"method '{self.name}'")
        scan = scan.replace(brain=self.brain(scan))
        expected = self._expected(scan)
        maps = {s: (whole_volume_z(scan, s)[0] - expected[s]) * np.float32(scan.brain) for s in THRESHOLDS}
        enhancing = maps[Modality.T1C] / np.float32(self._constant(Modality.T1C))
        whole = np.maximum(enhancing, maps[Modality.FLAIR] / np.float32(self._constant(Modality.FLAIR)))
        scores = {r: ScoreMap(m, r, "residual") for r, m in (("WT", whole), ("TC", enhancing), ("ET", enhancing))}
        return scores | {f"residual-{s}": ScoreMap(m, f"residual-{s}", "residual") for s, m in maps.items()}

    def _constant(self, sequence: Modality) -> float:
        value = self.thresholds[f"residual-{sequence}"].value
        assert value is not None
        return value

    def _expected(self, scan: Scan) -> dict[Modality, Map]:
        """The reconstruction of FLAIR and T1C on the scan's grid."""
        from annofree.methods.mvit_ae.reconstruct import reconstruct_slices

        if self.settings.reconstruction == "constant":
            middle = {s: np.median(whole_volume_z(scan, s)[0][scan.brain]) for s in THRESHOLDS}
            return {s: np.full(scan.shape, value, dtype=np.float32) for s, value in middle.items()}
        if self.network is None:
            raise InputError(f"This {self.name} model has no network", fix="Fit it, or leave --model out")
        framed = published_frame(scan, self.network.settings)
        found = reconstruct_slices(self.network, framed.images)
        return {s: framed.to_scan(found[list(Modality).index(s)], scan) for s in THRESHOLDS}

    def segment(self, scan: Scan) -> Segmentation:
        """Score, then the published decisions; refiners of the whole tumour, if any were given, come last.

        Raises:
            MissingSequence: One of the four sequences is missing.
        """
        scores = self.score(scan)
        brain = self.brain(scan)
        values = {s: scores[f"residual-{s}"].values for s in THRESHOLDS}
        labels = published_labels(
            {s: (values[s], self._constant(s)) for s in THRESHOLDS}, over_enhancing=self.settings.fill_over_enhancing
        )
        labels[~brain] = 0
        context = RefineContext(
            scores=scores["WT"].values, brain=brain, spacing_mm=scan.spacing_mm, images=scan.images, threshold_value=1.0
        )
        whole = refine(labels > 0, self.refiners.get("WT", ()), context) & brain
        labels = np.where(whole, np.where(labels > 0, labels, 2), 0).astype(np.uint8)
        used = {region: self.thresholds[region] for region in self.regions}
        assert scan.native is not None
        return Segmentation(
            scan_id=scan.id,
            labels=labels,
            affine=scan.affine,
            native=scan.native,
            regions=self.regions,
            scores=scores,
            thresholds=used,
            brain=brain,
            provenance=self.provenance(scan, Decision(labels, used, tuple(context.notes))),
        )

    def fit(self, *, healthy: Cohort | None = None, patients: Cohort | None = None) -> Self:
        """Train the network on four-sequence healthy slices; the constants stay.

        Args:
            healthy: Real healthy scans; those without all four sequences are left out.
            patients: Patients, of whom the better half is mirrored over the worse one where that can be checked.
        """
        self.learn(healthy, patients)
        return self

    def trained(self, workspace: Path, healthy: Cohort | None, patients: Cohort | None) -> Fitted:
        """The fit itself."""
        from annofree.methods.mvit_ae.fit import fit_published

        return fit_published(self.settings, workspace, healthy=healthy, patients=patients)

    def calibrate(self, healthy: Cohort) -> Self:
        """Nothing to set: the constants are the published ones."""
        self.card["healthy"] = [scan.id for scan in healthy]
        return self


def whole_volume_z(scan: Scan, sequence: Modality) -> tuple[Map, tuple[float, float]]:
    """A sequence in z over a BraTS-sized volume whose background is 0, and the mean and deviation used.

    Args:
        scan: A scan with its brain mask; what lies outside counts as 0.
        sequence: Which.

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
    """All slices of a scan as the published network sees them: square, 240 mm wide, whole-volume z.

    Args:
        scan: A scan with its brain mask.
        network: Shape of the network.
    """
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


def published_labels(residuals: dict[Modality, tuple[Map, float]], *, over_enhancing: bool = True) -> NDArray[np.uint8]:
    """Labels from the residuals of T1C and FLAIR, as published.

    Per sequence: what exceeds the threshold, cut again by Otsu's rule slice by slice (zeros included), opened and
    closed in the slice, the largest 6-connected component. FLAIR's becomes oedema, T1C's enhancing tumour on top; holes
    of the oedema, then of the enhancing tumour, become core.

    Args:
        residuals: (X, Y, Z) residual and threshold, by sequence.
        over_enhancing: Whether the oedema's holes become core even where they hold enhancing tumour (as published).
    """
    oedema = _largest(*residuals[Modality.FLAIR])
    enhancing = _largest(*residuals[Modality.T1C])
    labels = np.zeros(oedema.shape, dtype=np.uint8)
    labels[oedema] = 2
    labels[enhancing] = 3
    for label in (2, 3):
        part = labels == label
        holes = ndimage.binary_fill_holes(part) & ~part
        if not over_enhancing:
            holes &= labels == 0
        labels[holes] = 1
    return labels


def _largest(residual: Map, threshold: float) -> NDArray[np.bool_]:
    from skimage.filters import threshold_otsu

    above = np.where(residual > threshold, residual, np.float32(0.0))
    mask: NDArray[np.bool_] = np.zeros(above.shape, dtype=bool)
    for z in np.flatnonzero(above.any(axis=(0, 1))):
        mask[:, :, z] = above[:, :, z] > threshold_otsu(above[:, :, z])  # type: ignore[no-untyped-call]
    mask = ndimage.binary_closing(ndimage.binary_opening(mask, _CROSS), _CROSS)
    parts, count = ndimage.label(mask)
    if count == 0:
        return np.zeros(above.shape, dtype=bool)
    kept: NDArray[np.bool_] = parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
    return kept
