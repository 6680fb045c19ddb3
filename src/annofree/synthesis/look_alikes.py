"""Healthy findings that are bright and are no tumour, on the 2 mm grid; they appear beside tumours as well."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as functional
from torch import Tensor

from annofree.synthesis.bank import FRAME_CENTRE_MM
from annofree.synthesis.growth import level_for_volume
from annofree.synthesis.matter import Matter, blurred
from annofree.synthesis.seeds import Seeds
from annofree.synthesis.settings import LookAlikes


def near_ventricles(matter: Matter) -> Tensor:
    """A value (X, Y, Z) that falls with the distance from the ventricles, roughly its logarithm in mm, negated."""
    ventricle, below = matter.groups("ventricle", "cerebellum")
    small = functional.avg_pool3d((ventricle * (matter.source_mm[2] > -14.0))[None, None], 2)[0, 0]
    total = torch.zeros_like(small)
    for times in (1, 3, 5):
        small = blurred(small, times)
        total = total + small
    wide = functional.interpolate(total[None, None], scale_factor=2, mode="trilinear", align_corners=False)[0, 0]
    return torch.log(wide.clamp_min(1e-4)) * (below < 0.3)


def hyperintensities(matter: Matter, seeds: Seeds, settings: LookAlikes) -> tuple[Tensor, dict[str, float]]:
    """Soft fraction (X, Y, Z) of white-matter hyperintensities, and their requested volumes.

    Periventricular ones are confluent, up to 60 ml, in most people nearly symmetric and in some much larger on one
    side; caps sit at the horns because these are the places nearest to the ventricles; spots and ovoid plaques lie
    anywhere in white matter. The lining of the ventricles and a faint haze around them are bright in most people.
    """
    white, below, stem = matter.groups("white", "cerebellum", "stem")
    nearness = near_ventricles(matter)
    room = (white > 0.5) & (below < 0.3)
    voxel_ml = matter.spacing_mm**3 / 1000.0
    out = torch.zeros_like(white)
    drawn: dict[str, float] = {}
    own = seeds.stream("periventricular")
    if own.happens(0.6) and settings.periventricular:
        volume = own.log_uniform(0.8, 60.0)
        noise = own.smooth(matter.shape, own.uniform(4.0, 10.0))[0]
        alike = own.uniform(0.0, 1.0)
        noise = alike * 0.5 * (noise + noise.flip(0)) * math.sqrt(2.0) + (1 - alike) * noise
        detail = own.smooth(matter.shape, 2.5)[0]
        score = -(nearness + own.uniform(0.3, 1.0) * noise + own.uniform(0.1, 0.4) * detail)
        if own.happens(0.35):
            score = score + own.uniform(-0.8, 0.8) * (2.0 * matter.right.float() - 1.0)
        out = torch.maximum(out, _soft(score, room, volume / voxel_ml, own.uniform(0.15, 0.5)))
        drawn["periventricular_ml"] = volume
    own = seeds.stream("spots")
    if own.happens(0.6) and settings.spots:
        volume = own.log_uniform(0.2, 12.0)
        size = own.uniform(2.0, 5.0)
        score = -(own.smooth(matter.shape, size)[0] + own.uniform(0.0, 0.8) * nearness)
        out = torch.maximum(out, _soft(score, room, volume / voxel_ml, own.uniform(0.1, 0.4)))
        drawn["spots_ml"] = volume
    own = seeds.stream("lining")
    if own.happens(0.75) and settings.periventricular:
        ventricle = matter.groups("ventricle")[0]
        seam = (blurred(ventricle) - 0.6 * ventricle).clamp_min(0.0) * (matter.source_mm[2] > -14.0)
        patchy = (1.0 + 0.5 * own.smooth(matter.shape, 6.0)[0]).clamp(0.0, 2.0)
        out = torch.maximum(out, own.uniform(0.2, 2.2) * seam * patchy).clamp_max(1.0)
    own = seeds.stream("haze")
    if own.happens(0.4) and settings.periventricular:
        reach = torch.sigmoid((nearness - own.uniform(-2.5, -0.5)) * 2.0)
        out = torch.maximum(out, own.uniform(0.05, 0.35) * reach * (below < 0.3))
    return out * (white + stem * 0.3).clamp_max(1.0), drawn


def _soft(score: Tensor, room: Tensor, voxels: float, width: float) -> Tensor:
    level = level_for_volume(score, room, voxels)
    return (0.5 + (level - score) / width).clamp(0.0, 1.0) * room


def vessel_tubes(shape: tuple[int, int, int], spacing_mm: float, seeds: Seeds) -> Tensor:
    """Thin tubes (X, Y, Z) in 0..1: where two smooth noises cross zero together."""
    cell = seeds.uniform(12.0, 20.0) / spacing_mm
    one, two = seeds.smooth(shape, cell, 2)
    width = seeds.uniform(0.05, 0.12)
    return torch.exp(-(one.square() + two.square()) / width**2)


def bright_regions(matter: Matter, seeds: Seeds) -> Tensor:
    """Relative FLAIR gain (X, Y, Z) of grey matter in the insula, temporal pole, cingulate and medial temporal lobe."""
    x, y, z = (matter.source_mm[i] + FRAME_CENTRE_MM[i] for i in range(3))
    side = x.abs()
    total = torch.zeros_like(x)
    for centre, reach in (
        ((38.0, 3.0, 2.0), (9.0, 20.0, 14.0)),
        ((35.0, 12.0, -30.0), (16.0, 14.0, 12.0)),
        ((5.0, 20.0, 25.0), (9.0, 35.0, 20.0)),
        ((24.0, -12.0, -20.0), (12.0, 18.0, 10.0)),
    ):
        a, b, c = (((axis - m) / r).square() for axis, m, r in zip((side, y, z), centre, reach, strict=True))
        total = total + seeds.uniform(0.0, 0.3) * torch.exp(-0.5 * (a + b + c))
    return total


def pituitary(matter: Matter) -> Tensor:
    """Soft blob (X, Y, Z) at the pituitary, which takes up contrast."""
    x, y, z = (matter.source_mm[i] + FRAME_CENTRE_MM[i] for i in range(3))
    offset = (x / 6.0).square() + ((y - 1.0) / 5.0).square() + ((z + 32.0) / 4.0).square()
    return torch.exp(-offset.square())
