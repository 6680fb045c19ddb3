"""What a tumour shall be: drawn once, before anything is grown."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from annofree.synthesis.seeds import Seeds
from annofree.synthesis.settings import KINDS, Tumours


@dataclass(frozen=True)
class TumourPlan:
    """One lesion as requested.

    Attributes:
        kind: See `annofree.synthesis.settings.KINDS`.
        place: See `annofree.synthesis.place.PLACES`.
        whole_ml: Volume of everything.
        core_ml: Volume inside the oedema.
        elongation: Longest over shortest half axis of the core.
        roughness: Noise on the core's surface (log radius).
        grown: Whether oedema spreads along tissue; else it is a larger ellipsoid around the core.
        rim: "none", "ring", "nodular", "patchy" or "solid".
        rim_mm: Mean thickness of the enhancing rim.
        necrosis: Whether the inside of the rim is dead tissue (else solid, not enhancing).
        cyst: Share of the core that is a cyst.
        blood: Whether there is blood in the core.
        border_mm: Width over which tumour gives way to healthy tissue.
        core_border_mm: The same at the core's surface.
        cortex_cost: How much harder growth through cortex is than through white matter.
        fingers: Strength of the random unevenness of growth.
        push_mm: Mass effect at the core's surface.
        flair_mild: Oedema only a little brighter than grey matter on FLAIR.
    """

    kind: str
    place: str
    whole_ml: float
    core_ml: float
    elongation: float
    roughness: float
    grown: bool
    rim: str
    rim_mm: float
    necrosis: bool
    cyst: float
    blood: bool
    border_mm: float
    core_border_mm: float
    cortex_cost: float
    fingers: float
    push_mm: float
    flair_mild: bool

    @property
    def radius_mm(self) -> float:
        """Half axis of a sphere of the core's volume."""
        return _radius_mm(self.core_ml)

    @property
    def whole_radius_mm(self) -> float:
        """Half axis of a sphere of the whole tumour's volume."""
        return _radius_mm(self.whole_ml)


def _radius_mm(ml: float) -> float:
    return float((ml * 1000.0 * 0.75 / math.pi) ** (1 / 3))


def draw_volume(seeds: Seeds, settings: Tumours) -> float:
    """Whole-tumour volume in ml.

    Published cohorts report a median near 90 ml for the abnormality on FLAIR in high-grade glioma, with a range from
    a few to more than 200 ml, and smaller ones in low-grade glioma (Bakas et al., Scientific Data 2017, give the
    images). Two thirds of the draws follow a log-normal with median 75 ml; the rest is uniform in the logarithm, so
    that small lesions are never rare.
    """
    if settings.volumes_ml is not None:
        return float(settings.volumes_ml[seeds.integer(0, len(settings.volumes_ml) - 1)])
    low, high = settings.volume_ml
    if seeds.happens(0.35):
        return seeds.log_uniform(low, high)
    for _ in range(20):
        volume = math.exp(seeds.normal(math.log(75.0), 0.75))
        if low <= volume <= high:
            return volume
    return seeds.log_uniform(low, high)


def draw_plans(seeds: Seeds, settings: Tumours) -> list[TumourPlan]:
    """The lesions of one case; empty for a tumour-free one."""
    if seeds.stream("healthy").happens(settings.healthy_share):
        return []
    own = seeds.stream("kind")
    kind = own.pick(list(KINDS), list(KINDS.values()))
    kind = settings.kind or kind
    first = _draw(seeds.stream("first"), settings, kind)
    plans = [first]
    own = seeds.stream("several")
    if not settings.several:
        return plans
    if kind == "metastases":
        plans += [_draw(own.stream(f"more{i}"), settings, kind) for i in range(own.integer(1, 4))]
    elif kind != "dural" and own.happens(0.14):
        for i in range(own.integer(1, 2)):
            volume = max(0.6, first.whole_ml * own.uniform(0.02, 0.25))
            place = "near" if own.happens(0.65) else first.place
            core = volume * (first.core_ml / first.whole_ml)
            like = _draw(own.stream(f"satellite{i}"), settings, kind)
            plans.append(replace(like, place=place, whole_ml=volume, core_ml=core, push_mm=0.0))
    return plans


