"""Tumours placed in a head: what each voxel is made of, and the labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from annofree.borders import Border
from annofree.phantom.growth import Neighbourhood
from annofree.phantom.head import Head, Push, Tissues, template
from annofree.phantom.places import LOBES, lobe_index
from annofree.phantom.recipes import RECIPES, Recipe
from annofree.phantom.waves import Floats, Waves

_SUPRATENTORIAL = ("frontal", "parietal", "temporal", "occipital", "insula")
CORE, OEDEMA, ENHANCING = 1, 2, 3


@dataclass(frozen=True)
class Focus:
    """One lesion as decided before any voxel exists.

    Attributes:
        centre_mm: (3,) subject point.
        core_ml: Volume of its core.
        oedema_ml: Volume of its oedema, 0 for none.
        rim_mm: Thickness of the enhancing rim, 0 for none.
        patch: Whether a core without rim has an enhancing patch.
        push: Its mass effect.
        speed: Field that makes the outline irregular.
        rim_field: Field that thickens, thins and interrupts the rim.
        inner_field: Field that tells necrosis from solid tumour.
    """

    centre_mm: NDArray[np.float64]
    core_ml: float
    oedema_ml: float
    rim_mm: float
    patch: bool
    push: Push
    speed: Waves
    rim_field: Waves
    inner_field: Waves

    @property
    def radius_mm(self) -> float:
        """Radius of the ball with the core's volume."""
        return _radius_mm(self.core_ml)

    def grown(self, times: float) -> Focus:
        """The same lesion with so many times the volume, and as much more of a push as its radius is longer."""
        longer = times ** (1 / 3)
        push = replace(self.push, radius_mm=self.push.radius_mm * longer, amount_mm=self.push.amount_mm * longer)
        return replace(self, core_ml=self.core_ml * times, oedema_ml=self.oedema_ml * times, push=push)


def _radius_mm(volume_ml: float) -> float:
    return float((3000.0 * volume_ml / (4 * np.pi)) ** (1 / 3))


def plan(rng: np.random.Generator, head: Head, kind: str) -> tuple[Focus, ...]:
    """Decide where the lesions of a kind lie and how large they are."""
    recipe = RECIPES[kind]
    candidates = template().points(1.0, 5.0, 0.0) if recipe.extra_axial else template().points(9.0, 99.0, 0.75)
    lobes = lobe_index(candidates)
    foci: list[Focus] = []
    for _ in range(int(rng.integers(recipe.foci[0], recipe.foci[1] + 1))):
        names = (*_SUPRATENTORIAL, "cerebellum") if recipe.foci[1] > 1 else _SUPRATENTORIAL
        lobe = str(rng.choice(names if not recipe.extra_axial else names[:4]))
        left = bool(rng.random() < 0.5)
        core_ml = float(np.exp(rng.uniform(*np.log(recipe.core_ml))))
        oedema_ml = float(np.exp(rng.uniform(*np.log(recipe.oedema_ml))))
        away = _radius_mm(core_ml) * 0.55 + 6.0  # keeps the bulk of a lesion on its own side
        x = candidates[:, 0]
        inside = (lobes == LOBES.index(lobe)) & ((x < 0) == left) & (np.abs(x) > min(away, 26.0))
        far = [np.linalg.norm(candidates - head.warp.at(f.centre_mm[None])[0], axis=1) for f in foci]
        free = inside & np.all([d > 28.0 for d in far], axis=0) if far else inside
        if not free.any():
            continue
        point = candidates[int(rng.choice(np.flatnonzero(free)))].astype(np.float64)
        if recipe.extra_axial:
            inward = np.array([0.0, -18.0, 8.0]) - point
            point = point + inward / np.linalg.norm(inward) * 0.45 * _radius_mm(core_ml)
        centre = head.warp.subject_point(point)
        radius = _radius_mm(core_ml)
        foci.append(
            Focus(
                centre_mm=centre,
                core_ml=core_ml,
                oedema_ml=oedema_ml if rng.random() < recipe.oedema_probability else 0.0,
                rim_mm=float(rng.uniform(*recipe.rim_mm)) if recipe.rim_mm else 0.0,
                patch=bool(rng.random() < recipe.patches),
                push=Push(centre, radius, float(rng.uniform(*recipe.mass)) * radius),
                speed=Waves.draw(rng, 10, 45, 32),
                rim_field=Waves.draw(rng, 10, 32, 24),
                inner_field=Waves.draw(rng, 7, 28, 24),
            )
        )
    return tuple(foci)


