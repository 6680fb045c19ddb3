"""Labels for patients that nobody labelled: what a trained network says again and again, the rest left open.

The network looks at a scan flipped, with bent contrast and under brightness slopes. Where all views say tumour, the
label says tumour; where all say none, none; in between, in a shell about the border, and where the brain beside the
tumour looks like the tumour, the label stays open and a second network is neither right nor wrong. Patients on whom the
views do not agree, or whose finding is tiny, huge, scattered or faint, are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import ndimage

from annofree.intensity import robust_level
from annofree.masks import Mask, components, components_with, dice
from annofree.methods.synthtumour.coarse import Coarse
from annofree.methods.synthtumour.leak import with_enhancement
from annofree.methods.synthtumour.partial import pack
from annofree.refine import refine
from annofree.refine.base import RefineContext, Refiner
from annofree.scan import Modality, Scan
from annofree.segmentation import REGIONS
from annofree.settings import Settings
from annofree.volumes import reaches

if TYPE_CHECKING:
    from annofree.inference import Network


class PseudoLabelSettings(Settings):
    """How pseudo-labels are made and which patients are kept. No number was chosen with a mask.

    Attributes:
        flip: Look at the left-right flipped scan too.
        powers: Contrasts at which the scan is seen (1 as it is).
        slopes: Looks under a random linear brightness slope, besides the even one.
        slope: Largest change of brightness from one end of the brain to the other, as a share.
        sure_above: Mean probability from which a voxel can be tumour.
        sure_below: Mean probability up to which a voxel can be none.
        agree: Share of the views that must be on the same side of one half.
        outer_shell_mm: Left open outside the tumour's border. Wider than the inner one: the first network draws
            too little, not too much, on held-out made cases.
        inner_shell_mm: Left open inside the border.
        alike_mm: Brain this near to the tumour, connected to it, and brighter than its darkest quarter on FLAIR (else
            T2) is left open, where the tumour stands out by one robust standard deviation; 0 switches off.
        least_ml: Smallest sure tumour of a patient who is kept.
        most_share: Largest share of the brain that a tumour can take.
        most_parts: Most connected parts of at least half a millilitre.
        least_main: Smallest share of the volume that the largest part must have.
        least_agreement: Smallest mean Dice between the views and their mean; two experts reach 0.85 (Menze 2015).
        least_confidence: Smallest mean probability inside the finding.
        filtered: Keep agreeing patients only; else one look, a hard border at one half, and every patient.
    """

    flip: bool = True
    powers: tuple[float, ...] = (0.85, 1.0, 1.15)
    slopes: int = Field(1, ge=0)
    slope: float = Field(0.2, ge=0, lt=1)
    sure_above: float = Field(0.7, ge=0.5, le=1)
    sure_below: float = Field(0.1, ge=0, le=0.5)
    agree: float = Field(0.9, ge=0.5, le=1)
    outer_shell_mm: float = Field(4.0, ge=0)
    inner_shell_mm: float = Field(2.0, ge=0)
    alike_mm: float = Field(10.0, ge=0)
    least_ml: float = Field(3.0, ge=0)
    most_share: float = Field(0.4, gt=0, le=1)
    most_parts: int = Field(4, ge=1)
    least_main: float = Field(0.6, ge=0, le=1)
    least_agreement: float = Field(0.85, ge=0, le=1)
    least_confidence: float = Field(0.8, ge=0, le=1)
    filtered: bool = True

    @classmethod
    def published(cls) -> PseudoLabelSettings:
        """The published form: the first network's answer as it is, for every patient."""
        return cls(flip=False, powers=(1.0,), slopes=0, filtered=False)


