"""SynthTumour's second stage: a patient's tumour, as a first network outlined it, in a healthy person's scan.

`MixSettings.published()` is the published form (CarveMix: Zhang et al., NeuroImage 271, 2023, doi
10.1016/j.neuroimage.2023.120041, without its random margin): arrays stretched onto each other, whole-volume z-scores,
a hard paste. The default aligns both brains by an affine, matches grey levels inside the brains only, blends the seam,
and keeps what is pasted inside both brains.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt
from scipy import ndimage

from annofree.errors import InputError
from annofree.intensity import robust_level
from annofree.masks import Mask, bounding_box, margin_for
from annofree.scan import Modality, Scan
from annofree.settings import NotNegative, Settings, Share, Span

Affine = NDArray[np.float64]
Labels = NDArray[np.uint8]

#: Draws of side and size at most, and the share of a tumour inside the healthy brain that is enough.
_TRIES, _ENOUGH = 4, 0.5


class MixSettings(Settings):
    """How a tumour comes into a healthy scan."""

    align: Literal["mni", "world", "stretch"] = "mni"
    """By both brains' affines to MNI; by the headers (scans that lie in one template's space); or by stretching the
    patient's array onto the healthy one's shape (published)."""
    normalise: Literal["brain", "volume"] = "brain"
    """Match median and MAD of the brains, the tumour left out; or mean and deviation of the whole volumes."""
    blend_mm: NotNegative = 3.0
    """Width of the seam; 0 pastes hard."""
    margin: bool = False
    """CarveMix's random margin: the region pasted is up to as much larger than the tumour as the tumour is deep, or
    up to half as much smaller."""
    flip: Share = 0.5
    """Share of tumours that change sides."""
    scale: Span = (0.9, 1.1)
    """Range of the factor on the tumour's diameter."""
    both_brains: bool = True
    """Paste only where both scans show brain; else wherever the healthy image is not 0."""
    tumour_uses: PositiveInt = 4
    """How often one tumour is used at most."""
    healthy_uses: PositiveInt = 2
    """How often one healthy scan is used at most."""

    @classmethod
    def published(cls, **changes: Any) -> MixSettings:
        """The published form."""
        own: dict[str, Any] = {"align": "stretch", "normalise": "volume", "blend_mm": 0.0, "flip": 0.0}
        own |= {"scale": (1.0, 1.0), "both_brains": False, "tumour_uses": 2, "healthy_uses": 1}
        return cls(**own | changes)


@dataclass(frozen=True, eq=False)
class Mixed:
    """A mixed case on the healthy scan's grid.

    Attributes:
        images: The sequences that both scans have, (X, Y, Z) float32 in the healthy scan's grey levels.
        labels: (X, Y, Z) uint8, the pseudo-label's values.
        kept: Share of the tumour that lies inside the brain and was pasted, 0..1.
        volume_ml: Volume of the label.
    """

    images: Mapping[Modality, NDArray[np.float32]]
    labels: Labels
    kept: float
    volume_ml: float


def most_pairs(tumours: int, healthy: int, settings: MixSettings) -> int:
    """How many mixed cases can be made under the limits of use."""
    return min(tumours * settings.tumour_uses, healthy * settings.healthy_uses)


def shared_sequences(patient: Scan, healthy: Scan) -> tuple[Modality, ...]:
    """The sequences that both scans have."""
    return tuple(sequence for sequence in healthy.sequences if sequence in patient.images)


