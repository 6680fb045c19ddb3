"""From scores to labels, by one rule for every method, and for whoever changes a threshold afterwards."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from annofree.borders import BORDERS
from annofree.errors import InputError, SettingsError
from annofree.formats.carried import carried_mask
from annofree.labels import NESTED
from annofree.prepare.brain import brain_of
from annofree.prepare.resample import back, to_grid
from annofree.progress import say, stage
from annofree.refine import REFINERS
from annofree.refine.base import RefineContext, Refiner, refine
from annofree.scan import Grid, Modality, Scan
from annofree.segmentation import REGIONS, ScoreMap, Unit
from annofree.thresholds import THRESHOLDS
from annofree.thresholds.base import HealthyScores, Threshold
from annofree.thresholds.fixed import GIVEN, Fixed


@dataclass(frozen=True)
class Rules:
    """How scores become masks: data that can be printed, swapped and saved.

    Attributes:
        thresholds: One per region; further ones may be in use inside a method.
        refiners: Refiners per region, applied in order.
    """

    thresholds: Mapping[str, Threshold]
    refiners: Mapping[str, tuple[Refiner, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "thresholds", MappingProxyType(dict(self.thresholds)))
        chains = {region: tuple(chain) for region, chain in self.refiners.items()}
        object.__setattr__(self, "refiners", MappingProxyType(chains))

    def __reduce__(self) -> tuple[object, ...]:
        return (Rules, (dict(self.thresholds), dict(self.refiners)))

    def replace(
        self,
        thresholds: Mapping[str, Threshold] | None = None,
        refiners: Mapping[str, Iterable[Refiner]] | None = None,
    ) -> Rules:
        """The rules with those of some regions changed."""
        chains = {region: tuple(chain) for region, chain in (refiners or {}).items()}
        return Rules({**self.thresholds, **(thresholds or {})}, {**self.refiners, **chains})

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able description; `from_dict` turns it back."""
        return {
            "thresholds": {region: rule.to_dict() for region, rule in self.thresholds.items()},
            "refiners": {region: [rule.to_dict() for rule in chain] for region, chain in self.refiners.items()},
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`. Raises `SettingsError`: a threshold or refiner is not known."""
        return cls(
            {region: THRESHOLDS.from_dict(rule) for region, rule in values["thresholds"].items()},
            {
                region: tuple(REFINERS.from_dict(one) for one in chain if one.get("kind") not in REFINERS.gone)
                for region, chain in values["refiners"].items()
            },
        )


@dataclass(frozen=True, eq=False)
class Scored:
    """What a method answers: scores, and the rules that are to decide on them.

    Scores are rounded to what is kept beside a mask, so that the same rules decide the same whenever they are asked.

    Attributes:
        scores: Score maps by name, all on one grid, the scan's own or another. The ones named "WT", "TC" and
            "ET" decide.
        rules: How they become masks.
        notes: Sentences on how the scores came about.
        agreement: Mean Dice of several looks at the scan with their mean, where the method looks more than once.
        looked_at: The sequences that were looked at, in words, where scores of others are not like these.
    """

    scores: Mapping[str, ScoreMap]
    rules: Rules
    notes: tuple[str, ...] = ()
    agreement: float | None = None
    looked_at: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "scores", {name: score.rounded() for name, score in self.scores.items()})
        if any(not score.grid.same_as(self.grid) for score in self.scores.values()):
            raise InputError("The score maps of one scan lie on different grids", fix="Bring them to one grid first")

    def __getitem__(self, name: str) -> ScoreMap:
        return self.scores[name]

    @property
    def grid(self) -> Grid:
        """Where the scores lie, and where they are decided on."""
        return self.scores["WT"].grid

    @property
    def regions(self) -> tuple[str, ...]:
        """The regions that are told apart, outermost first: those with a score map and a rule."""
        return tuple(region for region, _ in NESTED if region in self.scores and region in self.rules.thresholds)

    def healthy(self, scan: Scan, region: str) -> HealthyScores:
        """The scores of a tumour-free scan for rules that learn from them."""
        at = to_grid(scan, self.grid)
        return HealthyScores(scan.id, self.scores[region].values, brain_of(at), at.voxel_ml)


@dataclass(frozen=True, eq=False)
class Decision:
    """Labels and how they came about.

    Attributes:
        labels: Uint8 (X, Y, Z) on the scan's grid: 0 background, 1 core, 2 oedema, 3 enhancing.
        regions: The regions that are told of this scan.
        thresholds: Theirs, with the values that they had for this scan.
        guessed_ml: Volume by name of each region that scores alone would have told, and no image shows.
        notes: Sentences on what was done and what is doubtful.
    """

    labels: NDArray[np.uint8]
    regions: tuple[str, ...]
    thresholds: dict[str, Threshold]
    guessed_ml: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def decide(scored: Scored, scan: Scan) -> Decision:
    """Labels from scores: thresholds, then refiners, then one label per voxel; nothing outside the brain is labelled.

    Where the scores lie on another grid than the scan's, all of it happens there and the borders are brought back. The
    scan's images are there for refiners.
    """
    stage("thresholds and clean-up")
    scan = scan if scan.brain is not None else scan.replace(brain=brain_of(scan))
    at = to_grid(scan, scored.grid)
    decision = _decide_on_own_grid(scored, at)
    labels, notes = decision.labels, [*scored.notes, *decision.notes]
    if at is not scan:
        labels = _brought_back(labels, at, scan)
        notes.append(f"Decided on a grid of {' x '.join(f'{s:.3g}' for s in at.spacing_mm)} mm, borders brought back.")
    labels, regions, guessed_ml = without_guesses(labels, scored.regions, scan)
    core = "TC" in regions and bool((labels == 1).any())
    missing = [str(s) for s in (Modality.T1, Modality.T1C) if s not in scan.images]
    if guessed_ml:
        doubt, lacks = (" and the core of low confidence", " and ".join(missing)) if core else ("", "T1C")
        count = f" ({ml:.0f} ml guessed to enhance count as core)" if core and (ml := guessed_ml["ET"]) >= 0.5 else ""
        notes.append(f"Enhancing tumour is n/a{doubt}: {lacks} missing{count}")
    elif "ET" in regions and core and not (labels == 3).any():
        why = f"{' and '.join(missing)} missing" if missing else "nothing enhances"
        notes.append(f"The core is of low confidence: {why}")
    if not {Modality.FLAIR, Modality.T2} & set(scan.images):
        may = "The whole tumour may be much larger" if (labels > 0).any() else "A tumour may have been overlooked"
        notes.append(f"{may}: its oedema shows on FLAIR and T2, and both are missing")
    told = {region: rule for region, rule in decision.thresholds.items() if region in regions}
    return Decision(labels, regions, told, guessed_ml, tuple(notes))


def without_guesses(
    labels: NDArray[np.uint8], regions: tuple[str, ...], scan: Scan
) -> tuple[NDArray[np.uint8], tuple[str, ...], dict[str, float]]:
    """Labels and regions without what no image shows: without T1C nobody can see enhancing tumour.

    What scores take for it counts as the region around it.

    Returns:
        Labels (X, Y, Z), the regions that are told, and by name the volume of each that is not, ml.
    """
    if "ET" not in regions or Modality.T1C in scan.images:
        return labels, regions, {}
    regions = tuple(region for region in regions if region != "ET")
    guessed = labels == dict(NESTED)["ET"]
    labels = np.where(guessed, np.uint8(dict(NESTED)[regions[-1]]), labels)
    return labels, regions, {"ET": float(np.count_nonzero(guessed)) * scan.voxel_ml}


def _decide_on_own_grid(scored: Scored, scan: Scan) -> Decision:
    """The same for a scan on the scores' grid."""
    brain = scan.brain
    assert brain is not None
    rules, regions = scored.rules, scored.regions
    maps = {name: score.values for name, score in scored.scores.items()}
    for region in regions:
        refuse_impossible(rules.thresholds[region], region, scored.scores[region].unit)
    used = {region: rules.thresholds[region].resolve(maps[region], brain) for region in regions}
    cuts = {region: rule.value for region, rule in used.items() if rule.value is not None}
    labels = np.zeros(brain.shape, dtype=np.uint8)
    notes = [note for region, rule in used.items() if (note := _beyond_scores(region, rule, maps[region][brain]))]
    outer = brain
    for place, region in enumerate(regions):
        called = [maps[name] > cuts[name] for name in regions[place : place + 2]]
        context = RefineContext(
            scores=maps[region],
            brain=brain,
            spacing_mm=scan.spacing_mm,
            images=scan.images,
            threshold_value=cuts[region],
            inner=called[1] if len(called) > 1 else None,
            region=region,
            maps=maps,
            cuts=cuts,
        )
        chain = rules.refiners.get(region, ())
        mask = refine(called[0] & outer, chain, context) & outer
        notes += context.notes
        if mask.any() and (note := _drawn_anyway(region, rules.thresholds[region], chain)):
            notes.append(note)
        labels[mask] = dict(NESTED)[region]
        outer = mask
    return Decision(labels, regions, used, notes=tuple(notes))


def refuse_impossible(rule: Threshold, region: str, unit: Unit | None) -> None:
    """Refuse a number that no probability can reach, or that all exceed: it would answer without having looked."""
    if isinstance(rule, Fixed) and unit == "probability" and not 0 <= rule.value < 1:
        raise SettingsError(
            f"The threshold {rule.value:g} of {region} is outside 0 to 1, where probabilities lie",
            fix="Give a probability, such as fixed:0.5; fixed:2.0 and the like are for z scores (annofree methods)",
        )


def _beyond_scores(region: str, rule: Threshold, values: NDArray[np.float32]) -> str:
    """A user's number outside all scores of a scan is told: it, not the image, decided."""
    if not isinstance(rule, Fixed) or rule.source != GIVEN or not values.size:
        return ""
    low, high, number = float(values.min()), float(values.max()), f"The threshold of {region}, {rule.value:.4g}, lies"
    if rule.value < low:
        return f"{number} below every score ({low:.4g} and more): the whole brain is called."
    return f"{number} above every score ({high:.4g} and less): nothing is called." if rule.value >= high else ""


def _drawn_anyway(region: str, rule: Threshold, chain: Iterable[Refiner]) -> str:
    """A user who moves a threshold is told where the border does not follow it."""
    drawn = [one.kind for one in chain if one.draws_border]
    if not drawn or (rule.source != GIVEN and rule.value is not None):
        return ""
    return (
        f"The threshold of {region} decides what is found and hardly where its border lies, which "
        f"{' and '.join(drawn)} draws anew; --refine none shows what the threshold alone cuts"
    )


def _brought_back(labels: NDArray[np.uint8], at: Scan, scan: Scan) -> NDArray[np.uint8]:
    """Labels of another grid on the scan's own: each region's border where it is half inside; volumes stay.

    Where the scan has thick slices, the whole tumour is thinned along them first (`_thinned`).
    """
    own = np.zeros(scan.shape, dtype=np.uint8)
    thicker_mm = [max(0.0, mine - there) for mine, there in zip(scan.spacing_mm, at.spacing_mm, strict=True)]
    thick = any(more > 0.01 * there for more, there in zip(thicker_mm, at.spacing_mm, strict=True))
    for region, label in NESTED:
        mask = np.isin(labels, REGIONS[region])
        if not mask.any():
            continue
        if thick:
            share = _thinned(mask, thicker_mm, at.spacing_mm) if region == "WT" else mask.astype(np.float32)
            found = carried_mask(share, at.grid, scan.grid, np.eye(4))
        else:
            found = back(mask.astype(np.float32), at, scan) > 0.5
        own[found & (own > 0) if region != "WT" else found] = label
    own[~scan.foreground()] = 0
    return own


def _thinned(
    mask: NDArray[np.bool_], thicker_mm: Sequence[float], spacing_mm: tuple[float, float, float]
) -> NDArray[np.float32]:
    """The share of each voxel that stays when slices' partial volume is taken off a mask's faces, (X, Y, Z) in 0..1.

    A border that is visible from a quarter of a voxel on lies a quarter of the voxel's length outside of where the
    tissue ends: 0.25 mm on voxels of 1 mm, 1.25 mm on slices of 5 mm. The difference is taken off along the slices'
    axis, so that a tumour's volume does not grow with the slices.

    Args:
        mask: (X, Y, Z).
        thicker_mm: By how much the slices are longer than the mask's voxels, for each axis.
        spacing_mm: The mask's voxels.
    """
    from scipy import ndimage

    outside = 0.5 - BORDERS["visible"].whole
    share = mask.astype(np.float32)
    for axis, (more, own) in enumerate(zip(thicker_mm, spacing_mm, strict=True)):
        if more > 0:
            far = np.zeros(3)
            far[axis] = outside * more / own
            moved = [ndimage.shift(share, step, order=1, mode="nearest") for step in (far, -far)]
            share = np.minimum(share, np.minimum(*moved))
    return share


#: In a model's card: the sequences of the scans that the threshold was set on.
SET_ON = "threshold set on"


def set_on(seen: Collection[str]) -> dict[str, list[str]]:
    """What a card keeps of the sequences that scores were of; several are said."""
    if len(seen) > 1:
        mixed = " and on those of ".join(sorted(seen))
        say(f"The threshold was set on scores of {mixed}, which need not be alike: give scans of one kind")
    return {SET_ON: sorted(seen)} if any(seen) else {}


def doubted(scored: Scored, card: Mapping[str, Any], threshold: Threshold) -> Scored:
    """The scores, with a note where the threshold was set on others."""
    known = card.get(SET_ON)
    if not known or known == [scored.looked_at] or isinstance(threshold, Fixed):
        return scored
    differ = f"The scores are of {scored.looked_at}, and the threshold was set on {', '.join(known)}"
    return replace(scored, notes=(*scored.notes, f"{differ}: too much or too little may be called."))