@dataclass(frozen=True)
class QualityAssessment:
    """What was found in one patient, and whether it is used.

    Attributes:
        kept: Whether the patient is used.
        why: Reasons for leaving the patient out, empty where kept.
        sure_ml: Volume that is certainly tumour.
        unsure_ml: Volume inside the brain that is left open for the whole tumour.
        parts: Connected parts of the finding of at least half a millilitre.
        main: Share of the volume in the largest part.
        agreement: Mean Dice between each view and the mean of all.
        confidence: Mean probability inside the finding.
    """

    kept: bool
    why: str
    sure_ml: float
    unsure_ml: float
    parts: int
    main: float
    agreement: float
    confidence: float

    def row(self) -> dict[str, Any]:
        """As plain values with three digits."""
        return {key: round(v, 3) if isinstance(v, float) else v for key, v in asdict(self).items()}


def predict_views(
    networks: Sequence[Network], coarse: Coarse, rng: np.random.Generator, settings: PseudoLabelSettings
) -> NDArray[np.float32]:
    """Probabilities (V, 3, X, Y, Z) of every network in every view; even brightness first."""
    from annofree.inference import predict_scan_array

    slopes = [np.zeros(3), *(rng.uniform(-1.0, 1.0, 3) * settings.slope / 2.0 for _ in range(settings.slopes))]
    out = []
    for direction in slopes:
        ramps = np.ix_(*(np.linspace(-1.0, 1.0, n) * d for n, d in zip(coarse.brain.shape, direction, strict=True)))
        field = np.asarray(1.0 + ramps[0] + ramps[1] + ramps[2], np.float32)
        for network in networks:
            for power in settings.powers:
                for flipped in (False, True) if settings.flip else (False,):
                    found = predict_scan_array(
                        network, coarse.images * field, coarse.brain, coarse.present, flipped=flipped, power=power
                    )
                    out.append(found)
    return np.stack(out)


def assess_quality(
    views: NDArray[np.float32], coarse: Coarse, refiners: Sequence[Refiner], settings: PseudoLabelSettings
) -> tuple[NDArray[np.uint8], QualityAssessment]:
    """One patient's partial labels (X, Y, Z), see `synthtumour.partial`, and whether they are good enough.

    Views are from `predict_views`; what the method's own rules for the whole tumour (`refiners`) drop is left open.
    """
    scan = coarse.scan
    brain = coarse.brain
    mean = views.mean(0)
    calls = views > 0.5
    finding = mean[0] > 0.5
    if not settings.filtered:
        packed = pack(mean > 0.5, np.zeros((3, *brain.shape), bool))
    else:
        context = RefineContext(scores=mean[0], brain=brain, spacing_mm=scan.spacing_mm, images=scan.images)
        finding = refine(finding, refiners, context) & brain
        packed = _open_labels(*_enhanced(mean, calls.mean(0), finding, scan), finding, coarse, settings)
    assessment = _assess(mean[0], calls[:, 0], finding, packed, coarse, settings)
    return packed, assessment


def near_tumour(packed: NDArray[np.uint8], spacing_mm: tuple[float, float, float], reach_mm: float) -> NDArray[Any]:
    """Partial labels with what lies further than `reach_mm` from the sure tumour set to background.

    A tumour that is pasted elsewhere must not bring along doubts about the far side of the patient's brain.
    """
    if not ((packed & 3) > 0).any():
        return np.zeros_like(packed)
    distance = ndimage.distance_transform_edt((packed & 3) == 0, sampling=spacing_mm)
    return np.where(distance <= reach_mm, packed, 0).astype(np.uint8)


def _enhanced(
    mean: NDArray[np.float32], share: NDArray[np.floating[Any]], finding: Mask, scan: Scan
) -> tuple[NDArray[np.float32], NDArray[np.floating[Any]]]:
    """Core and enhancing tumour as the leak of contrast agent tells them, where T1 and T1C are there."""
    odds = dict(zip(REGIONS, mean, strict=True))
    raised = with_enhancement(odds, scan, scan, finding)
    if raised is odds:
        return mean, share
    better = np.stack([mean[0], raised["TC"], raised["ET"]])
    return better, np.concatenate([share[:1], better[1:] > 0.5])


