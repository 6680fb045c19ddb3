"""A subject's healthy head: MNI tissue maps under a random smooth deformation, sampled on any lattice."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from annofree.phantom.waves import Floats, Lattice, Waves

_CENTRE = np.array([0.0, -18.0, 8.0])
#: The T1 template is brighter than this share of its maximum in the brain.
BRAIN_LEVEL = 0.2
_SEMI_AXES = np.array([72.0, 92.0, 78.0])
_VENTRICLES = (np.array([-14.0, -12.0, 18.0]), np.array([14.0, -12.0, 18.0]))
_VENTRICLE_REACH = np.array([11.0, 32.0, 13.0])


@dataclass(frozen=True)
class Template:
    """Tissue maps of the MNI152 template, 1 mm, and two distance maps, 2 mm.

    Attributes:
        origin_mm: Centre of voxel (0, 0, 0), shared by all maps.
        gm: Grey-matter fraction.
        wm: White-matter fraction.
        depth: Distance in mm to the outside of the brain, 0 outside.
        ventricle: Distance in mm to the ventricles.
        near: The brain and one 2 mm voxel around it.
    """

    origin_mm: NDArray[np.float64]
    gm: Floats
    wm: Floats
    depth: Floats
    ventricle: Floats
    near: NDArray[np.bool_]

    def points(self, lowest_depth_mm: float, highest_depth_mm: float, least_wm: float) -> NDArray[np.float64]:
        """Template points (N, 3) in mm on the 2 mm grid within a range of depth and white enough."""
        wm = self.wm[::2, ::2, ::2]
        chosen = (self.depth > lowest_depth_mm) & (self.depth < highest_depth_mm) & (wm >= least_wm)
        return np.argwhere(chosen) * 2.0 + self.origin_mm


@lru_cache(maxsize=1)
def template() -> Template:
    """The template, read on first use."""
    from annofree.anatomy.template import template as mni_template

    mni = mni_template()
    gm, wm = mni.grey, mni.white
    brain = mni.t1[::2, ::2, ::2] > BRAIN_LEVEL
    origin = mni.affine[:3, 3]
    depth = 2.0 * ndimage.distance_transform_edt(np.pad(brain, 1))[1:-1, 1:-1, 1:-1]
    x, y, z = (origin[a] + 2.0 * np.arange(n) for a, n in enumerate(brain.shape))
    box = (np.abs(x) < 46)[:, None, None] & ((y > -62) & (y < 40))[None, :, None] & ((z > -14) & (z < 34))[None, None]
    fluid = ndimage.binary_opening((gm + wm)[::2, ::2, ::2] < 0.45) & (depth > 18) & box
    ventricle = 2.0 * ndimage.distance_transform_edt(~fluid)
    near = ndimage.binary_dilation(brain, ndimage.generate_binary_structure(3, 3))
    return Template(origin, gm, wm, depth.astype(np.float32), ventricle.astype(np.float32), near)


@dataclass(frozen=True)
class Push:
    """Tissue displaced outwards around a growing mass, most at its radius, fading with distance and to the skull."""

    centre_mm: NDArray[np.float64]
    radius_mm: float
    amount_mm: float

    def strength(self, distance_mm: NDArray[np.floating]) -> NDArray[np.floating]:
        """Displacement in mm at a distance from the centre, skull not considered."""
        outside = np.maximum(distance_mm - self.radius_mm, 0)
        inside = np.minimum(distance_mm / self.radius_mm, 1)
        result: NDArray[np.floating] = self.amount_mm * inside * np.exp(-outside / 28.0)
        return result


def _skull_room(offsets: list[NDArray[np.floating]]) -> NDArray[np.floating]:
    """1 at the centre of the head, 0 at the skull; offsets are coordinates relative to the head's centre."""
    radius2 = sum((o / a) ** 2 for o, a in zip(offsets, _SEMI_AXES, strict=True))
    return np.clip(1.0 - np.asarray(radius2) ** 2, 0, 1)


