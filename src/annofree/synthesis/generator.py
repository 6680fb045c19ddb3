"""Made cases: a brain from a label map, with or without tumours, as a scanner would show it.

The order is that of nature and the clinic: anatomy, tumour, tissue contrast, healthy look-alikes, and only then the
acquisition, which treats every case alike.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from annofree.borders import BORDERS
from annofree.synthesis import acquisition, resample
from annofree.synthesis.bank import FRAME_CENTRE_MM, BrainMap, LabelMapBank
from annofree.synthesis.contrast import TumourLook
from annofree.synthesis.deform import (
    COARSE_MM,
    FINE_MM,
    FINE_SHAPE,
    draw_source,
    finer,
    push_aside,
)
from annofree.synthesis.look_alikes import hyperintensities
from annofree.synthesis.matter import Matter, blurred, look_up
from annofree.synthesis.paint import paint
from annofree.synthesis.plan import TumourPlan, draw_plans
from annofree.synthesis.seeds import Seeds
from annofree.synthesis.settings import SynthesisSettings
from annofree.synthesis.tumour import Grown, fractions, grow_all, joined, labels_of, permitted


@dataclass(frozen=True)
class MadeCase:
    """One made case.

    Attributes:
        images: (4, X, Y, Z) float32 in the order T1, T1C, T2, FLAIR; 0 outside the brain, scanner's arbitrary scale.
        brain: (X, Y, Z) bool brain mask, with errors.
        labels: (X, Y, Z) uint8 BraTS 2023 labels: 0, 1 core, 2 oedema, 3 enhancing.
        spacing_mm: Voxel size.
        origin_mm: (3,) position of the first voxel's centre relative to the frame's middle, RAS mm.
        meta: What was drawn, requested and realised; plain values.
    """

    images: Tensor
    brain: Tensor
    labels: Tensor
    spacing_mm: float
    origin_mm: tuple[float, float, float]
    meta: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Window:
    """Part of the 2 mm frame to be rendered, at 2 mm or at 1 mm."""

    start: tuple[int, int, int]
    size: tuple[int, int, int]
    spacing_mm: float

    def zoom(self, values: Tensor) -> Tensor:
        """Cut the window out of (C, 80, 96, 80) and bring it to the window's spacing."""
        if self.spacing_mm == FINE_MM:
            (x, y, z), (a, b, c) = self.start, self.size
            return values[:, x : x + a, y : y + b, z : z + c]
        x, y, z = (n * 2 for n in self.size)
        start = (self.start[0] - 0.25, self.start[1] - 0.25, self.start[2] - 0.25)
        return resample.zoom(values, start, (x, y, z), 0.5)

    def matter(self, brain: BrainMap, fine: Matter) -> Matter:
        """The anatomy in the window; what was looked up on the whole frame at 2 mm serves where that is the window."""
        if self == Window((0, 0, 0), FINE_SHAPE, FINE_MM):
            return fine
        return look_up(brain, self.zoom(fine.source_mm).contiguous(), self.spacing_mm)

    def rendered(self, grown: list[Grown], matter: Matter) -> Tensor | None:
        """Soft fractions (6, X, Y, Z) of all lesions on the window's own grid; None where there is none."""
        parts = []
        for lesion in grown:
            allowed = permitted(matter, extra_axial=lesion.plan.kind == "dural")
            parts.append(fractions(lesion.plan, self.zoom(lesion.depths), self.spacing_mm, allowed))
        return joined(parts) if parts else None

    @classmethod
    def of(cls, case: MadeCase) -> Window:
        """The window that a case was rendered in."""
        size = [round(n * case.spacing_mm / FINE_MM) for n in case.brain.shape]
        first = [
            round((o - case.spacing_mm / 2) / FINE_MM + n / 2) for o, n in zip(case.origin_mm, FINE_SHAPE, strict=True)
        ]
        return cls((first[0], first[1], first[2]), (size[0], size[1], size[2]), case.spacing_mm)

    @property
    def origin_mm(self) -> tuple[float, float, float]:
        """Centre of the first voxel relative to the frame's middle."""
        edge = [-n * FINE_MM / 2 + s * FINE_MM for n, s in zip(FINE_SHAPE, self.start, strict=True)]
        x, y, z = (e + self.spacing_mm / 2 for e in edge)
        return x, y, z


