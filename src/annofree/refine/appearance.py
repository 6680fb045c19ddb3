"""What this patient's lesion and this patient's healthy brain look like, and the border that follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from operator import call
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from annofree.intensity import robust_level
from annofree.masks import (
    Box,
    Mask,
    SmoothingInside,
    away_mm,
    bounding_box,
    components,
    components_with,
    depth_mm,
    margin_for,
)
from annofree.processes import side_by_side
from annofree.refine.base import RefineContext, Refiner
from annofree.refine.holes import fill_holes
from annofree.refine.mixture import Mixture
from annofree.scan import Modality

#: Fewer certain voxels than these say nothing about a lesion or a brain.
_LEAST_LESION_VOX, _LEAST_HEALTHY_VOX = 30, 500
#: The log-odds of the score map are believed no further than this: 99 %.
_SUREST = float(np.log(99.0))
#: Scores are kept this far from 0 and 1, whose log-odds are infinite.
_TINY = 1e-5
#: Share of a standard deviation (squared) that is added to every variance.
_RIDGE = 0.02
#: Powers of the number g with g^4 = g + 1: multiples of them fill the unit cube evenly.
_EVENLY = 1.2207440846057596 ** -np.arange(1.0, 4.0)


class Appearance(Refiner):
    """Move the mask's border to where the patient's own images stop looking like the lesion.

    A network that never saw this scanner places a lesion well and its border less well. Here two mixtures of Gaussians
    are fitted to all sequences at once: one to voxels that are certainly lesion (inside the mask, high score), one to
    brain that is certainly not (away from the mask, low score). A voxel near the mask then belongs to the lesion where

        weight * (log-odds of the score - log-odds of even) + log-likelihood ratio of the two mixtures,
        smoothed over smooth_odds_mm, > 0

    which is Bayes' rule with the network as a tempered prior. Only what touches the mask's inside is kept, so that
    nothing new appears; what lies deeper than `depth_mm` inside the mask stays. Scores must be probabilities.

    Source: outlier atlases and mixture models with a spatial prior (Van Leemput 2001, Prastawa 2004, Menze 2010), with
    the prior taken from a network instead of an atlas. The defaults were chosen on phantoms and made cases
    (`docs/refine.md`), none on patients.

    Attributes:
        reach_mm: How far beyond the mask the border may move.
        depth_mm: Depth below the mask's surface from which a voxel stays in any case.
        thin_mm: Parts of the mask that are nowhere deeper stay as they are: blurred as they are here, they would grow.
        gap_mm: Distance from the mask from which brain counts as healthy.
        around_mm: Brain further from the mask's box than this is not looked at: shading and tissue change with the way.
        weight: Trust in the score map: 0 ignores it, 1 takes its log-odds as they are.
        even: Score at which half of the voxels are lesion. A network that learned by Dice says more than one half
            there, because a doubtful voxel costs Dice less called than missed.
        certain_above: Score from which voxels of the mask are examples of lesion.
        certain_below: Score up to which brain away from the mask is an example of healthy.
        lesion_kinds: Gaussians of the lesion's mixture.
        healthy_kinds: Gaussians of the healthy brain's mixture: grey, white, fluid, and what lies between them.
        smooth_mm: Width (sigma) of the Gaussian that the sequences are smoothed with first.
        smooth_odds_mm: Width (sigma) of the Gaussian that the log-odds are smoothed with.
        limit: Largest log-likelihood ratio that one voxel can have.
        sequences: The sequences to look at; None for all.
        samples: Examples drawn for each mixture.
        rounds: How often the examples are taken from the mask found last, so that a wrong mask teaches less.
    """

    kind: ClassVar[str] = "appearance"
    draws_border: ClassVar[bool] = True
    main: ClassVar[tuple[str, ...]] = ("reach_mm",)
    later: ClassVar[Mapping[str, Any]] = {"thin_mm": 0.0, "rounds": 1, "even": 0.5}

    reach_mm: float = Field(default=16.0, gt=0.0)
    depth_mm: float = Field(default=6.0, ge=0.0)
    thin_mm: float = Field(default=2.5, ge=0.0)
    gap_mm: float = Field(default=6.0, ge=0.0)
    around_mm: float = Field(default=16.0, gt=0.0)
    weight: float = Field(default=0.5, ge=0.0)
    even: float = Field(default=0.8, gt=0.0, lt=1.0)
    certain_above: float = Field(default=0.7, ge=0.0, lt=1.0)
    certain_below: float = Field(default=0.1, gt=0.0, le=1.0)
    lesion_kinds: int = Field(default=2, ge=1)
    healthy_kinds: int = Field(default=6, ge=1)
    smooth_mm: float = Field(default=0.7, ge=0.0)
    smooth_odds_mm: float = Field(default=1.0, ge=0.0)
    limit: float = Field(default=4.0, gt=0.0)
    sequences: tuple[Modality, ...] | None = None
    samples: int = Field(default=6000, ge=100)
    rounds: int = Field(default=3, ge=1)

    def apply(self, mask: Mask, context: RefineContext) -> Mask:
        """The mask with its border moved; the mask itself, with a note, where too little is certain to say."""
        result = mask.copy()
        box = bounding_box(mask, margin_for(self.around_mm, context.spacing_mm))
        if box is None:
            return result
        at_hand = context.images or {}
        images = [at_hand[s][box] for s in self.sequences or tuple(at_hand) if s in at_hand]
        if not images:
            return self.skipped(result, context, "none of the sequences it may look at is at hand")
        spacing, brain, scores, inner = context.spacing_mm, context.brain[box], context.scores[box], mask[box]
        reach_mm = max(self.gap_mm, self.reach_mm)
        depth, away = side_by_side(call, [partial(depth_mm, inner, spacing), partial(_away, inner, reach_mm, spacing)])
        parts, count = components(inner, 6)
        deep = np.zeros(count + 1, dtype=bool)
        deep[parts[depth > self.thin_mm]] = True
        thin = inner & ~deep[parts]
        if thin.sum() == inner.sum():
            return self.skipped(result, context, "the finding is too thin to show an inside of its own")
        near = brain & (away <= self.reach_mm)
        stays, kept = inner & (depth > self.depth_mm), inner & ~thin
        smooth = SmoothingInside(brain, self.smooth_mm, spacing, least=1e-3)
        smoothed = side_by_side(smooth, images)
        smooth_odds = SmoothingInside(brain, self.smooth_odds_mm, spacing, least=1e-3)
        given = np.clip(scores[near], _TINY, 1.0 - _TINY)
        believed = np.log(given / (1.0 - given)) - np.log(self.even / (1.0 - self.even))
        prior = self.weight * np.clip(believed, -_SUREST, _SUREST)
        numbers = _numbers(box)
        found = inner
        for turn in range(self.rounds):
            if turn:
                away = _away(found, self.gap_mm, spacing)
            healthy = brain & (away > self.gap_mm) & (scores < self.certain_below)
            lesion = found & (scores > self.certain_above)
            if lesion.sum() < _LEAST_LESION_VOX:
                lesion = found & brain
            if lesion.sum() < _LEAST_LESION_VOX or healthy.sum() < _LEAST_HEALTHY_VOX:
                if not turn:
                    return self.skipped(result, context, "too few voxels are certain")
                break
            odds = np.full(near.shape, -self.limit, dtype=np.float32)
            odds[near] = prior + self._ratio(smoothed, numbers, lesion=lesion, healthy=healthy, near=near)
            before, found = found, (near & (smooth_odds(odds) > 0)) | stays
            found = fill_holes(components_with(found, kept, 6)) & (brain | inner) | thin
            if np.array_equal(found, before):
                break
        result[box] = found
        return result

    def _ratio(
        self,
        images: list[NDArray[np.float32]],
        numbers: NDArray[np.float64],
        *,
        lesion: Mask,
        healthy: Mask,
        near: Mask,
    ) -> NDArray[np.float32]:
        """Log-likelihood of lesion less that of healthy brain at the voxels near the mask, (N,)."""
        voxels = {
            name: _some(where, self.samples, numbers) for name, where in (("lesion", lesion), ("healthy", healthy))
        }
        columns: dict[str, list[NDArray[np.float64]]] = {"lesion": [], "healthy": [], "near": []}
        for image in images:
            example = image.ravel()[voxels["healthy"]]
            middle, scale = robust_level(example)
            for name, values in (
                ("lesion", image.ravel()[voxels["lesion"]]),
                ("healthy", example),
                ("near", image[near]),
            ):
                columns[name].append((values.astype(np.float64) - middle) / scale)
        points = {name: np.stack(values, axis=1) for name, values in columns.items()}
        kinds = min(self.lesion_kinds, max(1, len(points["lesion"]) // 200))
        asked = [("lesion", kinds), ("healthy", self.healthy_kinds)]

        def likelihood(one: tuple[str, int]) -> NDArray[np.float64]:
            return Mixture.fit(points[one[0]], one[1], ridge=_RIDGE).log_likelihood(points["near"])

        of_lesion, of_healthy = side_by_side(likelihood, asked)
        lead = of_lesion - of_healthy
        return np.clip(lead, -self.limit, self.limit).astype(np.float32)


def _away(mask: Mask, reach_mm: float, spacing_mm: tuple[float, float, float]) -> NDArray[np.float32]:
    """Distance of each voxel from the mask in mm, infinite where it is surely beyond the reach."""
    away, box = np.full(mask.shape, np.inf, dtype=np.float32), bounding_box(mask, margin_for(reach_mm, spacing_mm))
    assert box is not None
    away[box] = away_mm(mask[box], spacing_mm)
    return away


def _numbers(box: Box) -> NDArray[np.float64]:
    """A fixed number in 0..1 for each voxel of a part of the scan, the same in any part, (X, Y, Z).

    The numbers fill space evenly (the additive recurrence of Roberts 2018).
    """
    x, y, z = (step * np.arange(part.start, part.stop) for step, part in zip(_EVENLY, box, strict=True))
    numbers: NDArray[np.float64] = (x[:, None, None] + y[:, None] + z) % 1.0
    return numbers


def _some(where: Mask, count: int, numbers: NDArray[np.float64]) -> NDArray[np.int64]:
    """Up to so many flat indices of a mask: the voxels with the smallest numbers.

    A mask that differs by three voxels has examples that differ by at most three.
    """
    indices = np.flatnonzero(where)
    if len(indices) <= count:
        return indices
    return np.sort(indices[np.argpartition(numbers.ravel()[indices], count)[:count]])