@dataclass(frozen=True)
class Warp:
    """Map from subject to template space: `x + linear(x) + waves(x) + ventricles(x) - pushes(x)`, all in mm.

    Attributes:
        linear: (3, 3) deviation of the linear part from identity.
        shift_mm: (3,) translation.
        waves: Two sets of three fields: displacement along x, y, z, long waves and short ones.
        amplitudes_mm: Standard deviation of each set.
        ventricle_growth: 0 keeps the template's ventricles; 0.6 enlarges them as in old age.
        pushes: Mass effects.
    """

    linear: NDArray[np.float64]
    shift_mm: NDArray[np.float64]
    waves: tuple[tuple[Waves, Waves, Waves], ...]
    amplitudes_mm: tuple[float, ...]
    ventricle_growth: float
    pushes: tuple[Push, ...] = field(default=())

    @classmethod
    def draw(cls, rng: np.random.Generator, age: float) -> Warp:
        """A random head; `age` from 0 (young) to 1 (old) enlarges the ventricles."""
        # The MNI template is larger than most heads: 1.9 litres inside its mask, 1.5 in the average adult.
        linear = 0.07 * np.eye(3) + rng.normal(0, 0.035, size=(3, 3)) * (0.35 + 0.65 * np.eye(3))
        waves = tuple(
            (Waves.draw(rng, a, b, 16), Waves.draw(rng, a, b, 16), Waves.draw(rng, a, b, 16))
            for a, b in ((95.0, 230.0), (34.0, 90.0))
        )
        growth = float(np.clip(rng.normal(0.05 + 0.5 * age, 0.12), -0.15, 0.65))
        return cls(linear, rng.normal(0, 2.0, size=3), waves, (3.0, 1.3), growth)

    def on(self, lattice: Lattice) -> tuple[list[Floats], list[Floats]]:
        """Template coordinates on a lattice, three (X, Y, Z) arrays each: with mass effect, and without."""
        axes = [np.asarray(a) for a in lattice.axes()]
        rest = []
        offsets = [a - c for a, c in zip(axes, _CENTRE, strict=True)]
        grown = self._ventricle_field(axes)
        for axis in range(3):
            moved = sum(self.linear[axis, k] * offsets[k] for k in range(3)) + axes[axis] + self.shift_mm[axis]
            for amplitude, fields in zip(self.amplitudes_mm, self.waves, strict=True):
                moved = moved + amplitude * fields[axis].on(lattice)
            rest.append(np.asarray(moved - grown[axis], dtype=np.float32))
        if not self.pushes:
            return rest, rest
        pushed = [values.copy() for values in rest]
        room = _skull_room(offsets)
        for push in self.pushes:
            away = [a - c for a, c in zip(axes, push.centre_mm, strict=True)]
            distance = np.sqrt(sum(o**2 for o in away) + 1e-6)
            factor = (push.strength(distance) / distance * room).astype(np.float32)
            for axis in range(3):
                pushed[axis] -= (factor * away[axis]).astype(np.float32)
        return pushed, rest

    def _ventricle_field(self, axes: list[NDArray[np.floating]]) -> list[NDArray[np.floating]]:
        total: list[NDArray[np.floating]] = [np.zeros(1), np.zeros(1), np.zeros(1)]
        for centre in _VENTRICLES:
            away = [a - c for a, c in zip(axes, centre, strict=True)]
            bump = np.exp(-0.5 * sum((o / r) ** 2 for o, r in zip(away, _VENTRICLE_REACH, strict=True)))
            weight = (1.0, 0.3, 1.0)
            total = [t + self.ventricle_growth * weight[k] * away[k] * bump for k, t in enumerate(total)]
        return total

    def at(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Template coordinates of subject points (N, 3), mass effect left out."""
        moved = points + (points - _CENTRE) @ self.linear.T + self.shift_mm
        for amplitude, fields in zip(self.amplitudes_mm, self.waves, strict=True):
            moved = moved + amplitude * np.stack([f.at(points) for f in fields], axis=1)
        grown = self._ventricle_field([points[:, k] for k in range(3)])
        return np.asarray(moved - np.stack(np.broadcast_arrays(*grown), axis=1), dtype=np.float64)

    def subject_point(self, template_point: NDArray[np.float64]) -> NDArray[np.float64]:
        """The subject point (3,) that maps to a template point, mass effect left out."""
        point = template_point.copy()
        for _ in range(25):
            point = point + 0.8 * (template_point - self.at(point[None])[0])
        return point

    def displacement(self, point: NDArray[np.float64]) -> NDArray[np.float64]:
        """How far the masses moved the tissue at a subject point (3,), in mm."""
        moved = np.zeros(3)
        for push in self.pushes:
            away = point - push.centre_mm
            distance = np.linalg.norm(away) + 1e-6
            room = _skull_room([np.asarray(o) for o in point - _CENTRE])
            moved += float(push.strength(np.asarray(distance)) * room) * away / distance
        return moved


@dataclass(frozen=True)
class Tissues:
    """Healthy tissue at the brain voxels of a lattice; every array has one entry a brain voxel.

    Attributes:
        lattice: Where.
        brain: (X, Y, Z) boolean mask; its True voxels in C order are the entries below.
        points_mm: (N, 3) subject coordinates.
        place_mm: (N, 3) template coordinates before mass effect.
        csf: Fraction of fluid; csf + gm + wm = 1.
        gm: Fraction of grey matter.
        wm: Fraction of white matter.
        depth_mm: Distance to the brain's surface in the template.
        ventricle_mm: Distance to the ventricles in the template.
    """

    lattice: Lattice
    brain: NDArray[np.bool_]
    points_mm: Floats
    place_mm: Floats
    csf: Floats
    gm: Floats
    wm: Floats
    depth_mm: Floats
    ventricle_mm: Floats


@dataclass(frozen=True)
class Head:
    """A healthy head: its warp, and how wide its sulci and how sharp its tissue borders are.

    Attributes:
        warp: Subject to template.
        sulci: Field that varies the width of sulci from place to place.
        atrophy: Weight of fluid against tissue, 1 for the young.
        strip: Field that varies where the brain was cut from the skull.
    """

    warp: Warp
    sulci: Waves
    atrophy: float
    strip: Waves

    @classmethod
    def draw(cls, rng: np.random.Generator, age: float) -> Head:
        """A random head of a relative age from 0 to 1."""
        warp = Warp.draw(rng, age)
        return cls(warp, Waves.draw(rng, 9, 30, 40), float(1.25 + 1.0 * age), Waves.draw(rng, 25, 80, 16))

    def on(self, lattice: Lattice) -> Tissues:
        """The healthy tissue on a lattice, mass effect included."""
        maps = template()
        pushed, rest = self.warp.on(lattice)
        grid = [(p - o) / 2.0 for p, o in zip(pushed, maps.origin_mm, strict=True)]
        strip = self.strip.on(lattice)
        cells = [np.clip(np.rint(g), 0, n - 1).astype(np.intp) for g, n in zip(grid, maps.depth.shape, strict=True)]
        near = maps.near[cells[0], cells[1], cells[2]]  # the costly interpolation is for these only
        deep = np.zeros(lattice.shape, dtype=np.float32)
        deep[near] = ndimage.map_coordinates(maps.depth, [g[near] for g in grid], order=1)
        brain = deep > np.maximum(1.0 + 0.5 * strip, 0.2)
        place = [p[brain] for p in pushed]
        fine = [(p - o) for p, o in zip(place, maps.origin_mm, strict=True)]
        gm = ndimage.map_coordinates(maps.gm, fine, order=1)
        wm = ndimage.map_coordinates(maps.wm, fine, order=1)
        csf = np.clip(1.0 - gm - wm, 0, 1)
        # The maps are averages of many people. Squaring the fractions makes one person's sharp borders of them; the
        # field opens a sulcus here and closes one there.
        gm, wm = gm**2.2, wm**2.2
        csf = (self.atrophy * csf) ** 2.0 * np.exp(0.7 * self.sulci.on(lattice)[brain])
        total = np.maximum(csf + gm + wm, 1e-6)
        voxels = [np.broadcast_to(a, lattice.shape)[brain] for a in lattice.axes()]
        coarse = [f / 2.0 for f in fine]
        return Tissues(
            lattice=lattice,
            brain=brain,
            points_mm=np.stack(voxels, axis=1),
            place_mm=np.stack([r[brain] for r in rest], axis=1),
            csf=csf / total,
            gm=gm / total,
            wm=wm / total,
            depth_mm=deep[brain],
            ventricle_mm=ndimage.map_coordinates(maps.ventricle, coarse, order=1),
        )
