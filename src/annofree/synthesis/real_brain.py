"""Made tumours in real brains: the tumour of `annofree.synthesis.tumour`, the texture of a carrier."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from annofree.scan import Modality
from annofree.synthesis import acquisition
from annofree.synthesis.carrier import Carrier
from annofree.synthesis.contrast import Palette, bright_lesion, draw_tumour_look
from annofree.synthesis.deform import draw_source, sample
from annofree.synthesis.generator import MadeCase, Window, drawn_labels, grow_in, window_of
from annofree.synthesis.look_alikes import hyperintensities
from annofree.synthesis.matter import CLASSES, Matter
from annofree.synthesis.paint import blend
from annofree.synthesis.plan import draw_plans
from annofree.synthesis.seeds import Seeds
from annofree.synthesis.settings import SynthesisSettings
from annofree.synthesis.tissues import Tissue


@torch.no_grad()
def paint_tumour_into(
    carrier: Carrier,
    tumour: SynthesisSettings | None = None,
    seed: int = 0,
    *,
    device: torch.device | str = "cpu",
    spacing_mm: float = 2.0,
    around: str = "brain",
    size: int = 96,
) -> MadeCase:
    """A real brain with a made tumour, or with none (`tumours.healthy_share` of the cases).

    The order is that of `annofree.synthesis.make_case`, and so are the arguments: the brain is flipped, turned and
    warped at random (a mirrored brain must not stay symmetric, or asymmetry would give the tumour away), tumours are
    grown along the carrier's own tissue, painted relative to its own white matter, grey matter and fluid with part of
    its own texture, and the acquisition follows alike for brains with and without a tumour.

    Returns:
        The case; a sequence that the carrier lacks is all 0, and `meta["sequences"]` names those it has.
    """
    if spacing_mm not in (1.0, 2.0):
        raise ValueError(f"spacing_mm must be 1.0 or 2.0, not {spacing_mm}")
    settings = tumour or SynthesisSettings()
    device = torch.device(device)
    seeds = Seeds(seed, "real", device)
    plans = draw_plans(Seeds(seed, "real/tumours", device), settings.tumours)
    anatomy = settings.anatomy.model_copy(update={"ventricles": False})
    source, drawn = draw_source(seeds.stream("anatomy"), anatomy)
    fine, centres, grown = grow_in(carrier.anatomy, source, plans, seeds)
    window = window_of(around, size, spacing_mm, centres, fine, seeds.stream("window"))
    matter = window.matter(carrier.anatomy, fine)
    volumes = torch.zeros((5, matter.depth_mm.numel()), device=device)
    places = matter.source_mm.flatten(1)[:, matter.near]
    volumes[:, matter.near] = sample(carrier.volumes(spacing_mm, device), places, spacing_mm)
    volumes = volumes.reshape(5, *matter.shape)
    images, mask = volumes[:4], volumes[4] > 0.5
    # linear interpolation mixes in the zeros outside the brain: take them out again
    images = images / volumes[4].clamp_min(0.5)
    images = _spotted(images, carrier, fine, window, seeds.stream("look_alikes"), settings)
    labels = torch.zeros(matter.shape, dtype=torch.uint8, device=device)
    # the carrier has slices of its own: only half of the cases are sliced once more
    acquired = seeds.stream("acquisition")
    sliced = acquired.stream("sliced").happens(0.5)
    fraction = window.rendered(grown, matter)
    if fraction is not None:
        own = seeds.stream("tumour")
        look = draw_tumour_look(plans[0], _palette(carrier, device), own, settings.tumours)
        images = blend(images, fraction, look, matter, own, settings, real=True)
        labels = drawn_labels(fraction, look, spacing_mm, acquired, settings, sliced=sliced)
    images, mask = _acquire(images, mask, spacing_mm, acquired, settings, sliced=sliced)
    present = torch.from_numpy(carrier.levels[:, 0] > 0).to(device)[:, None, None, None]
    labels = labels * mask
    meta: dict[str, Any] = {"seed": seed, "map": carrier.id, "lesions": len(plans), **drawn}
    meta["sequences"] = " ".join(carrier.sequences)
    meta["requested_wt_ml"] = sum(plan.whole_ml for plan in plans)
    meta["wt_ml"] = float((labels > 0).sum()) * spacing_mm**3 / 1000.0
    for i, plan in enumerate(plans):
        meta |= {f"lesion{i}_{key}": value for key, value in asdict(plan).items()}
    return MadeCase(images * mask * present, mask, labels, spacing_mm, window.origin_mm, meta)


def _spotted(
    images: Tensor, carrier: Carrier, fine: Matter, window: Window, seeds: Seeds, settings: SynthesisSettings
) -> Tensor:
    """Healthy hyperintensities put into half of the brains: what is bright there is no tumour either."""
    if not seeds.happens(0.5):
        return images
    spots = window.zoom(hyperintensities(fine, seeds, settings.look_alikes)[0][None])
    palette = _palette(carrier, seeds.device)
    change = (
        torch.tensor(bright_lesion(palette, seeds.stream("lesion")), device=seeds.device)
        - palette.table[:, Tissue.WHITE]
    )
    return (images + spots * change[:, None, None, None]).clamp_min(0.0)


def _palette(carrier: Carrier, device: torch.device) -> Palette:
    """The carrier's own white matter, cortex and fluid; a sequence that it lacks gets plain values, later blanked."""
    table = torch.ones((4, CLASSES))
    for s, (white, grey, fluid) in enumerate(carrier.levels.tolist()):
        if white <= 0:
            continue
        table[s, Tissue.CORTEX], table[s, Tissue.CSF] = grey, fluid
    return Palette(table.to(device), (False,) * len(Modality))


def _acquire(
    images: Tensor, mask: Tensor, spacing_mm: float, seeds: Seeds, settings: SynthesisSettings, *, sliced: bool
) -> tuple[Tensor, Tensor]:
    """What the scanner adds, each effect to a part of the cases: the carrier has noise, blur and bias of its own."""
    own = settings.acquisition
    mask = acquisition.missing_slab(mask, spacing_mm, seeds.stream("slab"), own)
    images = images * mask
    if seeds.happens(0.7):
        images = acquisition.bias_field(images, spacing_mm, seeds.stream("bias"), own)
    if seeds.happens(0.5):
        images = acquisition.noise(images, spacing_mm, seeds.stream("noise"), own)
    if sliced:
        images = acquisition.optics(images, spacing_mm, seeds.stream("optics"), own)
    return acquisition.digitise(images, seeds.stream("digitise"), own), mask