@torch.no_grad()
def make_case(
    bank: LabelMapBank,
    settings: SynthesisSettings | None = None,
    seed: int = 0,
    *,
    device: torch.device | str = "cpu",
    spacing_mm: float = 2.0,
    around: str = "brain",
    size: int = 96,
) -> MadeCase:
    """Make one case; the seed decides everything.

    Args:
        bank: Anatomies.
        settings: What to make; the default makes everything.
        seed: Seed of the case.
        device: Where to compute.
        spacing_mm: 2.0 or 1.0.
        around: "brain" renders the whole frame, 160 x 192 x 160 mm; "lesion" a cube of ``size`` voxels around a
            finding (anywhere in the brain for a tumour-free case), moved at random by up to a fifth of its side.
        size: Side of that cube in voxels.
    """
    settings = settings or SynthesisSettings()
    if spacing_mm not in (1.0, 2.0):
        raise ValueError(f"spacing_mm must be 1.0 or 2.0, not {spacing_mm}")
    device = torch.device(device)
    seeds = Seeds(seed, "case", device)
    brain = bank.maps[seeds.stream("map").integer(0, len(bank) - 1)]
    plans = draw_plans(Seeds(seed, "case/tumours", device), settings.tumours)
    source, drawn = draw_source(seeds.stream("anatomy"), settings.anatomy)
    fine, centres, grown = grow_in(brain, source, plans, seeds)
    window = window_of(around, size, spacing_mm, centres, fine, seeds.stream("window"))
    spots, spots_drawn = hyperintensities(fine, seeds.stream("look_alikes"), settings.look_alikes)

    matter, spots = window.matter(brain, fine), window.zoom(spots[None])[0]
    fraction = window.rendered(grown, matter)
    images, look = paint(matter, fraction, plans, spots, seeds.stream("paint"), settings)
    images, mask = _acquire(images, matter, seeds.stream("acquisition"), settings)
    labels = torch.zeros(matter.shape, dtype=torch.uint8, device=device)
    if fraction is not None and look is not None:
        labels = drawn_labels(fraction, look, spacing_mm, seeds.stream("acquisition"), settings) * mask
    meta = _meta(seed, brain, plans, centres, drawn, spots_drawn, labels, spacing_mm)
    return MadeCase(images * mask, mask, labels, spacing_mm, window.origin_mm, meta)


def drawn_labels(
    fraction: Tensor,
    look: TumourLook,
    spacing_mm: float,
    acquired: Seeds,
    settings: SynthesisSettings,
    *,
    sliced: bool = True,
) -> Tensor:
    """Labels (X, Y, Z) of soft tumour fractions (6, X, Y, Z), by the rule of the settings.

    `acquired` is the stream of the acquisition, which decides how thick the slices are; `sliced` says whether it
    averages over them.
    """
    rule = settings.tumours.borders
    if rule == "visible" and not look.core_seen:
        # nobody can draw a core that looks like what surrounds it
        fraction = torch.cat([fraction[:2].sum(0, keepdim=True), torch.zeros_like(fraction[:1]), fraction[2:]])
    if rule == "visible" and sliced:
        fraction = acquisition.through_slices(fraction, spacing_mm, acquired.stream("optics"), settings.acquisition)
    return labels_of(fraction, BORDERS[rule])


def grow_in(
    brain: BrainMap, source: Tensor, plans: list[TumourPlan], seeds: Seeds
) -> tuple[Matter, list[Tensor], list[Grown]]:
    """Choose the centres, push tissue aside, look the anatomy up on the 2 mm grid, and let the tumours grow."""
    centres: list[Tensor] = []
    if plans:
        before = look_up(brain, source, COARSE_MM)
        centres = draw_centres(plans, before, seeds)
        masses = [(centre, plan.radius_mm, plan.push_mm) for plan, centre in zip(plans, centres, strict=True)]
        source = push_aside(source, masses)
    fine = look_up(brain, finer(source), FINE_MM)
    grown = grow_all(plans, centres, look_up(brain, source, COARSE_MM), fine, seeds) if plans else []
    return fine, centres, grown


def window_of(around: str, size: int, spacing_mm: float, centres: list[Tensor], fine: Matter, own: Seeds) -> Window:
    """The whole frame, or a cube of `size` voxels around one of the centres, as `make_case` says."""
    if around == "brain":
        return Window((0, 0, 0), FINE_SHAPE, spacing_mm)
    if around != "lesion":
        raise ValueError(f"around must be 'brain' or 'lesion', not {around!r}")
    cells = round(size * spacing_mm / FINE_MM)
    centre = centres[own.integer(0, len(centres) - 1)] if centres else draw_centre(fine, "lobar", own)
    start = []
    for axis, limit in enumerate(FINE_SHAPE):
        middle = float(centre[axis]) / FINE_MM + limit / 2 + own.uniform(-0.2, 0.2) * cells
        start.append(int(min(max(0, round(middle - cells / 2)), limit - cells)))
    return Window((start[0], start[1], start[2]), (cells, cells, cells), spacing_mm)


def _acquire(images: Tensor, matter: Matter, seeds: Seeds, settings: SynthesisSettings) -> tuple[Tensor, Tensor]:
    own, spacing = settings.acquisition, matter.spacing_mm
    mask = acquisition.brain_mask(matter.depth_mm, spacing, seeds.stream("mask"), own)
    mask = acquisition.missing_slab(mask, spacing, seeds.stream("slab"), own)
    images = acquisition.bias_field(images, spacing, seeds.stream("bias"), own)
    images = acquisition.noise(images, spacing, seeds.stream("noise"), own)
    images = acquisition.optics(images, spacing, seeds.stream("optics"), own)
    return acquisition.digitise(images, seeds.stream("digitise"), own), mask


