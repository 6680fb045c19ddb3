"""Where tumours sit: weights over tissue for each kind of place."""

from __future__ import annotations

import torch
from torch import Tensor

from annofree.synthesis.bank import FRAME_CENTRE_MM
from annofree.synthesis.matter import Matter, blurred
from annofree.synthesis.plan import TumourPlan
from annofree.synthesis.seeds import Seeds

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