def plan_pairs(
    tumours: list[str], healthy: list[str], n: int, rng: np.random.Generator, settings: MixSettings | None = None
) -> list[tuple[str, str]]:
    """Who is mixed with whom: repeated random permutations of both lists, paired in order.

    Raises:
        InputError: The lists are too short for `n` pairs under the limits of use.
    """
    settings = settings or MixSettings()
    most = most_pairs(len(tumours), len(healthy), settings)
    if n > most:
        raise InputError(
            f"{n} mixed cases cannot be made from {len(tumours)} tumours and {len(healthy)} healthy scans",
            why=f"a tumour is used at most {settings.tumour_uses} times, a healthy scan {settings.healthy_uses} times",
            fix=f"Ask for at most {most}, or raise tumour_uses and healthy_uses",
        )

    def shuffled(ids: list[str], uses: int) -> list[str]:
        return [ids[i] for _ in range(uses) for i in rng.permutation(len(ids))]

    pairs = zip(shuffled(tumours, settings.tumour_uses), shuffled(healthy, settings.healthy_uses), strict=False)
    return list(pairs)[:n]


def best_mix(
    patient: Scan, pseudo_label: NDArray[Any], healthy: Scan, rng: np.random.Generator, settings: MixSettings
) -> Mixed:
    """As `mix`; where less than half of a tumour lies inside the healthy brain, the best of up to four draws."""
    best: Mixed | None = None
    for _ in range(_TRIES):
        made = mix(patient, pseudo_label, healthy, rng, settings)
        best = made if best is None or made.kept > best.kept else best
        if best.kept >= _ENOUGH:
            break
    assert best is not None
    return best


def mix(
    patient: Scan,
    pseudo_label: NDArray[Any],
    healthy: Scan,
    rng: np.random.Generator,
    settings: MixSettings | None = None,
) -> Mixed:
    """Put a patient's tumour into a healthy scan; `rng` decides side, size and margin.

    `pseudo_label` is (X, Y, Z) on the patient's grid, 0 outside the tumour: a network's, never an expert's.

    Raises:
        InputError: The label is empty or does not fit, or the scans share no sequence.
    """
    settings = settings or MixSettings()
    labels = np.asarray(pseudo_label).astype(np.uint8)
    if labels.shape != patient.shape or not labels.any():
        raise InputError(
            f"The pseudo-label of '{patient.id}' holds no tumour or does not fit",
            why=f"it has shape {labels.shape} and {int((labels > 0).sum())} voxels, the scan {patient.shape}",
            fix="Leave the patient out",
        )
    shared = shared_sequences(patient, healthy)
    if not shared:
        raise InputError(
            f"'{patient.id}' and '{healthy.id}' share no sequence",
            why=f"one has {', '.join(patient.sequences)}, the other {', '.join(healthy.sequences)}",
        )
    to_patient = _to_patient(patient, labels, healthy, rng, settings)
    moved = _sample(labels, to_patient, healthy.shape, 0)
    brain = healthy.foreground()
    room = brain & _sample(patient.foreground(), to_patient, healthy.shape, 0) if settings.both_brains else brain
    region, weight = _region(moved > 0, healthy.spacing_mm, rng, settings)
    everything = int((region & (moved > 0)).sum())
    weight = np.where(room, weight, np.float32(0.0))
    moved = np.where(room & region, moved, 0).astype(np.uint8)
    images = {}
    touched = weight > 0
    for sequence in shared:
        source, target = patient.images[sequence], healthy.images[sequence]
        a, b = _levels(source, patient, labels, settings), _levels(target, healthy, None, settings)
        tumour = (_sample(source, to_patient, healthy.shape, 1) - a[0]) * (b[1] / a[1]) + b[0]
        image = np.array(target)
        image[touched] = (1.0 - weight[touched]) * image[touched] + weight[touched] * tumour[touched]
        images[sequence] = image
    kept = int((moved > 0).sum()) / max(everything, 1)
    return Mixed(images, moved, kept, float((moved > 0).sum()) * healthy.voxel_ml)


