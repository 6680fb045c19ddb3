"""The challenges' own ways of counting lesions, by name: `brats2023`, `brats2025`, `panoptic`.

They share words and mean different things, so a table says which one it speaks. `brats2023` is `lesionwise`; the other
two match components one to one, as two published programs do, and give those programs' numbers wherever these are
sound. Where they are not (a case that would leave the table, a mean that would be infinite) the case keeps a number
here and a sentence says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from annofree.masks import Box, around
from annofree.metrics.components import Components
from annofree.metrics.empty_cases import EmptyCase, emptiness, settle
from annofree.metrics.lesion_matching import LesionMatches, match_lesions
from annofree.metrics.surface import Spacing, surface_distances, voxel_surface
from annofree.registry import named
from annofree.volumes import reaches

#: Distance in mm that `brats2025` gives to what has no counterpart; the 2023 rule has 374.
WORST_2025_MM = 373.0
#: Lesions from this volume on enter the means of the metastasis task.
LARGE_LESION_MM3 = 20.0
#: Tolerance of the global NSD, in voxels.
_GLOBAL_TOLERANCE_VOX = 0.5
#: A match of `panoptic`.
MINIMUM_IOU = 0.5

_NAN = float("nan")


@dataclass(frozen=True)
class ScoringRule:
    """One way of counting.

    Attributes:
        name: For `--rule`.
        columns: Metrics for the screen, with their headings.
        explanation: What a reader of its numbers has to know.
    """

    name: str
    columns: Mapping[str, str]
    explanation: str


_SHARES = {"precision": "precision", "recall": "recall"}
_VOLUMES = {"predicted_ml": "ml", "truth_ml": "true ml", "false_positive_ml": "false ml"}

#: Every rule by name.
RULES: dict[str, ScoringRule] = {
    rule.name: rule
    for rule in (
        ScoringRule(
            "brats2023",
            {"dice": "Dice", "lesionwise_dice": "lesion-wise Dice", "hd95_mm": "HD95 mm", **_SHARES, **_VOLUMES},
            "Lesion-wise by the BraTS 2023 rule: every missed and every false lesion counts as much as a found one.",
        ),
        ScoringRule(
            "brats2025",
            {
                "dice": "Dice",
                "brats2025_lesionwise_dice": "matched Dice",
                "brats2025_hd95_mm": "HD95 mm",
                "brats2025_f1": "lesion F1",
                **_VOLUMES,
            },
            "Lesion-wise means of 'brats2025' are over matched lesions alone: as soon as one lesion is hit, misses and "
            "false alarms change the F1 only. They are no BraTS 2023 lesion-wise scores.",
        ),
        ScoringRule(
            "panoptic",
            {"dice": "Dice", "panoptic_pq": "PQ", "panoptic_sq": "SQ", "panoptic_rq": "RQ", **_VOLUMES},
            "Panoptic quality: lesions match at an IoU of at least 0.5; PQ = SQ (mean IoU of matches) x RQ (F1).",
        ),
    )
}


@dataclass(frozen=True)
class RuleScores:
    """Rows of one region under a rule, and what differs from the rule's own program."""

    rows: tuple[tuple[str, float], ...] = ()
    notes: tuple[str, ...] = ()


def score_by_rule(
    name: str,
    truth: NDArray[np.bool_],
    prediction: NDArray[np.bool_],
    spacing_mm: Spacing,
    *,
    metastases: bool = False,
    components: tuple[Components, Components] | None = None,
) -> RuleScores:
    """The rows that a rule adds to those of every case; none for `brats2023`, which is always there.

    Masks are boolean (X, Y, Z). For metastases `brats2025` takes a mean over large lesions, misses and false alarms.
    `components` are those of both masks, when the caller has them already.
    """
    if named(RULES, name, "scoring rule").name == "brats2023":
        return RuleScores()
    lesions, found = components or (Components.of(truth), Components.of(prediction))
    if name == "panoptic":
        return _panoptic(match_lesions(truth, prediction, minimum_iou=MINIMUM_IOU, lesions=lesions, predicted=found))
    matches = match_lesions(truth, prediction, lesions=lesions, predicted=found)
    return _Brats2025(truth, prediction, spacing_mm, lesions, found, matches).scores(metastases=metastases)


def _panoptic(matches: LesionMatches) -> RuleScores:
    counts = tuple((f"panoptic_{n}", float(v)) for n, v in _counts(matches))
    if not (matches.hits or matches.missed or matches.false):
        note = "nothing in truth and prediction: panoptica gives no number, here the case counts 1"
        return RuleScores((*(("panoptic_" + n, 1.0) for n in ("pq", "sq", "rq")), *counts), (note,))
    sq = float(np.mean(matches.iou)) if matches.hits else 0.0
    return RuleScores((("panoptic_pq", sq * matches.f1), ("panoptic_sq", sq), ("panoptic_rq", matches.f1), *counts))