def _soft(level: NDArray[np.floating], width: float) -> Floats:
    """0 outside, 1 inside, 0.5 at level 0, smooth over about four widths."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(level / width, -30, 30))), dtype=np.float32)


def _levels(head: Head, recipe: Recipe, focus: Focus, target: Tissues) -> tuple[Floats, Floats]:
    """Signed levels in mm, positive inside, of a focus' core and of core plus oedema, at the target's brain voxels."""
    reach = 1.7 * _radius_mm(focus.core_ml + focus.oedema_ml) + 10.0
    around = Neighbourhood.around(head, focus.centre_mm, float(np.clip(reach, 20.0, 60.0)))
    distance = np.asarray(np.linalg.norm(around.tissues.points_mm - around.centre_mm, axis=1))
    start = distance <= max(3.5, float(distance.min()) + 0.1)
    if recipe.extra_axial or recipe.cyst:
        bumps = focus.speed.on(around.tissues.lattice)[around.tissues.brain]
        core = around.level(distance * np.exp(0.10 * bumps), focus.core_ml)
    else:
        core = around.level(around.arrival(start, 0.55, 0.12, 0.38, focus.speed), focus.core_ml)
    if focus.oedema_ml == 0:
        whole = np.full_like(core, -99.0)
    else:
        times = around.arrival((core > 0) | start, 0.09, 0.03, 0.45, focus.speed)
        whole = around.level(times, focus.core_ml + focus.oedema_ml)
    return around.onto(core, target, -99.0), around.onto(whole, target, -99.0)


@dataclass(frozen=True)
class Shares:
    """How much of each voxel is tumour, (N,) each.

    Attributes:
        whole: Oedema, core and enhancing tumour together.
        core: Core and enhancing tumour.
        enhancing: Enhancing tumour.
        owner: Number of the focus that holds most of the voxel, from 1.
    """

    whole: Floats
    core: Floats
    enhancing: Floats
    owner: NDArray[np.int8]


@dataclass(frozen=True)
class Edges:
    """How gradually tumour gives way to its surroundings, mm.

    Attributes:
        whole_mm: Scale of the logistic edge of the whole tumour: infiltration is seen over about four of them.
        core_mm: The same of the core.
    """

    whole_mm: float = 1.6
    core_mm: float = 0.7

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Edges:
        """Sharp to infiltrating."""
        return cls(
            float(np.exp(rng.uniform(np.log(0.6), np.log(2.6)))), float(np.exp(rng.uniform(*np.log((0.4, 1.5)))))
        )


def grow(
    head: Head,
    kind: str,
    foci: tuple[Focus, ...],
    target: Tissues,
    fractions: dict[str, Floats],
    edges: Edges | None = None,
) -> Shares:
    """Grow the planned lesions of a kind into the tissue, whose shares (N,) are changed in place.

    The head carries the lesions, mass effect included. Returns the shares from which labels are drawn.
    """
    recipe = RECIPES[kind]
    edges = edges or Edges()
    nothing = np.zeros(len(target.csf), dtype=np.float32)
    whole_share, core_share, enhancing_share, most = nothing.copy(), nothing.copy(), nothing.copy(), nothing.copy()
    owner = np.zeros(len(target.csf), dtype=np.int8)
    levels = [_levels(head, recipe, focus, target) for focus in foci]
    for number, (_core, whole) in enumerate(levels, start=1):
        member = _soft(whole, edges.whole_mm)
        for name, swells in (("wm", 1.0), ("wmh", 1.0), ("gm", 0.55)):  # grey matter takes up less water
            moved = fractions[name] * member * np.float32(swells)
            fractions[name] -= moved
            fractions["oedema"] += moved
        seen = member * (target.csf < 0.5)
        whole_share = np.maximum(whole_share, seen)
        owner[seen > most] = number
        most = np.maximum(most, seen)
    for number, (focus, (reached, _)) in enumerate(zip(foci, levels, strict=True), start=1):
        near = np.flatnonzero(reached > -12.0)  # beyond it the core's share is nil
        core = reached[near]
        member = _soft(core, edges.core_mm)
        parts = _core_parts(recipe, focus, core, target.points_mm[near])
        if recipe.extra_axial:  # a cleft of fluid between tumour and brain
            cleft = 0.7 * _soft(core + 2.5, 0.5) * (1 - member)
            for name in fractions:
                fractions[name][near] *= 1 - cleft
            fractions["csf"][near] += cleft
        for name in fractions:
            fractions[name][near] *= 1 - member
        for name, share in parts.items():
            fractions[name][near] += member * share
        enhancing_share[near] = enhancing_share[near] * (1 - member) + member * parts["enhancing"]
        core_share[near] = np.maximum(core_share[near], member)
        whole_share[near] = np.maximum(whole_share[near], member)
        owner[near[member > np.minimum(most[near], 0.5)]] = number
        most[near] = np.maximum(most[near], member)
    return Shares(whole_share, core_share, enhancing_share, owner)


def draw_labels(shares: Shares, border: Border, seen: Callable[[Floats, str], Floats]) -> NDArray[np.uint8]:
    """Labels 0 to 3 of each voxel; `seen` turns shares into those that a sequence's slices show."""
    labels = np.zeros(len(shares.whole), dtype=np.uint8)
    whole, core = seen(shares.whole, "FLAIR"), seen(shares.core, "FLAIR")
    inside = whole >= border.whole
    labels[inside] = OEDEMA
    labels[inside & (core >= border.core * (whole if border.of_tumour else 1.0))] = CORE
    labels[seen(shares.enhancing, "T1C") >= border.enhancing] = ENHANCING
    return labels