def _to_patient(
    patient: Scan, labels: Labels, healthy: Scan, rng: np.random.Generator, settings: MixSettings
) -> Affine:
    """(4, 4), a voxel of the healthy scan to the voxel of the patient that is pasted there."""
    flipped, scale = bool(rng.random() < settings.flip), float(rng.uniform(*settings.scale))
    if settings.align == "stretch":
        ratio = np.asarray(patient.shape) / np.asarray(healthy.shape)
        out = np.diag([*ratio, 1.0])
        out[:3, 3] = 0.5 * ratio - 0.5
        common_patient, common_healthy = np.eye(4), out
        axis_middle = (patient.shape[0] - 1) / 2.0
    else:
        own = (_mni(patient), _mni(healthy)) if settings.align == "mni" else (np.eye(4), np.eye(4))
        common_patient, common_healthy = own[0] @ patient.affine, own[1] @ healthy.affine
        points = np.argwhere(healthy.foreground())
        corners = (points.min(0) + points.max(0)) / 2.0
        axis_middle = (
            0.0 if settings.align == "mni" else float((common_healthy[:3, :3] @ corners + common_healthy[:3, 3])[0])
        )
    jitter = np.eye(4)
    if flipped:
        jitter[0, 0], jitter[0, 3] = -1.0, 2.0 * axis_middle
    centre = common_patient[:3, :3] @ np.argwhere(labels > 0).mean(0) + common_patient[:3, 3]
    shrink = np.eye(4)
    shrink[:3, :3] /= scale
    shrink[:3, 3] = centre - centre / scale
    return np.asarray(np.linalg.inv(common_patient) @ shrink @ jitter @ common_healthy)


def _mni(scan: Scan) -> Affine:
    """Scanner mm to MNI mm; found once for a scan."""
    from annofree.anatomy import register_to_mni

    return scan.once("affine to MNI", lambda: register_to_mni(scan).affine)


def _sample(array: NDArray[Any], matrix: Affine, shape: tuple[int, ...], order: int) -> NDArray[Any]:
    kind = np.uint8 if order == 0 else np.float32
    moved = ndimage.affine_transform(
        array.astype(kind, copy=False), matrix[:3, :3], matrix[:3, 3], output_shape=shape, order=order, mode="constant"
    )
    return moved.astype(bool) if array.dtype == bool else np.asarray(moved)


def _region(
    tumour: Mask, spacing_mm: tuple[float, float, float], rng: np.random.Generator, settings: MixSettings
) -> tuple[Mask, NDArray[np.float32]]:
    """What is pasted, and its weight: 0.5 at the region's surface, rising over the seam's width."""
    weight = tumour.astype(np.float32)
    if not tumour.any() or not (settings.margin or settings.blend_mm > 0):
        return tumour, weight
    box = bounding_box(tumour, margin_for(40.0 if settings.margin else settings.blend_mm, spacing_mm))
    assert box is not None
    patch = tumour[box]
    # distances run between voxel centres; the surface lies half a voxel before the nearest voxel of the other kind
    half = float(min(spacing_mm)) / 2.0
    inside = ndimage.distance_transform_edt(patch, sampling=spacing_mm)
    depth = np.where(patch, inside - half, half - ndimage.distance_transform_edt(~patch, sampling=spacing_mm))
    if settings.margin:
        draw = float(rng.uniform(-1.0, 1.0))
        deepest = float(depth.max())
        depth = depth - draw * deepest / 2.0 if draw > 0 else depth + min(-draw * deepest, 38.0)
    region = np.zeros_like(tumour)
    region[box] = depth > 0
    weight = np.zeros(tumour.shape, np.float32)
    weight[box] = np.clip(0.5 + depth / settings.blend_mm, 0.0, 1.0) if settings.blend_mm > 0 else depth > 0
    return region, weight


def _levels(
    image: NDArray[np.float32], scan: Scan, labels: Labels | None, settings: MixSettings
) -> tuple[float, float]:
    """Centre and spread of the grey levels that count as alike in two scans."""
    if settings.normalise == "volume":
        return float(image.mean()), max(float(image.std()), 1e-6)
    inside = scan.foreground() if labels is None else scan.foreground() & (labels == 0)
    return robust_level(image[inside])
