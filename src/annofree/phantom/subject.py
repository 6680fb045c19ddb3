"""One phantom: scan, labels, report and the answers that a good system must find."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from annofree.borders import BORDERS, Rule
from annofree.errors import InputError
from annofree.phantom.head import Head, Tissues
from annofree.phantom.imaging import add_lookalikes, blur_inside, photograph
from annofree.phantom.places import LOBES, describe
from annofree.phantom.recipes import RECIPES, check_kind
from annofree.phantom.relaxation import TISSUES
from annofree.phantom.tumour import ENHANCING, OEDEMA, Edges, Focus, draw_labels, grow, plan
from annofree.phantom.waves import Floats, Lattice
from annofree.phantom.words import write_report
from annofree.scan import Scan

_BOX_MM = ((-84.0, 84.0), (-120.0, 88.0), (-80.0, 96.0))
_WEIGHTS = {
    "glioblastoma": 5,
    "diffuse": 4,
    "metastases": 3,
    "meningioma": 2,
    "cystic": 2,
    "isointense": 2,
    "hypointense": 2,
}


@dataclass(frozen=True, eq=False)
class PhantomSubject:
    """A made subject whose truth is known.

    Attributes:
        scan: T1, T1C, T2 and FLAIR with the brain mask and the English report; holds no truth.
        labels: uint8 (X, Y, Z): 0 background, 1 core (necrosis, cyst, solid), 2 oedema, 3 enhancing.
        kind: One of `annofree.phantom.KINDS`.
        report_en: The radiologist's text in English.
        report_zh: The same facts in Chinese.
        findings: The known answers: `tumour`, `kind`, `side`, `lobe`, `lobes`, `size_mm` (right-left,
            front-back, up-down), `volume_ml` (all of labels 1 to 3), `enhancing`, `lesions` (one mapping each, the
            largest first), `midline_shift` (`to`, `mm`) or None, `ventricle_compressed` (a side or None),
            `white_matter_hyperintensity_ml`, `negated` (places said to be clear) and `incidental`. The side is "left",
            "right" or "bilateral"; for a healthy subject side, lobe and size are None.
    """

    scan: Scan
    labels: NDArray[np.uint8]
    kind: str
    report_en: str
    report_zh: str
    findings: dict[str, Any]


def _lattice(spacing_mm: float) -> Lattice:
    if not 0.5 <= spacing_mm <= 6:
        raise InputError(f"A phantom cannot have voxels of {spacing_mm} mm", fix="Use a spacing from 0.5 to 6 mm")
    x, y, z = (int(np.floor((high - low) / spacing_mm)) + 1 for low, high in _BOX_MM)
    return Lattice((_BOX_MM[0][0], _BOX_MM[1][0], _BOX_MM[2][0]), spacing_mm, (x, y, z))


def phantom_subject(
    seed: int,
    kind: str | None = None,
    spacing_mm: float = 2.0,
    healthy: bool = False,
    name: str | None = None,
    *,
    borders: Rule = "visible",
    visit: int = 0,
    growth: float = 1.0,
) -> PhantomSubject:
    """Make one subject. The same seed gives the same head and tumour at every spacing, and at every visit.

    Args:
        seed: Decides everything.
        kind: One of `KINDS`; drawn from the seed when None.
        spacing_mm: Edge of the cubic voxels.
        healthy: Short for `kind="healthy"`.
        name: Id of the scan, `phantom-<seed>` when None.
        borders: Where labels end: where a reader sees tumour through the slices, or where half of the voxel is tumour
            (the rule of earlier versions, with the borders' one width of that time).
        visit: Another number is another examination of the same person: protocol, slices, shading and noise are drawn
            anew. `annofree.phantom.reposed` lays the head down anew.
        growth: Tumours of so many times the volume, which push so much further.

    Raises:
        InputError: Unknown kind, a kind together with `healthy`, or an impossible spacing.

    Example:
        >>> subject = phantom_subject(7, kind="glioblastoma", spacing_mm=4.0)
        >>> subject.findings["tumour"], subject.scan.shape
        (True, (43, 53, 45))
    """
    if healthy and kind not in (None, "healthy"):
        raise InputError(f"A phantom cannot be healthy and of kind '{kind}'", fix="Give one of the two")
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(6)]
    anatomy, lesion, lookalikes, camera, pen, edge = streams
    if visit:
        camera = np.random.default_rng([seed, visit])
    drawn = str(lesion.choice(list(_WEIGHTS), p=np.array(list(_WEIGHTS.values())) / sum(_WEIGHTS.values())))
    kind = "healthy" if healthy else check_kind(kind or drawn)

    age = float(anatomy.beta(1.6, 1.4))
    head = Head.draw(anatomy, age)
    foci: tuple[Focus, ...] = () if kind == "healthy" else plan(lesion, head, kind)
    if growth != 1:
        foci = tuple(focus.grown(growth) for focus in foci)
    head = replace(head, warp=replace(head.warp, pushes=tuple(focus.push for focus in foci)))
    tissues = head.on(_lattice(spacing_mm))
    fractions = {name: np.zeros_like(tissues.csf) for name in TISSUES}
    fractions |= {"csf": tissues.csf.copy(), "gm": tissues.gm.copy(), "wm": tissues.wm.copy()}
    load_ml = add_lookalikes(lookalikes, tissues, fractions, age)
    flat = np.zeros(len(tissues.csf), dtype=np.uint8)
    owner = np.zeros(len(tissues.csf), dtype=np.int8)
    visible = borders == "visible"
    grown = None
    if foci:
        edges = Edges.draw(edge) if visible else Edges()
        grown = grow(head, kind, foci, tissues, fractions, edges)
    own = {"solid": RECIPES[kind].solid, "enhancing": RECIPES[kind].enhancing} if foci else {}
    images, spread = photograph(camera, tissues, fractions, own)
    if grown is not None:

        def seen(share: Floats, sequence: str) -> Floats:
            return blur_inside(share, tissues.brain, spread[sequence]) if visible else share

        flat = draw_labels(grown, BORDERS[borders], seen)
        owner = np.where(flat > 0, grown.owner, 0).astype(np.int8)
    labels = np.zeros(tissues.brain.shape, dtype=np.uint8)
    labels[tissues.brain] = flat

    findings = _findings(pen, kind, head, tissues, flat, owner, load_ml)
    report_en, report_zh = write_report(pen, findings)
    scan = Scan(
        id=name or f"phantom-{seed}",
        images=images,
        affine=tissues.lattice.affine,
        brain=tissues.brain,
        report=report_en,
        notes=(f"made phantom, seed {seed}, {spacing_mm:g} mm",),
    )
    return PhantomSubject(scan, labels, kind, report_en, report_zh, findings)


def _findings(
    rng: np.random.Generator,
    kind: str,
    head: Head,
    tissues: Tissues,
    flat: NDArray[np.uint8],
    owner: NDArray[np.int8],
    load_ml: float,
) -> dict[str, Any]:
    voxel_ml = tissues.lattice.spacing_mm**3 / 1000.0
    lesions: list[dict[str, Any]] = []
    for number in range(1, int(owner.max(initial=0)) + 1):
        inside = (owner == number) & (flat > 0)
        if inside.any():
            lesions.append(_lesion(tissues, flat, inside, voxel_ml))
    lesions.sort(key=lambda one: -float(one["volume_ml"]))
    sides = {str(one["side"]) for one in lesions}
    largest = lesions[0] if lesions else {"lobe": None, "lobes": [], "size_mm": None}
    return {
        "kind": kind,
        "tumour": bool(lesions),
        "side": None if not sides else sides.pop() if len(sides) == 1 else "bilateral",
        "lobe": largest["lobe"],
        "lobes": largest["lobes"],
        "size_mm": largest["size_mm"],
        "volume_ml": round(float((flat > 0).sum() * voxel_ml), 2),
        "enhancing": bool((flat == ENHANCING).sum() * voxel_ml > 0.1),
        "lesions": lesions,
        "midline_shift": _shift(head),
        "ventricle_compressed": _compressed_ventricle(head),
        "white_matter_hyperintensity_ml": round(load_ml, 1),
        "negated": _clear_places(rng, lesions),
        "incidental": _incidental(rng),
    }


def _lesion(tissues: Tissues, flat: NDArray[np.uint8], inside: NDArray[np.bool_], voxel_ml: float) -> dict[str, Any]:
    side, lobe, lobes = describe(tissues.place_mm[inside])
    points = tissues.points_mm[inside]
    extent = np.ptp(points, axis=0) + tissues.lattice.spacing_mm
    return {
        "side": side,
        "lobe": lobe,
        "lobes": lobes,
        "size_mm": [round(float(e)) for e in extent],
        "volume_ml": round(float(inside.sum() * voxel_ml), 2),
        "enhancing_ml": round(float((flat[inside] == ENHANCING).sum() * voxel_ml), 2),
        "oedema_ml": round(float((flat[inside] == OEDEMA).sum() * voxel_ml), 2),
        "centre_mm": [round(float(c), 1) for c in points.mean(axis=0)],
    }


def _shift(head: Head) -> dict[str, Any] | None:
    """Direction and size of the midline shift, the largest at three points of the septum; None below 2.5 mm."""
    septum = np.array([[0.0, 22.0, 8.0], [0.0, 0.0, 14.0], [0.0, -24.0, 18.0]])
    moves = [float(head.warp.displacement(point)[0]) for point in septum]
    largest = max(moves, key=abs)
    return {"to": "right" if largest > 0 else "left", "mm": round(abs(largest))} if abs(largest) >= 2.5 else None


def _compressed_ventricle(head: Head) -> str | None:
    """The side whose lateral ventricle is pushed towards the midline by 2.5 mm or more beyond the other's push."""
    inward = {
        side: -sign * float(head.warp.displacement(np.array([sign * 16.0, -8.0, 18.0]))[0])
        for side, sign in (("left", -1.0), ("right", 1.0))
    }
    side = max(inward, key=lambda s: inward[s])
    other = "right" if side == "left" else "left"
    return side if inward[side] >= 2.5 and inward[side] > abs(inward[other]) else None


def _clear_places(rng: np.random.Generator, lesions: list[dict[str, Any]]) -> list[dict[str, str]]:
    taken = {(one["side"], lobe) for one in lesions for lobe in one["lobes"]}
    free = [
        (s, lobe) for s in ("left", "right") for lobe in LOBES[:5] if taken.isdisjoint({(s, lobe), ("bilateral", lobe)})
    ]
    chosen = rng.choice(len(free), size=int(rng.integers(1, 3)), replace=False)
    return [{"side": free[int(i)][0], "lobe": free[int(i)][1]} for i in chosen]


def _incidental(rng: np.random.Generator) -> dict[str, str] | None:
    side, what = str(rng.choice(["left", "right"])), str(rng.choice(["mastoid", "sinus", "none", "none"]))
    return None if what == "none" else {"side": side, "what": what}


class PhantomCohort(Sequence[PhantomSubject]):
    """Subjects made one at a time, when they are asked for; `plan` has `(id, seed, kind)` of each."""

    def __init__(self, plan: tuple[tuple[str, int, str], ...], spacing_mm: float) -> None:
        self.plan = plan
        self.spacing_mm = spacing_mm

    @property
    def ids(self) -> tuple[str, ...]:
        """Scan ids in order."""
        return tuple(name for name, _, _ in self.plan)

    def __len__(self) -> int:
        return len(self.plan)

    @overload
    def __getitem__(self, index: int) -> PhantomSubject: ...
    @overload
    def __getitem__(self, index: slice) -> PhantomCohort: ...
    def __getitem__(self, index: int | slice) -> PhantomSubject | PhantomCohort:
        """The subject at a position, made now; or the part of the cohort that a slice names, still lazy."""
        if isinstance(index, slice):
            return PhantomCohort(self.plan[index], self.spacing_mm)
        name, seed, kind = self.plan[index]
        return phantom_subject(seed, kind=kind, spacing_mm=self.spacing_mm, name=name)


def phantom_cohort(n: int = 48, seed: int = 0, spacing_mm: float = 2.0, healthy_fraction: float = 0.2) -> PhantomCohort:
    """A cohort in which every kind has its share, in whole subjects, and the order is random.

    Raises:
        InputError: A number that makes no sense.

    Example:
        >>> cohort = phantom_cohort(n=6)
        >>> len(cohort), sum(kind == "healthy" for _, _, kind in cohort.plan)
        (6, 1)
    """
    if n < 1 or not 0 <= healthy_fraction <= 1:
        raise InputError(
            f"A cohort of {n} subjects, {healthy_fraction:g} of them healthy, cannot be made",
            fix="Use n of at least 1 and a healthy fraction from 0 to 1",
        )
    _lattice(spacing_mm)
    root = np.random.SeedSequence(seed)
    healthy = round(n * healthy_fraction)
    kinds = ["healthy"] * healthy + _shares(n - healthy)
    order = np.random.default_rng(root).permutation(n)
    seeds = [int(s) for s in root.generate_state(n, dtype=np.uint32)]
    return PhantomCohort(tuple((f"phantom-{i:03d}", seeds[i], kinds[int(order[i])]) for i in range(n)), spacing_mm)


def _shares(n: int) -> list[str]:
    """`n` kinds of tumour: each new one is the kind that lags most behind its weight."""
    counts = dict.fromkeys(_WEIGHTS, 0)
    chosen: list[str] = []
    for _ in range(n):
        kind = min(_WEIGHTS, key=lambda k: (counts[k] + 0.5) / _WEIGHTS[k])
        counts[kind] += 1
        chosen.append(kind)
    return chosen