def _open_labels(
    mean: NDArray[np.float32],
    share: NDArray[np.floating[Any]],
    finding: Mask,
    coarse: Coarse,
    settings: PseudoLabelSettings,
) -> NDArray[np.uint8]:
    """Sure where views agree and the border is far, open elsewhere."""
    scan, brain = coarse.scan, coarse.brain
    step = scan.spacing_mm
    sure = (mean >= settings.sure_above) & (share >= settings.agree)
    none = (mean <= settings.sure_below) & (share <= 1.0 - settings.agree)
    sure[0] &= finding
    none[0] &= ~finding
    if finding.any():
        half = float(min(step)) / 2.0
        outside = ndimage.distance_transform_edt(~finding, sampling=step) - half
        inside = ndimage.distance_transform_edt(finding, sampling=step) - half
        sure[0] &= inside > settings.inner_shell_mm
        # a thin finding keeps its middle
        sure[0] |= finding & (mean[0] >= settings.sure_above) & _ridge(inside, settings.inner_shell_mm)
        none[0] &= outside > settings.outer_shell_mm
        none[0] &= ~_alike(scan.images, brain, finding, outside, settings.alike_mm)
    unsure = ~(sure | none) & brain
    # core and enhancing tumour are absent where the whole tumour is; without T1C nobody can tell them inside it
    for inner in (1, 2):
        unsure[inner] &= ~none[0]
        if Modality.T1C not in scan.images:
            unsure[inner] |= sure[0]
    return pack(sure, unsure)


def _ridge(inside: NDArray[Any], shell_mm: float) -> Mask:
    """The middle of parts that are too thin to have a voxel below the shell."""
    highest = ndimage.maximum_filter(inside, size=3)
    return np.asarray((inside > 0) & (highest <= shell_mm) & (inside >= highest))


def _alike(images: Any, brain: Mask, finding: Mask, outside: NDArray[Any], reach_mm: float) -> Mask:
    """Brain beside the tumour, connected to it, that is brighter than its darkest quarter."""
    wanted = next((s for s in (Modality.FLAIR, Modality.T2) if s in images), None)
    if wanted is None or reach_mm <= 0:
        return np.zeros_like(brain)
    image = ndimage.gaussian_filter(images[wanted], 0.5)
    stands_out = sum(robust_level(image[brain]))
    if float(np.median(image[finding])) < stands_out:
        return np.zeros_like(brain)
    level = max(float(np.quantile(image[finding], 0.25)), stands_out)
    bright = (image >= level) & brain & (outside <= reach_mm)
    return np.asarray(bright & ~finding & components_with(bright | finding, finding))


def _assess(
    mean: NDArray[np.float32],
    calls: Mask,
    finding: Mask,
    packed: NDArray[np.uint8],
    coarse: Coarse,
    settings: PseudoLabelSettings,
) -> QualityAssessment:
    voxel_ml = coarse.scan.voxel_ml
    brain = coarse.brain
    sizes = np.bincount(components(finding)[0].ravel())[1:]
    large = sizes[reaches(sizes, voxel_ml, 0.5)]
    total = int(sizes.sum())
    sure = (packed & 3) > 0
    found = {
        "sure_ml": float(sure.sum()) * voxel_ml,
        "unsure_ml": float(((packed & 4) > 0).sum()) * voxel_ml,
        "parts": len(large),
        "main": float(sizes.max() / total) if total > 0 else 0.0,
        "agreement": float(np.mean([dice(call, finding, empty=0.0) for call in calls])),
        "confidence": float(mean[finding].mean()) if finding.any() else 0.0,
    }
    faults = {
        "too small": not reaches(total, voxel_ml, settings.least_ml),
        "too large": total > settings.most_share * float(brain.sum()),
        "scattered": found["parts"] > settings.most_parts or found["main"] < settings.least_main,
        "views disagree": found["agreement"] < settings.least_agreement,
        "not confident": found["confidence"] < settings.least_confidence,
    }
    reasons = [fault for fault, there in faults.items() if there and settings.filtered]
    reasons = reasons if sure.any() else ["no sure tumour"]
    return QualityAssessment(kept=not reasons, why=", ".join(reasons), **found)  # type: ignore[arg-type]