def _counts(matches: LesionMatches) -> Iterable[tuple[str, int]]:
    return ("hits", matches.hits), ("missed", matches.missed), ("false", matches.false)


@dataclass(frozen=True, eq=False)
class _Brats2025:
    truth: NDArray[np.bool_]
    prediction: NDArray[np.bool_]
    spacing_mm: Spacing
    lesions: Components
    found: Components
    matches: LesionMatches

    def scores(self, *, metastases: bool) -> RuleScores:
        rows = {**self._whole(), **self._lesionwise(metastases), **self._detection()}
        named = tuple((f"brats2025_{name}", value) for name, value in rows.items())
        return RuleScores(named, tuple(self._notes(metastases)))

    def _whole(self) -> dict[str, float]:
        if not self.matches.hits:
            nothing = not (self.lesions.count or self.found.count)
            return {"hd95_mm": 0.0 if nothing else WORST_2025_MM, "nsd": float(nothing)}
        surfaces, ones = (voxel_surface(self.truth), voxel_surface(self.prediction)), (1.0, 1.0, 1.0)
        distances = surface_distances(*surfaces, self.spacing_mm)
        in_voxels = distances if self.spacing_mm == ones else surface_distances(*surfaces, ones)
        nsd = in_voxels.mean_share_within(_GLOBAL_TOLERANCE_VOX)
        return {"hd95_mm": distances.pooled_hd95_mm(), "nsd": nsd}

    def _pairs(self) -> list[tuple[float, float, float]]:
        """Dice, HD95 and NSD of each matched pair."""
        found = []
        for dice, (lesion, component) in zip(self.matches.dice, self.matches.pairs, strict=True):
            boxes: list[Box | None] = [self.lesions.boxes[lesion - 1], self.found.boxes[component - 1]]
            box = around(*(held for held in boxes if held is not None))
            masks = self.lesions.numbers[box] == lesion, self.found.numbers[box] == component
            true, called = (voxel_surface(mask) for mask in masks)
            distances = surface_distances(true, called, self.spacing_mm)
            found.append((dice, distances.pooled_hd95_mm(), distances.mean_share_within(min(self.spacing_mm))))
        return found

    def _lesionwise(self, metastases: bool) -> dict[str, float]:
        """Means over matched lesions; of metastases over the large ones and over false alarms."""
        measured = dict(zip((lesion for lesion, _ in self.matches.pairs), self._pairs(), strict=True))
        values, worst = list(measured.values()), (0.0, WORST_2025_MM, 0.0)
        if metastases:
            values = [measured.get(n, worst) for n in self._large()] + [worst] * self.matches.false
        if not values:
            unmatched = (_NAN, _NAN, _NAN) if metastases else worst
            values = [unmatched if self.lesions.count or self.found.count else (1.0, 0.0, 1.0)]
        dice, hd95, nsd = (float(value) for value in np.mean(values, axis=0))
        return {"lesionwise_dice": dice, "lesionwise_hd95_mm": hd95, "lesionwise_nsd": nsd}

    def _large(self) -> list[int]:
        voxel_mm3 = float(np.prod(self.spacing_mm))
        large = reaches(self.lesions.voxels, voxel_mm3, LARGE_LESION_MM3)
        return [n for n in range(1, self.lesions.count + 1) if large[n]]

    def _detection(self) -> dict[str, float]:
        state = emptiness(self.lesions.count, self.found.count)
        empty = {
            "precision": EmptyCase(1.0, 0.0, 0.0),
            "recall": EmptyCase(_NAN, _NAN, 0.0),
            "f1": EmptyCase(1.0, 0.0, 0.0),
        }
        rows = {name: settle(name, state, partial(getattr, self.matches, name), empty) for name in empty}
        return {**rows, **{name: float(value) for name, value in _counts(self.matches)}}

    def _notes(self, metastases: bool) -> Iterable[str]:
        if not (self.lesions.count or self.found.count):
            yield "nothing in truth and prediction: brats-evaluation leaves the case out, here it counts 1 and 0 mm"
        elif metastases and not self._large():
            yield (
                f"no lesion of {LARGE_LESION_MM3:g} mm3 or more in the truth: brats-evaluation leaves the case out of "
                "the lesion-wise means, here each false alarm counts 0 and 373 mm"
            )
        elif not self.matches.hits and not metastases:
            yield "no lesion is hit: brats-evaluation's mean lesion-wise HD95 turns infinite, here it counts 373 mm"
        if self.spacing_mm != (1.0, 1.0, 1.0) and self.matches.hits:
            yield "voxels are not 1 mm: brats-evaluation's global HD95 counts voxels, here it is in mm"
