"""From a plan to soft tissue fractions in a made brain.

Label rule: a voxel belongs to a region where the soft fraction of that region reaches the share of `annofree.borders`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as functional
from torch import Tensor

from annofree.borders import Border
from annofree.synthesis.deform import COARSE_MM, FINE_MM, finer, grid_mm
from annofree.synthesis.growth import FAR, arrival, compartments, level_for_volume
from annofree.synthesis.matter import Matter
from annofree.synthesis.plan import TumourPlan
from annofree.synthesis.seeds import Seeds

COMPARTMENTS = ("oedema", "solid", "rim", "necrosis", "cyst", "blood")
NEVER = -60.0


@dataclass(frozen=True)
class Grown:
    """One lesion on the 2 mm grid, before it is turned into fractions.

    Attributes:
        plan: As requested.
        depths: (6, X, Y, Z) mm, positive inside: everything, core, enhancing part, dead tissue, cyst, blood.
    """

    plan: TumourPlan
    depths: Tensor


def grow(
    plan: TumourPlan, centre_mm: Tensor, coarse: Matter, fine: Matter, allowed: Tensor, taken: Tensor, seeds: Seeds
) -> Grown:
    """Grow one lesion about a centre (3,) where it is allowed and not yet taken, (X, Y, Z) boolean on the fine grid.

    `coarse` and `fine` are the brain on grids of 4 and 2 mm, mass effect included.
    """
    device = centre_mm.device
    where = grid_mm(fine.shape, fine.spacing_mm, device) - centre_mm[:, None, None, None]
    radius = plan.radius_mm if plan.grown else plan.whole_radius_mm
    reach = 2.6 * radius * plan.elongation + 12.0
    box = _box(where, reach)
    voxel_ml = fine.spacing_mm**3 / 1000.0

    space = compartments(coarse)
    home = _home(space, coarse, centre_mm)
    closed = (space != home) & (space < 3) if home < 3 else torch.zeros_like(space, dtype=torch.bool)
    foreign = functional.interpolate(closed[None, None].float(), scale_factor=2, mode="trilinear")[0, 0]

    depth = noisy_ellipsoid(
        where[(slice(None), *box)],
        seeds.stream("shape"),
        volume_ml=plan.core_ml,
        elongation=plan.elongation,
        roughness=plan.roughness,
    )
    depth = depth - 25.0 * (foreign[box] - 0.3).clamp_min(0.0)
    may = allowed[box] & ~taken[box]
    level = level_for_volume(-depth, may, plan.core_ml / voxel_ml)
    core = torch.full(fine.shape, NEVER, device=device)
    core[box] = depth + level

    whole = core.clone()
    oedema_ml = plan.whole_ml - plan.core_ml
    if oedema_ml > voxel_ml and not plan.grown:
        whole[box] = depth + level_for_volume(-depth, may, plan.whole_ml / voxel_ml)
    elif oedema_ml > voxel_ml:
        time = _spread(plan, core, coarse, fine, space, seeds.stream("oedema"))
        inner = core >= 0
        level = level_for_volume(time, allowed & ~inner & ~taken, oedema_ml / voxel_ml)
        whole = torch.maximum(core, (level - time).clamp_min(NEVER))
    return _inside(plan, whole, core, box, may, seeds)


def grow_all(plans: list[TumourPlan], centres: list[Tensor], coarse: Matter, fine: Matter, seeds: Seeds) -> list[Grown]:
    """Tumours one after the other, none where another has grown."""
    grown: list[Grown] = []
    taken = torch.zeros(fine.shape, dtype=torch.bool, device=fine.depth_mm.device)
    for i, (plan, centre) in enumerate(zip(plans, centres, strict=True)):
        allowed = permitted(fine, extra_axial=plan.kind == "dural")
        lesion = grow(plan, centre, coarse, fine, allowed, taken, seeds.stream(f"lesion{i}"))
        taken = taken | (lesion.depths[0] >= 0)
        grown.append(lesion)
    return grown


def _home(space: Tensor, coarse: Matter, centre_mm: Tensor) -> int:
    """Compartment of the open voxel nearest to the centre."""
    distance = (grid_mm(coarse.shape, COARSE_MM, centre_mm.device) - centre_mm[:, None, None, None]).square().sum(0)
    distance = torch.where(space == 4, FAR, distance)
    return int(space.reshape(-1)[int(distance.argmin())])


def _box(where: Tensor, reach: float) -> tuple[slice, ...]:
    out = []
    for axis in range(3):
        line = where[axis].amax(dim=[d for d in range(3) if d != axis])
        inside = torch.nonzero(line.abs() <= reach)
        out.append(slice(int(inside[0]), int(inside[-1]) + 1) if inside.numel() else slice(0, line.numel()))
    return tuple(out)


def _spread(plan: TumourPlan, core: Tensor, coarse: Matter, fine: Matter, space: Tensor, seeds: Seeds) -> Tensor:
    """Arrival of the oedema front on the fine grid, in mm of white matter."""
    white, cortex, deep, stem, csf = coarse.groups("white", "cortex", "deep", "stem", "csf")
    cost = white + plan.cortex_cost * cortex + 2.5 * deep + 1.6 * stem + 5.0 * csf
    cost = cost.clamp_min(0.6) * torch.exp(plan.fingers * seeds.smooth(coarse.shape, 2.5)[0])
    coarse_core = functional.avg_pool3d(core[None, None], 2)[0, 0]
    seed = coarse_core > 0
    if not bool((seed & (space != 4)).any()):
        open_core = torch.where(space == 4, 2 * NEVER, coarse_core)
        seed = open_core >= open_core.max()
    extent = (plan.whole_ml * 1000.0 * 0.75 / 3.14) ** (1 / 3) * 2.0 - plan.radius_mm * 0.6
    time = arrival(cost, space, seed, COARSE_MM, max(4, min(24, int(extent / COARSE_MM) + 2)))
    # inside the core the front lies behind: let it go on negative, so that interpolation places the border well
    time = torch.where(seed, torch.minimum(time, -coarse_core.clamp_min(0.0)), time)
    for _ in range(2):
        near = -functional.max_pool3d(-time[None, None], 3, stride=1, padding=1)[0, 0]
        time = torch.where(time > FAR / 2, near + COARSE_MM, time)
    time = finer(time.clamp_max(300.0)[None])[0]
    fine_cortex, fine_csf = fine.groups("cortex", "csf")
    hold = (plan.cortex_cost - 1.0) * 2.0
    time = time + hold * (fine_cortex - 0.3).clamp_min(0.0) + 6.0 * fine_csf
    ripple = 0.8 + plan.fingers * 2.0
    time = time + ripple * seeds.smooth(fine.shape, 4.0)[0]
    return torch.where(time > 250.0, FAR, time)


def _inside(plan: TumourPlan, whole: Tensor, core: Tensor, box: tuple[slice, ...], may: Tensor, seeds: Seeds) -> Grown:
    """Rim, necrosis, cyst and blood within the core; `may` says where in the box there may be tumour."""
    size = [int(n) for n in core[box].shape]
    depths = torch.full((6, *core.shape), NEVER, device=core.device)
    depths[0], depths[1] = whole, core
    rim, necrosis, cyst, blood = depths[2:]
    depth = core[box]
    own = seeds.stream("rim")
    uneven, blobs, patches = own.smooth(size, 4.0, 1)[0], own.smooth(size, 5.0, 1)[0], own.smooth(size, 7.0, 1)[0]
    margin = own.uniform(0.0, 2.5) if own.happens(0.3) else 0.0
    thickness = plan.rim_mm * torch.exp(0.45 * uneven)
    inner = depth - margin
    if plan.rim != "none":
        if plan.rim == "ring":
            found = torch.minimum(inner, thickness - inner)
        elif plan.rim == "nodular":
            found = torch.minimum(inner, torch.maximum(thickness - inner, 4.0 * (blobs - own.uniform(0.3, 1.2))))
        elif plan.rim == "mural":
            found = torch.minimum(inner, _nodule((inner > 0) & may, 3.0 * blobs, own))
            if own.happens(0.5):  # the wall of many such cysts does not enhance
                found = torch.maximum(found, torch.minimum(inner, thickness - inner))
        elif plan.rim == "patchy":
            found = torch.minimum(inner, 4.0 * (patches - own.uniform(0.0, 1.3)))
        else:
            found = torch.minimum(inner, 5.0 * (own.uniform(0.9, 2.5) - blobs))
        if plan.rim in ("ring", "nodular") and own.happens(0.4):
            found = torch.minimum(found, 4.0 * (patches + own.uniform(0.2, 1.2)))
        rim[box] = found
        if plan.necrosis:
            solid_band = own.uniform(0.0, 3.0) if own.happens(0.4) else 0.0
            necrosis[box] = torch.minimum(-found - 0.5, inner - solid_band)
    elif plan.necrosis:
        necrosis[box] = torch.minimum(depth - 3.0, 4.0 * (blobs - own.uniform(0.5, 1.2)))
    own = seeds.stream("cyst")
    if plan.cyst > 0:
        bulk = depth - 1.5 + 3.0 * own.smooth(size, 8.0)[0]
        room = depth > 1.5
        level = level_for_volume(-bulk, room, plan.cyst * float(room.sum())) if bool(room.any()) else 0.0
        cyst[box] = torch.minimum(bulk + level, depth - 1.0)
    own = seeds.stream("blood")
    if plan.blood:
        blood[box] = torch.minimum(depth - 1.0, 3.0 * (own.smooth(size, 4.0)[0] - own.uniform(0.8, 1.6)))
    return Grown(plan, depths)


def uniform_rotation(seeds: Seeds, device: torch.device | str) -> Tensor:
    """A rotation uniform on SO(3), by a normalised Gaussian quaternion (Shoemake 1992)."""
    q = seeds.normals(4)
    w, x, y, z = q / np.linalg.norm(q)
    matrix = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return torch.tensor(matrix, dtype=torch.float32, device=device)


def noisy_ellipsoid(
    points_mm: Tensor, seeds: Seeds, *, volume_ml: float, elongation: float, roughness: float
) -> Tensor:
    """Signed depth (mm, positive inside) below the surface of a noisy ellipsoid centred at the origin.

    The surface in direction d is ``|A^-1 d|^-1 * exp(s(d))``, with ``A`` a rotated diagonal matrix and ``s`` a sum of
    random plane waves on the unit sphere (amplitude falling with frequency): a blob of any shape at no cost of memory.

    Args:
        points_mm: (3, ...) points relative to the centre.
        seeds: The stream to draw the shape from.
        volume_ml: Volume of the ellipsoid without noise.
        elongation: Longest over shortest half axis, at least 1.
        roughness: Standard deviation of ``s``; 0 gives a plain ellipsoid.
    """
    device = points_mm.device
    middle = elongation ** seeds.uniform(0.0, 1.0)
    ratio = np.array([1.0, middle, elongation])
    radius = (volume_ml * 1000.0 * 3.0 / (4.0 * math.pi)) ** (1 / 3)
    half_axes = radius * ratio / ratio.prod() ** (1 / 3)
    rotation = uniform_rotation(seeds, device)
    flat = points_mm.reshape(3, -1)
    turned = (rotation @ flat) / torch.tensor(half_axes, dtype=torch.float32, device=device)[:, None]
    reach = turned.square().sum(0).sqrt()
    if roughness > 0:
        waves = 20
        frequency = seeds.uniforms(1.0, 7.0, waves)
        direction = seeds.normals(waves * 3).reshape(waves, 3)
        direction *= (frequency / np.linalg.norm(direction, axis=1))[:, None]
        amplitude = frequency**-1.0
        amplitude *= roughness / math.sqrt(0.5 * float((amplitude**2).sum()))
        phase = seeds.uniforms(0.0, 2 * math.pi, waves)
        unit = turned / reach.clamp_min(1e-6)

        def tensor(a: np.ndarray) -> Tensor:  # type: ignore[type-arg]
            return torch.tensor(a, dtype=torch.float32, device=device)

        noise = tensor(amplitude) @ torch.cos(tensor(direction) @ unit + tensor(phase)[:, None])
        reach = reach * torch.exp(-noise)
    depth: Tensor = (1.0 - reach) * radius
    return depth.reshape(points_mm.shape[1:])


def _nodule(inside: Tensor, bumps: Tensor, seeds: Seeds) -> Tensor:
    """Depth in mm within the most outlying tenth or so of what is inside, cut off in a random direction, with bumps."""
    size = (inside.shape[0], inside.shape[1], inside.shape[2])
    direction = uniform_rotation(seeds, inside.device)[0]
    aside = torch.einsum("c,cxyz->xyz", direction, grid_mm(size, FINE_MM, inside.device)) + bumps
    return aside + level_for_volume(-aside, inside, seeds.uniform(0.05, 0.2) * float(inside.sum()))


def fractions(plan: TumourPlan, depths: Tensor, spacing_mm: float, allowed: Tensor) -> Tensor:
    """Soft fraction of every compartment, (6, X, Y, Z) in the order of `COMPARTMENTS`.

    A depth of 0 mm gives a fraction of 0.5; the step is at least as wide as a voxel, which is partial volume.
    """
    whole, core, rim, necrosis, cyst, blood = depths

    def ramp(depth: Tensor, width_mm: float) -> Tensor:
        return (0.5 + depth / max(width_mm, spacing_mm)).clamp(0.0, 1.0)

    whole_f = ramp(whole, plan.border_mm if plan.whole_ml > plan.core_ml * 1.02 else plan.core_border_mm)
    core_f = ramp(core, plan.core_border_mm)
    whole_f = torch.maximum(whole_f, core_f) * allowed
    core_f = core_f * allowed
    rim_f = torch.minimum(ramp(rim, 1.0), core_f)
    rest = core_f - rim_f
    blood_f = torch.minimum(ramp(blood, 1.0), rest)
    rest = rest - blood_f
    cyst_f = torch.minimum(ramp(cyst, 1.0), rest)
    rest = rest - cyst_f
    necrosis_f = torch.minimum(ramp(necrosis, 2.0), rest)
    return torch.stack([whole_f - core_f, rest - necrosis_f, rim_f, necrosis_f, cyst_f, blood_f])


def joined(parts: list[Tensor]) -> Tensor:
    """Fractions of several lesions in one; a later core replaces, a later oedema never covers an earlier core."""
    total = parts[0]
    for part in parts[1:]:
        part = part.clone()
        part[0] *= 1.0 - total[1:].sum(0)
        total = total * (1.0 - part.sum(0)) + part
    return total


def labels_of(fraction: Tensor, border: Border) -> Tensor:
    """BraTS 2023 labels, uint8, of soft fractions (6, X, Y, Z) in the order of `COMPARTMENTS`."""
    whole, core, rim = fraction.sum(0), fraction[1:].sum(0), fraction[2]
    labels = torch.zeros(whole.shape, dtype=torch.uint8, device=whole.device)
    inside = whole >= border.whole
    labels[inside] = 2
    labels[inside & (core >= border.core * (whole if border.of_tumour else 1.0))] = 1
    labels[rim >= border.enhancing] = 3
    return labels


def permitted(matter: Matter, *, extra_axial: bool) -> Tensor:
    """Where tumour may be: inside the brain, in no ventricle, and in outer fluid only where it starts at the dura."""
    csf, ventricle, beyond, vessel = matter.groups("csf", "ventricle", "beyond", "vessel")
    fluid = ventricle + beyond if extra_axial else 0.9 * csf + ventricle + beyond + 0.5 * vessel
    return (fluid < 0.5) & (matter.depth_mm > 0.0)
