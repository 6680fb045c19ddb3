"""One case, every metric: `score_case`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.masks import joint_box
from annofree.metrics.components import Components
from annofree.metrics.empty_cases import EMPTY_CASES, Emptiness, EmptyPolicy, emptiness, settle
from annofree.metrics.lesion_matching import match_lesions
from annofree.metrics.lesionwise import LESION_RULES, LesionRule, lesionwise
from annofree.metrics.overlap import Overlap
from annofree.metrics.ranking import RankCounts
from annofree.metrics.rules import RULES, score_by_rule
from annofree.metrics.slices import SliceDice
from annofree.metrics.strata import UNSTATED, strata_of
from annofree.metrics.surface import (
    TOLERANCE,
    VOXEL_SIZE,
    Spacing,
    area_surface,
    checked,
    surface_distances,
    voxel_surface,
)
from annofree.registry import named
from annofree.segmentation import REGIONS

#: Dice from which a case counts as detected in the stricter sense.
DETECTED_DICE = 0.1

#: Label that a boolean mask stands for, as in `Segmentation`.
_WHOLE = 2


class Score(NamedTuple):
    """One row of the long table."""

    case: str
    region: str
    metric: str
    value: float


@dataclass(frozen=True, eq=False)
class CaseScores:
    """All scores of one case.

    Attributes:
        case: Its id.
        task: BraTS task whose lesion-wise constants were used.
        rows: The long table.
        strata: Its group by criterion ("volume", "enhancement", "kind").
        ranks: Voxel counts by score, by (region, name of the score map), for pooled figures.
        notes: Where a number differs from what the chosen rule's own program says, by sentence.
    """

    case: str
    task: str
    rows: tuple[Score, ...]
    strata: Mapping[str, str] = field(default_factory=dict)
    ranks: Mapping[tuple[str, str], RankCounts] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def value(self, metric: str, region: str = "WT") -> float:
        """One score.

        Raises:
            InputError: There is no such metric or region.
        """
        for row in self.rows:
            if row.metric == metric and row.region == region:
                return row.value
        known = sorted({row.metric for row in self.rows if row.region == region})
        raise InputError(f"Case '{self.case}' has no '{metric}' for region '{region}'", why=f"it has {known}")

    @property
    def regions(self) -> tuple[str, ...]:
        """Regions scored."""
        return tuple(dict.fromkeys(row.region for row in self.rows))


def score_case(
    labels: NDArray[Any],
    truth_labels: NDArray[Any],
    spacing_mm: Sequence[float],
    *,
    case: str = "",
    regions: Iterable[str] | Mapping[str, tuple[int, ...]] | None = None,
    scores: Mapping[str, NDArray[np.floating]] | None = None,
    brain: NDArray[np.bool_] | None = None,
    task: str = "GLI",
    rule: str = "brats2023",
    voxel_ml: float | None = None,
    kind: str | None = None,
    truth_regions: Collection[str] | None = None,
    tolerance_mm: float = 1.0,
    policy: EmptyPolicy = EMPTY_CASES,
) -> CaseScores:
    """Score one case with every metric; `docs/metrics.md` says what each row means.

    Args:
        labels: (X, Y, Z) prediction: labels 0..3, or a boolean mask, which stands for the whole tumour.
        truth_labels: (X, Y, Z) truth on the same grid, likewise.
        spacing_mm: Voxel size (x, y, z).
        case: Id for the table.
        regions: Names among WT, TC, ET, or labels by name. By default all three; WT where a mask is boolean or of 0 and
            1 alone, which a note says.
        scores: Score maps (X, Y, Z) by name, higher is more abnormal. A map named like a region is ranked against that
            region; any other against the first region, and its rows carry its name ("auroc:residual-FLAIR").
        brain: Boolean (X, Y, Z): voxels that ranking looks at; None for all.
        task: BraTS task: constants of the lesion-wise rule.
        rule: Whose lesion rows to add (`RULES`); those of the BraTS 2023 rule are always there.
        voxel_ml: Volume of a voxel; by default the product of its edges, which is too much on a sheared grid.
        kind: Kind of lesion, as a stratum.
        truth_regions: Regions that the truth tells apart, for the stratum of enhancement; by default its labels say.
        tolerance_mm: Of the surface Dice.
        policy: Values for empty cases.

    Raises:
        InputError: Shapes differ, labels are unknown, spacing, tolerance or the volume of a voxel is impossible, or
            region or task do not exist.
    """
    x, y, z = checked(spacing_mm, VOXEL_SIZE, 3)
    spacing = (x, y, z)
    (tolerance_mm,) = checked((tolerance_mm,), TOLERANCE)
    if voxel_ml is not None:
        (voxel_ml,) = checked((voxel_ml,), "volume of a voxel must be a positive number of ml")
    boolean = np.asarray(labels).dtype == bool or np.asarray(truth_labels).dtype == bool
    predicted, true = _label_map(labels, "prediction"), _label_map(truth_labels, "truth")
    notes: list[str] = []
    binary = regions is None and truth_regions is None and not boolean and 1 in (predicted.max(), true.max())
    if binary:
        notes.append("A mask of 0 and 1 is taken for the whole tumour; with regions=('WT', 'TC', 'ET') 1 is the core")
    chosen = _regions(regions, boolean=boolean or binary)
    if boolean and (apart := [name for name, members in chosen.items() if _WHOLE not in members]):
        raise InputError(f"A boolean mask does not tell {apart} apart", fix="Pass labels 0..3, or regions=('WT',)")
    maps = {name: np.asarray(values) for name, values in (scores or {}).items()}
    _refuse_other_shapes(true, {"prediction": predicted, "brain mask": brain, **maps})
    constants = named(LESION_RULES, task, "lesion-wise rule for task")
    named(RULES, rule, "scoring rule")
    voxel_ml = prod(spacing) / 1000 if voxel_ml is None else voxel_ml

    rows: list[Score] = []
    box = joint_box(true, predicted, margin_vox=constants.dilation_vox) or (slice(0, 1),) * 3
    near_true, near_predicted = np.ascontiguousarray(true[box]), np.ascontiguousarray(predicted[box])
    for region, members in chosen.items():
        masks = _Masks(_in(near_true, members), _in(near_predicted, members), spacing, voxel_ml, constants, policy)
        rows += [Score(case, region, metric, value) for metric, value in masks.rows(tolerance_mm)]
        both = masks.truth, masks.prediction
        added = score_by_rule(rule, *both, spacing, metastases=task == "MET", components=masks.components)
        rows += [Score(case, region, metric, value) for metric, value in added.rows]
        notes += [f"{region}: {note}" for note in added.notes]
    ranks: dict[tuple[str, str], RankCounts] = {}
    for name, values in maps.items():
        region = name if name in chosen else next(iter(chosen))
        counts = RankCounts.of(values, _in(true, chosen[region]), brain)
        suffix = "" if name == region else f":{name}"
        rows += [Score(case, region, metric + suffix, value) for metric, value in _figures(counts, policy)]
        ranks[region, name] = counts.coarse()
    if truth_regions is None:
        labelled = np.asarray(truth_labels).dtype != bool and true.max() > 1
        truth_regions = REGIONS if labelled else ("WT",)
    return CaseScores(case, task, tuple(rows), _strata(true, truth_regions, voxel_ml, kind), ranks, tuple(notes))


def _refuse_other_shapes(true: NDArray[Any], arrays: Mapping[str, NDArray[Any] | None]) -> None:
    for name, array in arrays.items():
        if array is not None and array.shape != true.shape:
            raise InputError(
                f"The {name} has shape {array.shape} and the truth {true.shape}",
                fix="Put both on one grid before scoring",
            )


def _figures(counts: RankCounts, policy: EmptyPolicy) -> list[tuple[str, float]]:
    state: Emptiness = "neither" if counts.tumour_voxels else "no_truth"
    return [(name, settle(name, state, partial(float, value), policy)) for name, value in counts.figures().items()]


def _strata(true: NDArray[np.uint8], regions: Collection[str], voxel_ml: float, kind: str | None) -> dict[str, str]:
    """The groups of a case whose truth tells these regions apart."""
    whole_ml = np.count_nonzero(true) * voxel_ml
    strata = strata_of(whole_ml, np.count_nonzero(true == 3) * voxel_ml if "ET" in regions else None, kind)
    if "WT" not in regions and whole_ml:
        strata["volume"] = UNSTATED  # of a part of the tumour alone
    return strata


@dataclass(frozen=True, eq=False)
class _Masks:
    """One region of one case, cropped: (X, Y, Z) boolean truth and prediction."""

    truth: NDArray[np.bool_]
    prediction: NDArray[np.bool_]
    spacing_mm: Spacing
    voxel_ml: float
    rule: LesionRule
    policy: EmptyPolicy

    @cached_property
    def components(self) -> tuple[Components, Components]:
        return Components.of(self.truth), Components.of(self.prediction)

    def rows(self, tolerance_mm: float) -> list[tuple[str, float]]:
        overlap = Overlap.of(self.truth, self.prediction)
        state = emptiness(overlap.truth, overlap.prediction)

        def row(metric: str, compute: Callable[[], float], name: str | None = None) -> tuple[str, float]:
            return name or metric, settle(metric, state, compute, self.policy)

        volumes = {
            "truth_ml": overlap.truth,
            "predicted_ml": overlap.prediction,
            "volume_error_ml": overlap.prediction - overlap.truth,
            "false_positive_ml": overlap.only_prediction,
            "false_negative_ml": overlap.only_truth,
        }
        slices = SliceDice.of(self.truth, self.prediction)
        return [
            *(row(name, partial(getattr, overlap, name)) for name in ("dice", "iou", "precision", "recall")),
            *((name, voxels * self.voxel_ml) for name, voxels in volumes.items()),
            row("relative_volume_error", lambda: overlap.relative_volume_error),
            *self._surfaces(row, state, tolerance_mm),
            *self._lesions(row),
            row("detected", lambda: float(overlap.both > 0)),
            row("detected_dice10", lambda: float(overlap.dice >= DETECTED_DICE)),
            row("slice_dice_truth", lambda: slices.over_truth),
            row("slice_dice_any", lambda: slices.over_any),
        ]

    def _surfaces(
        self, row: Callable[..., tuple[str, float]], state: Emptiness, tolerance_mm: float
    ) -> list[tuple[str, float]]:
        by_voxel = by_area = None
        if state == "neither":
            truth, prediction = voxel_surface(self.truth), voxel_surface(self.prediction)
            by_voxel = surface_distances(truth, prediction, self.spacing_mm)
            truth, prediction = (area_surface(mask, self.spacing_mm) for mask in (self.truth, self.prediction))
            by_area = surface_distances(truth, prediction, self.spacing_mm)
        nothing = float("nan")
        return [
            row("hd_mm", lambda: by_voxel.hausdorff_mm if by_voxel else nothing),
            row("hd95_mm", lambda: by_voxel.hd95_mm() if by_voxel else nothing),
            row(
                "surface_dice",
                lambda: by_area.surface_dice(tolerance_mm) if by_area else nothing,
                f"surface_dice_{tolerance_mm:g}mm",
            ),
        ]

    def _lesions(self, row: Callable[..., tuple[str, float]]) -> list[tuple[str, float]]:
        lesions, found = self.components
        voxel_mm3 = self.voxel_ml * 1000
        wise = lesionwise(self.truth, self.prediction, self.spacing_mm, self.rule, predicted=found, voxel_mm3=voxel_mm3)
        counts = {"hits": wise.count("hit"), "missed": wise.count("missed"), "false": wise.count("false")}
        matches = match_lesions(self.truth, self.prediction, lesions=lesions, predicted=found)
        return [
            row("lesionwise_dice", lambda: wise.dice),
            row("lesionwise_hd95_mm", lambda: wise.hd95_mm),
            *((f"lesionwise_{name}", float(number)) for name, number in counts.items()),
            *(row(f"lesion_{n}", partial(getattr, matches, n)) for n in ("precision", "recall", "f1", "matched_dice")),
            *((f"lesion_{name}", float(getattr(matches, name))) for name in ("hits", "missed", "false")),
        ]


def _in(labels: NDArray[np.uint8], members: tuple[int, ...]) -> NDArray[np.bool_]:
    belongs = np.zeros(256, bool)
    belongs[list(members)] = True
    return belongs[labels]


def _regions(
    regions: Iterable[str] | Mapping[str, tuple[int, ...]] | None, *, boolean: bool
) -> dict[str, tuple[int, ...]]:
    if regions is None:
        regions = ("WT",) if boolean else REGIONS
    if isinstance(regions, Mapping):
        return dict(regions)
    names = (regions,) if isinstance(regions, str) else tuple(regions)
    return {name: named(REGIONS, name, "region") for name in names}


def _label_map(labels: NDArray[Any], what: str) -> NDArray[np.uint8]:
    labels = np.asarray(labels)
    if labels.ndim != 3 or not labels.size:
        raise InputError(f"The {what} has shape {labels.shape}; a label map is (X, Y, Z) with at least one voxel")
    if labels.dtype == bool:
        return labels.view(np.uint8) * np.uint8(_WHOLE)
    with np.errstate(invalid="ignore"):
        whole = labels if labels.dtype == np.uint8 else labels.astype(np.uint8)
    if (whole is not labels and not np.array_equal(whole, labels)) or (whole.size and whole.max() > 3):
        raise InputError(
            f"The {what} holds labels other than 0, 1, 2, 3",
            why=f"its values are {np.unique(labels)[:8].tolist()}",
            fix="Older BraTS files write enhancing tumour as 4: change it to 3",
        )
    return whole