def _core_parts(recipe: Recipe, focus: Focus, core: Floats, points_mm: Floats) -> dict[str, Floats]:
    """Share of enhancing tumour, solid tumour, necrosis and cyst inside a core, at (N, 3) points; they sum to one."""
    rim_field = focus.rim_field.at(points_mm)
    inner_field = focus.inner_field.at(points_mm)
    if focus.rim_mm > 0:
        thickness = focus.rim_mm * np.exp(0.35 * rim_field)
        enhancing = _soft(thickness - core, 0.5)
        if focus.rim_mm < 20:
            enhancing = enhancing * _soft(rim_field + 1.3, 0.12)  # rims have gaps
    elif focus.patch:
        enhancing = _soft(rim_field - 1.1, 0.12) * _soft(core - 3.0, 0.8)
    else:
        enhancing = np.zeros_like(core)
    if recipe.cyst:  # a nodule in the wall, on the side where the field is highest
        toward = points_mm - focus.centre_mm
        top = toward[np.argmax(np.where(core > 0, rim_field, -9.0))]
        place = top / (np.linalg.norm(top) + 1e-6) * 0.75 * focus.radius_mm
        nodule = _soft(0.42 * focus.radius_mm - np.linalg.norm(toward - place, axis=1), 0.6)
        enhancing = np.maximum(enhancing, nodule)
    rest = 1 - enhancing
    if recipe.cyst:
        return {"enhancing": enhancing, "cyst": rest}
    dead = _soft(inner_field - (1.6 - 3.0 * recipe.necrosis), 0.15) if recipe.necrosis > 0 else np.zeros_like(core)
    return {"enhancing": enhancing, "necrosis": rest * dead, "solid": rest * (1 - dead)}
