"""What a tumour shall be: drawn once, before anything is grown."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from annofree.synthesis.kinds import KINDS
from annofree.synthesis.seeds import Seeds
from annofree.synthesis.settings import Tumours


@dataclass(frozen=True)
class TumourPlan:
    """One lesion as requested.

    Attributes:
        kind: See `annofree.synthesis.kinds.KINDS`.
        place: See `annofree.synthesis.generator.PLACES`.
        whole_ml: Volume of everything.
        core_ml: Volume inside the oedema.
        elongation: Longest over shortest half axis of the core.
        roughness: Noise on the core's surface (log radius).
        grown: Whether oedema spreads along tissue; else it is a larger ellipsoid around the core.
        rim: "none", "ring", "nodular", "mural" (one nodule on the wall), "patchy" or "solid".
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
    kind = settings.kind or seeds.stream("kind").pick(list(settings.shares), list(settings.shares.values()))
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
    """One lesion. What a switch turns off is drawn all the same, so that nothing else changes with it."""
    known = KINDS[kind]
    place = seeds.pick(("lobar", "callosum", "deep", "cerebellum", "brainstem"), (0.80, 0.04, 0.08, 0.05, 0.03))
    whole = draw_volume(seeds.stream("volume"), settings)
    share = min(1.0, seeds.uniform(*known.core))
    if kind == "metastases":
        whole = min(whole, seeds.log_uniform(1.0, 60.0))
    if kind == "dural":
        place = "dural"
        whole = min(whole, seeds.log_uniform(4.0, 90.0))
    if place == "brainstem":
        whole = min(whole, seeds.log_uniform(3.0, 30.0))
    if place in ("deep", "cerebellum"):
        whole = min(whole, seeds.log_uniform(4.0, 80.0))
    core = whole * (share if settings.oedema else 1.0)
    radius = _radius_mm(core)
    rim = seeds.pick(list(known.rims), list(known.rims.values()))
    roughness = seeds.uniform(0.05, 0.32) * (0.5 if kind in ("dural", "metastases") else 1.0)
    low_grade = kind in ("homogeneous", "mismatch", "isointense")
    dies, has_cyst = seeds.happens(0.85 if rim != "none" else 0.1), seeds.happens(0.15)
    cyst, wall_mm = seeds.uniform(0.1, 0.6), (1.2, 9.0)
    if kind == "cystic":
        has_cyst, cyst, wall_mm = True, seeds.uniform(0.7, 0.97), (0.7, 2.0)
    return TumourPlan(
        kind=kind,
        place=place,
        whole_ml=whole,
        core_ml=core,
        elongation=1.0 + abs(seeds.normal(0.0, 0.5)),
        roughness=roughness if settings.growth else 0.0,
        grown=settings.growth,
        rim=rim if settings.enhancement else "none",
        rim_mm=min(seeds.log_uniform(*wall_mm), 0.8 * radius),
        necrosis=dies and settings.necrosis and kind not in ("isointense", "cystic"),
        cyst=cyst if has_cyst and settings.cysts else 0.0,
        blood=seeds.happens(0.12) and settings.blood,
        border_mm=seeds.log_uniform(1.0, 9.0),
        core_border_mm=seeds.uniform(0.5, 5.0 if low_grade else 2.5),
        cortex_cost=seeds.uniform(0.9, 2.0) if low_grade or kind == "infiltrative" else seeds.uniform(2.5, 6.0),
        fingers=seeds.uniform(0.1, 0.6),
        push_mm=min(abs(seeds.normal(0.0, 0.4)) * radius, 0.7 * radius, 16.0) * settings.mass_effect,
        flair_mild=seeds.happens(0.12),
    )
