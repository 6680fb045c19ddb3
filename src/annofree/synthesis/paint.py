"""Brightness of every voxel before the scanner: tissue, texture, look-alikes, tumour."""

from __future__ import annotations

import torch
from torch import Tensor

from annofree.synthesis import resample
from annofree.synthesis.contrast import TumourLook, bright_lesion, draw_palette, draw_tumour_look
from annofree.synthesis.look_alikes import bright_regions, pituitary, vessel_tubes
from annofree.synthesis.matter import Matter
from annofree.synthesis.plan import TumourPlan
from annofree.synthesis.seeds import Seeds
from annofree.synthesis.settings import SynthesisSettings
from annofree.synthesis.tissues import Tissue


def paint(
    matter: Matter,
    fraction: Tensor | None,
    plans: list[TumourPlan],
    spots: Tensor,
    seeds: Seeds,
    settings: SynthesisSettings,
) -> tuple[Tensor, TumourLook | None]:
    """Images (4, X, Y, Z) in the order T1, T1C, T2, FLAIR, white matter near 1, and how the tumour was painted.

    `fraction` are soft tumour fractions (6, X, Y, Z), `spots` those of healthy hyperintensities (X, Y, Z). The first of
    the plans decides the tumour's brightness.
    """
    look = settings.look_alikes
    palette = draw_palette(seeds.stream("palette"), settings.contrast, look.choroid, look.vessels, look.dura)
    own = seeds.stream("lesion")
    hyper = torch.tensor(bright_lesion(palette, own), dtype=torch.float32, device=matter.depth_mm.device)
    strength = own.uniform(0.0, 1.0)
    white = palette.table[:, Tissue.WHITE]
    table = palette.table.clone()
    table[:, Tissue.WHITE_LESION] = torch.lerp(white, hyper, strength) if look.labelled else white
    images = matter.spread(table)
    cortex, deep, csf, ventricle, white_part = matter.groups("cortex", "deep", "csf", "ventricle", "white")
    grey, fluid = cortex + 0.4 * deep, csf + ventricle

    spacing, shape = matter.spacing_mm, matter.shape
    if settings.contrast.drift:
        own = seeds.stream("drift")
        slow = own.smooth(shape, 30.0 / spacing, 3)
        gain = torch.zeros_like(images)
        gain[3] = grey * (bright_regions(matter, own) + own.uniform(0.0, 0.1) * slow[0])
        gain[3] += white_part * own.uniform(0.0, 0.12) * slow[2]
        for s in range(4):
            gain[s] += (1.0 - fluid) * own.uniform(0.0, 0.06) * slow[1]
        images = images * (1.0 + gain).clamp_min(0.3)
    if settings.contrast.texture:
        own = seeds.stream("texture")
        fine, middle = own.smooth(shape, 2.0 / spacing, 4), own.smooth(shape, 8.0 / spacing, 4)
        for s in range(4):
            texture = own.uniform(0.01, 0.05) * fine[s] + own.uniform(0.003, 0.03) * middle[s]
            images[s] *= (1.0 + texture * (1.0 + 0.6 * cortex)).clamp_min(0.3)
    images = images + spots * (hyper[:, None, None, None] - images)
    _vessels(images, matter, csf, cortex, deep, seeds.stream("vessels"), settings)
    if look.dura:
        own = seeds.stream("pituitary")
        glow = own.uniform(0.5, 1.6)
        blob = pituitary(matter)
        images[1] = images[1] + blob * (glow - images[1]).clamp_min(0.0)
    tumour_look = None
    if fraction is not None:
        own = seeds.stream("tumour")
        tumour_look = draw_tumour_look(plans[0], palette, own, settings.tumours)
        images = blend(images, fraction, tumour_look, matter, own, settings)
    if look.flow:
        own = seeds.stream("flow")
        blobs = own.smooth(shape, 10.0 / spacing, 2)
        level = own.uniform(0.8, 2.5)
        amount = (blobs - level).clamp(0.0, 1.5) * fluid
        images[3] += amount[0] * own.uniform(0.0, 0.9)
        images[2] *= 1.0 - amount[1].clamp(0.0, 0.8) * own.uniform(0.0, 0.8)
    if look.edges:
        own = seeds.stream("edges")
        edge = torch.exp(-0.5 * (matter.depth_mm.clamp_min(0.0) / own.uniform(1.0, 3.0)).square())
        patch = own.smooth(shape, 25.0 / spacing)[0].clamp(0.0, 2.0)
        for s in range(4):
            if own.happens(0.4):
                images[s] *= 1.0 + edge * (own.uniform(-0.15, 0.3) + own.uniform(0.0, 0.35) * patch)
    return images, tumour_look


def _vessels(
    images: Tensor, matter: Matter, csf: Tensor, cortex: Tensor, deep: Tensor, own: Seeds, settings: SynthesisSettings
) -> None:
    """Thin vessels in sulci and, fainter, in tissue: bright on T1C, dark on T2."""
    if not settings.look_alikes.vessels:
        return
    tubes = vessel_tubes(matter.shape, matter.spacing_mm, own)
    strength = own.uniform(0.2, 1.2)
    amount = tubes * (csf + 0.5 * cortex + 0.15 * (1.0 - deep))
    images[1] += strength * amount.clamp(0.0, 1.0)
    images[2] *= 1.0 - 0.5 * amount.clamp(0.0, 1.0)


def blend(
    images: Tensor,
    fraction: Tensor,
    look: TumourLook,
    matter: Matter,
    seeds: Seeds,
    settings: SynthesisSettings,
    *,
    real: bool = False,
) -> Tensor:
    """Images (4, X, Y, Z) with a tumour of soft fractions (6, X, Y, Z), which has texture of its own.

    In `real` ones part of the texture that was there remains.
    """
    total = fraction.sum(0)
    target = look.painted(fraction, matter.spacing_mm, seeds.stream("water"))
    csf, ventricle, cortex = matter.groups("csf", "ventricle", "cortex")
    if settings.tumours.texture:
        own = seeds.stream("texture")
        rough = own.smooth(matter.shape, own.uniform(4.0, 9.0) / matter.spacing_mm, 4)
        slow = own.smooth(matter.shape, own.uniform(14.0, 30.0) / matter.spacing_mm, 4)
        strongest = (0.1, 0.1) if real else (0.13, 0.12)
        remains = None
        if real:  # what the images are beyond their mean over cubes of about 8 mm
            fine = images - resample.box_mean(images, round(4.0 / matter.spacing_mm))
            remains = own.uniform(0.3, 1.0) * fine * (1.0 - csf - ventricle).clamp_min(0.0)
        for s in range(4):
            gain = 1.0 + own.uniform(0.02, strongest[0]) * rough[s] + own.uniform(0.02, strongest[1]) * slow[s]
            target[s] *= gain.clamp_min(0.3)
            if remains is not None:
                target[s] = (target[s] + remains[s].clamp(-0.3, 0.3) * total).clamp_min(0.0)
    # what oedema shares a voxel with keeps its brightness: fluid altogether, cortex in part
    keep = ((csf + ventricle).clamp_max(0.9) + seeds.uniform(0.0, 0.5) * cortex).clamp_max(0.95) * fraction[0]
    # target holds brightness times fraction: the kept share of a voxel is taken from both sides alike
    share = 1.0 - keep / total.clamp_min(1e-3)
    return images * (1.0 - total * share) + target * share