def _draw(seeds: Seeds, settings: Tumours, kind: str) -> TumourPlan:
    place = seeds.pick(("lobar", "callosum", "deep", "cerebellum", "brainstem"), (0.80, 0.04, 0.08, 0.05, 0.03))
    whole = draw_volume(seeds, settings)
    share = {
        "ring": seeds.uniform(0.15, 0.65),
        "solid": seeds.uniform(0.15, 0.6),
        "patchy": seeds.uniform(0.3, 0.85),
        "homogeneous": seeds.uniform(0.45, 0.95),
        "mismatch": seeds.uniform(0.7, 0.97),
        "infiltrative": seeds.uniform(0.02, 0.2),
        "metastases": seeds.uniform(0.08, 0.5),
        "dural": seeds.uniform(0.4, 0.97),
        "isointense": min(1.0, seeds.uniform(0.8, 1.2)),
        "cystic": min(1.0, seeds.uniform(0.55, 1.2)),
    }[kind]
    if kind == "metastases":
        whole = min(whole, seeds.log_uniform(1.0, 60.0))
    if kind == "dural":
        place = "dural"
        whole = min(whole, seeds.log_uniform(4.0, 90.0))
    if place == "brainstem":
        whole = min(whole, seeds.log_uniform(3.0, 30.0))
    if place in ("deep", "cerebellum"):
        whole = min(whole, seeds.log_uniform(4.0, 80.0))
    if not settings.oedema:
        share = 1.0
    rim = {
        "ring": seeds.pick(("ring", "nodular"), (0.75, 0.25)),
        "solid": "solid",
        "patchy": "patchy",
        "metastases": seeds.pick(("ring", "solid"), (0.6, 0.4)),
        "dural": "solid",
        # a diffuse tumour that has begun to enhance: a few spots, far from enclosing anything
        "infiltrative": seeds.pick(("none", "patchy"), (0.5, 0.5)),
        "isointense": seeds.pick(("none", "patchy"), (0.7, 0.3)),
        "cystic": seeds.pick(("nodular", "ring", "none"), (0.55, 0.25, 0.2)),
    }.get(kind, "none")
    core = whole * share
    radius = _radius_mm(core)
    low_grade = kind in ("homogeneous", "mismatch", "isointense")
    cystic = kind == "cystic" and settings.cysts  # a thin wall with a nodule, and fluid
    return TumourPlan(
        kind=kind,
        place=place,
        whole_ml=whole,
        core_ml=core,
        elongation=1.0 + abs(seeds.normal(0.0, 0.5)),
        roughness=seeds.uniform(0.05, 0.32)
        * (0.5 if kind in ("dural", "metastases") else 1.0)
        * (1.0 if settings.growth else 0.0),
        grown=settings.growth,
        rim=rim if settings.enhancement else "none",
        rim_mm=min(seeds.log_uniform(1.2, 3.0 if cystic else 9.0), 0.8 * radius),
        necrosis=settings.necrosis and not cystic and (seeds.happens(0.85) if rim != "none" else seeds.happens(0.1)),
        cyst=seeds.uniform(0.7, 0.97)
        if cystic
        else seeds.uniform(0.1, 0.6)
        if settings.cysts and seeds.happens(0.15)
        else 0.0,
        blood=settings.blood and seeds.happens(0.12),
        border_mm=seeds.log_uniform(1.0, 9.0),
        core_border_mm=seeds.uniform(0.5, 5.0 if low_grade else 2.5),
        cortex_cost=seeds.uniform(0.9, 2.0) if low_grade or kind == "infiltrative" else seeds.uniform(2.5, 6.0),
        fingers=seeds.uniform(0.1, 0.6),
        push_mm=min(abs(seeds.normal(0.0, 0.4)) * radius, 0.7 * radius, 16.0) if settings.mass_effect else 0.0,
        flair_mild=seeds.happens(0.12),
    )