def _meta(
    seed: int,
    brain: BrainMap,
    plans: list[TumourPlan],
    centres: list[Tensor],
    drawn: dict[str, Any],
    spots: dict[str, float],
    labels: Tensor,
    spacing_mm: float,
) -> dict[str, Any]:
    voxel_ml = spacing_mm**3 / 1000.0
    counts = torch.bincount(labels.reshape(-1).to(torch.int64), minlength=4).tolist()
    meta: dict[str, Any] = {"seed": seed, "map": brain.name, "lesions": len(plans), **drawn, **spots}
    meta["requested_wt_ml"] = sum(p.whole_ml for p in plans)
    meta["requested_tc_ml"] = sum(p.core_ml for p in plans)
    meta["wt_ml"] = sum(counts[1:]) * voxel_ml
    meta["tc_ml"] = (counts[1] + counts[3]) * voxel_ml
    meta["et_ml"] = counts[3] * voxel_ml
    for i, (plan, centre) in enumerate(zip(plans, centres, strict=True)):
        meta.update({f"lesion{i}_{key}": value for key, value in vars(plan).items()})
        meta.update({f"lesion{i}_{axis}_mm": float(v) for axis, v in zip("xyz", centre, strict=True)})
    return meta


def affine_of(case: MadeCase) -> np.ndarray[Any, Any]:
    """Voxel to mm (RAS+, roughly MNI space) of a made case, 4 x 4."""
    affine = np.diag([case.spacing_mm] * 3 + [1.0])
    affine[:3, 3] = np.add(case.origin_mm, FRAME_CENTRE_MM)
    return affine


PLACES = ("lobar", "callosum", "deep", "cerebellum", "brainstem", "dural")


def weights(matter: Matter, place: str) -> Tensor:
    """Probability weights of a tumour's centre, (X, Y, Z).

    Lobar gliomas favour the frontal and temporal lobes and the insula and are rare in the occipital lobe
    (Larjavaara et al., Neuro-Oncology 2007: frontal 40 %, temporal 29 %, parietal 14 %, occipital 3 %).
    """
    white, cortex, deep, stem, csf, below = matter.groups("white", "cortex", "deep", "stem", "csf", "cerebellum")
    depth = matter.depth_mm
    x, y, z = (matter.source_mm[i] + FRAME_CENTRE_MM[i] for i in range(3))
    above = ((stem < 0.3) & (below < 0.3)).float()
    if place == "lobar":
        prior = torch.where(y > 5, 1.3, 1.0) * torch.where(y < -68, 0.35, 1.0)
        prior = prior * torch.where((z < -2) & (y > -45), 1.5, 1.0)
        # a mass starts in tissue and pushes ventricles away, it does not swallow them
        clear = torch.exp(-8.0 * blurred(matter.groups("ventricle")[0], 2))
        out = (white + 0.6 * cortex) * prior * above * clear * (depth > 4.0)
    elif place == "callosum":
        out = (white > 0.7) * (x.abs() < 12.0) * above * (z > 5) * (depth > 8.0)
    elif place == "deep":
        out = (deep > 0.5).float()
    elif place == "cerebellum":
        out = below * (depth > 5.0)
    elif place == "brainstem":
        out = (stem > 0.7) * (depth > 3.0)
    elif place == "dural":
        out = (cortex + csf) * (depth > -1.0) * (depth < 4.0) * above
    else:
        raise ValueError(f"unknown place {place!r}, known: {', '.join(PLACES)}")
    out = out.float()
    if float(out.sum()) <= 0:
        out = ((white + cortex) * (depth > 4.0)).float()
    return out


def draw_centre(matter: Matter, place: str, seeds: Seeds) -> Tensor:
    """A centre in mm relative to the frame's middle, (3,)."""
    flat = seeds.index(weights(matter, place))
    x, y, z = matter.shape
    index = torch.tensor([flat // (y * z), flat // z % y, flat % z], dtype=torch.float32, device=matter.depth_mm.device)
    size = torch.tensor([x, y, z], dtype=torch.float32, device=index.device)
    jitter = torch.tensor(seeds.uniforms(-0.5, 0.5, 3), dtype=torch.float32, device=index.device)
    return (index + jitter - (size - 1) / 2) * matter.spacing_mm


def draw_centres(plans: list[TumourPlan], matter: Matter, seeds: Seeds) -> list[Tensor]:
    """A centre for each tumour; those that are planned near lie about the first one."""
    centres: list[Tensor] = []
    for i, plan in enumerate(plans):
        own = seeds.stream(f"centre{i}")
        if plan.place == "near" and centres:
            offset = own.normals(3)
            offset *= (plans[0].radius_mm + own.uniform(8.0, 25.0)) / float((offset**2).sum() ** 0.5)
            centres.append(centres[0] + torch.tensor(offset, dtype=torch.float32, device=centres[0].device))
        else:
            centres.append(draw_centre(matter, plan.place, own))
    return centres
