"""Lesion-wise Dice and HD95 by the rule of BraTS 2023, written from its description.

A case is as good as its lesions: each missed lesion and each false one counts as much as a found one. Rule and
constants: https://synapse.org/Synapse:syn51156910/discussion/threadId=10357
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from annofree.masks import Box, around, both_masks, bounding_box, components, joint_box
from annofree.metrics.components import Components, dilate18, shared_voxels
from annofree.metrics.empty_cases import WORST_MM
from annofree.metrics.surface import VOXEL_SIZE, Spacing, area_surface, checked, surface_distances
from annofree.volumes import exceeds


@dataclass(frozen=True)
class LesionRule:
    """Constants of the rule for one task.

    Attributes:
        dilation_vox: Dilations of the truth (18 neighbours) within which pieces are one lesion and a component hits.
        ignore_mm3: True lesions of at most this volume are left out, hit or missed.
        worst_mm: Distance given to a missed or false lesion.
    """

    dilation_vox: int
    ignore_mm3: float
    worst_mm: float = WORST_MM


#: Constants by task. The published code has none for GoAT: the adult-glioma values serve, the meningioma ones
#: ("GoAT-MEN") as sensitivity analysis.
LESION_RULES: dict[str, LesionRule] = {
    "GLI": LesionRule(dilation_vox=3, ignore_mm3=50),
    "SSA": LesionRule(dilation_vox=3, ignore_mm3=50),
    "PED": LesionRule(dilation_vox=3, ignore_mm3=50),
    "MEN": LesionRule(dilation_vox=1, ignore_mm3=50),
    "MET": LesionRule(dilation_vox=1, ignore_mm3=2),
    "GoAT": LesionRule(dilation_vox=3, ignore_mm3=50),
    "GoAT-MEN": LesionRule(dilation_vox=1, ignore_mm3=50),
}


@dataclass(frozen=True)
class LesionScore:
    """One lesion of the truth, or one false component (`found` is "false")."""

    found: Literal["hit", "missed", "false"]
    dice: float
    hd95_mm: float


@dataclass(frozen=True)
class LesionWise:
    """Lesion-wise scores of one region of one case; `ignored` counts true lesions below the volume floor."""

    lesions: tuple[LesionScore, ...]
    ignored: int = 0

    @property
    def dice(self) -> float:
        """Mean over hit, missed and false lesions; 1 when there is none."""
        return float(np.mean([lesion.dice for lesion in self.lesions])) if self.lesions else 1.0

    @property
    def hd95_mm(self) -> float:
        """Mean over hit, missed and false lesions; 0 when there is none."""
        return float(np.mean([lesion.hd95_mm for lesion in self.lesions])) if self.lesions else 0.0

    def count(self, found: Literal["hit", "missed", "false"]) -> int:
        """Number of lesions that were hit, missed, or false."""
        return sum(lesion.found == found for lesion in self.lesions)


def lesionwise(
    truth: NDArray[np.bool_],
    prediction: NDArray[np.bool_],
    spacing_mm: Spacing,
    rule: LesionRule = LESION_RULES["GLI"],
    *,
    predicted: Components | None = None,
    voxel_mm3: float | None = None,
    distances: bool = True,
) -> LesionWise:
    """Score one region lesion by lesion.

    A predicted component belongs to every lesion whose dilated mask it touches; touching is enough, so a hit may have
    Dice 0. Components that touch an ignored lesion are not false. There is no size floor for false components. Masks
    are boolean (X, Y, Z). The dilation counts voxels: on other than 1 mm grids it is another rule. Without `distances`
    HD95 of hits is NaN.

    Returns:
        The scores; hits and misses in the order of the truth's lesions, then the false components.
    """
    truth, prediction = both_masks(truth, prediction)
    if predicted is None:
        box = joint_box(truth, prediction, margin_vox=rule.dilation_vox)
        if box is None:
            return LesionWise(())
        truth, prediction = truth[box], prediction[box]
        predicted = Components.of(prediction)
    lesions, reach = _lesions(truth, rule.dilation_vox)
    spacing = checked(spacing_mm, VOXEL_SIZE, 3)
    (voxel_mm3,) = checked((prod(spacing) if voxel_mm3 is None else voxel_mm3,), "volume of a voxel must be positive")

    touched: dict[int, list[int]] = {}
    by_lesion, by_component, _ = shared_voxels(reach, predicted.numbers)
    for lesion, component in zip(by_lesion.tolist(), by_component.tolist(), strict=True):
        touched.setdefault(lesion, []).append(component)
    overlap: dict[tuple[int, int], int] = {}
    for lesion, component, voxels in zip(*shared_voxels(lesions.numbers, predicted.numbers), strict=True):
        overlap[int(lesion), int(component)] = int(voxels)

    scores, ignored = [], 0
    for lesion in range(1, lesions.count + 1):
        size = int(lesions.voxels[lesion])
        if not exceeds(size, voxel_mm3, rule.ignore_mm3):
            ignored += 1
        elif lesion not in touched:
            scores.append(LesionScore("missed", 0.0, rule.worst_mm))
        else:
            chosen = touched[lesion]
            both = sum(overlap.get((lesion, component), 0) for component in chosen)
            dice = 2 * both / (size + int(predicted.voxels[chosen].sum()))
            hd95 = _hd95_mm(lesions, lesion, predicted, chosen, spacing_mm) if distances else float("nan")
            scores.append(LesionScore("hit", dice, hd95))

    false = np.setdiff1d(np.arange(1, predicted.count + 1), by_component)
    scores += [LesionScore("false", 0.0, rule.worst_mm)] * len(false)
    return LesionWise(tuple(scores), ignored)


def _lesions(truth: NDArray[np.bool_], dilation_vox: int) -> tuple[Components, NDArray[np.int32]]:
    """Lesions of the truth, and the map of their dilated masks with the same numbers.

    A component of the dilated truth is the dilation of exactly the pieces inside it, so one dilation and one labelling
    of the whole give both.
    """
    reach = np.zeros(truth.shape, np.int32)
    box = bounding_box(truth, margin_vox=dilation_vox)
    count = 0
    if box is not None:
        reach[box], count = components(dilate18(truth[box], dilation_vox))
    return Components.numbered(np.where(truth, reach, np.int32(0)), count), reach


def _hd95_mm(lesions: Components, lesion: int, predicted: Components, chosen: list[int], spacing_mm: Spacing) -> float:
    boxes: list[Box | None] = [lesions.boxes[lesion - 1], *(predicted.boxes[n - 1] for n in chosen)]
    box = around(*(found for found in boxes if found is not None))
    merged = np.zeros(predicted.count + 1, bool)
    merged[chosen] = True
    surfaces = [
        area_surface(mask, spacing_mm) for mask in (lesions.numbers[box] == lesion, merged[predicted.numbers[box]])
    ]
    return surface_distances(surfaces[0], surfaces[1], spacing_mm).area_hd95_mm()
