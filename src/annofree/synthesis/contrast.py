"""Brightness of tissues and tumour compartments for each sequence, relative to white matter.

And how one tumour looks: how uneven its oedema is, and whether its core can be told.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from annofree.borders import BORDERS
from annofree.synthesis import tissues
from annofree.synthesis.kinds import KINDS
from annofree.synthesis.matter import CLASSES
from annofree.synthesis.plan import TumourPlan
from annofree.synthesis.seeds import Seeds
from annofree.synthesis.settings import Contrast, Tumours
from annofree.synthesis.tissues import Tissue
from annofree.synthesis.tumour import COMPARTMENTS

ORDER = ("T1", "T1C", "T2", "FLAIR")

PRIOR: dict[Tissue, tuple[float, float, float, float]] = {
    #                          T1    T1C   T2    FLAIR   of white matter
    Tissue.WHITE: (1.00, 1.00, 1.00, 1.00),
    Tissue.WHITE_LESION: (0.85, 0.85, 1.40, 1.40),
    Tissue.CORTEX: (0.74, 0.80, 1.45, 1.22),
    Tissue.CSF: (0.38, 0.42, 2.60, 0.40),
    Tissue.VENTRICLE: (0.30, 0.32, 2.90, 0.28),
    Tissue.FOURTH_VENTRICLE: (0.34, 0.36, 2.70, 0.36),
    Tissue.STRIATUM: (0.82, 0.87, 1.25, 1.15),
    Tissue.PALLIDUM: (0.94, 0.97, 0.90, 0.92),
    Tissue.THALAMUS: (0.88, 0.92, 1.18, 1.08),
    Tissue.HIPPOCAMPUS: (0.74, 0.79, 1.50, 1.32),
    Tissue.BRAINSTEM: (0.93, 0.94, 1.12, 1.02),
    Tissue.VENTRAL_DC: (0.92, 0.95, 1.10, 1.05),
    Tissue.CEREBELLAR_WHITE: (0.96, 0.96, 1.08, 0.98),
    Tissue.CEREBELLAR_CORTEX: (0.76, 0.82, 1.40, 1.12),
    Tissue.CHOROID: (0.55, 1.30, 1.90, 0.90),
    Tissue.VEIN: (0.55, 1.80, 0.80, 0.55),
    Tissue.ARTERY: (0.60, 1.50, 0.60, 0.50),
    Tissue.DURA: (0.55, 1.10, 0.70, 0.60),
    Tissue.BONE: (0.20, 0.22, 0.25, 0.20),
    Tissue.MARROW: (1.10, 1.15, 1.00, 0.70),
    Tissue.SOFT: (0.70, 0.80, 0.80, 0.70),
    Tissue.OUTSIDE: (0.03, 0.03, 0.03, 0.03),
}
"""Mean brightness of each tissue as a share of white matter's."""

SPREAD = (0.03, 0.03, 0.06, 0.05)
"""Standard deviation (of the logarithm) of one tissue's brightness beyond the protocol's effect, per sequence."""

STRETCH = ((0.05, 1.2), (0.05, 1.1), (0.5, 1.7), (0.1, 1.9))
"""Range of the factor on the differences of tissues from white matter: spin-echo T1 may show almost none."""

FLUID = ((0.25, 0.75), (0.25, 0.75), (1.9, 4.8), (0.1, 0.6))
"""Range of fluid's brightness relative to white matter."""


@dataclass(frozen=True)
class Palette:
    """Brightness of one case.

    Attributes:
        table: (4, classes) brightness of every tissue; white matter is 1 in a physical sequence.
        free: For each sequence, whether its contrast was drawn freely.
    """

    table: Tensor
    free: tuple[bool, ...]

    def of(self, tissue: Tissue) -> list[float]:
        """Brightness of one tissue in the four sequences."""
        return [float(v) for v in self.table[:, tissue]]


def draw_palette(seeds: Seeds, settings: Contrast, choroid: bool, vessels: bool, dura: bool) -> Palette:
    """Draw the brightness of every tissue in every sequence."""
    device = seeds.device
    table = torch.zeros((4, CLASSES))
    free = []
    for s, name in enumerate(ORDER):
        own = seeds.stream(name)
        is_free = own.happens(settings.free_share)
        free.append(is_free)
        # one protocol stretches all differences between tissues alike, and fluid has a scale of its own
        stretch, fluid = own.uniform(*STRETCH[s]), own.uniform(*FLUID[s])
        if is_free:
            stretch, fluid = own.uniform(-1.2, 2.2), own.log_uniform(0.15, 4.0)
        for tissue, prior in PRIOR.items():
            value = prior[s]
            if tissue in tissues.FLUID[:3]:
                value = fluid * prior[s] / PRIOR[Tissue.CSF][s]
            elif tissue in tissues.PARENCHYMA:
                value = 1.0 + (prior[s] - 1.0) * stretch
            table[s, tissue] = max(0.03, value) * math.exp(own.normal(0.0, SPREAD[s]))
        table[s, Tissue.WHITE] = 1.0
    gain = seeds.stream("vessels")
    table[1, Tissue.VEIN] *= gain.log_uniform(0.6, 2.2)
    table[1, Tissue.ARTERY] *= gain.log_uniform(0.6, 2.0)
    table[1, Tissue.DURA] *= gain.uniform(0.7, 1.8)
    table[1, Tissue.CHOROID] *= gain.uniform(0.7, 1.6)
    if not choroid:
        table[:, Tissue.CHOROID] = table[:, Tissue.VENTRICLE]
    if not vessels:
        table[:, Tissue.VEIN] = table[:, Tissue.CSF]
        table[:, Tissue.ARTERY] = table[:, Tissue.CSF]
    if not dura:
        table[:, Tissue.DURA] = table[:, Tissue.BONE]
    return Palette(table.to(device), tuple(free))


def bright_lesion(palette: Palette, seeds: Seeds) -> list[float]:
    """Brightness of a healthy hyperintensity in the four sequences."""
    white, grey, fluid = (palette.of(t) for t in (Tissue.WHITE, Tissue.CORTEX, Tissue.CSF))
    t1 = white[0] + seeds.uniform(0.1, 1.1) * (grey[0] - white[0])
    t1c = white[1] + seeds.uniform(0.1, 1.1) * (grey[1] - white[1])
    t2 = grey[2] + seeds.uniform(-0.1, 0.5) * (fluid[2] - grey[2])
    flair = max(white[3], grey[3]) * seeds.uniform(0.95, 2.0)
    return [t1, t1c, t2, flair]


def tumour_brightness(plan: TumourPlan, palette: Palette, seeds: Seeds) -> Tensor:
    """Brightness of each tumour compartment, (4, 6), relative to this brain's own white matter, cortex and fluid.

    In a free sequence the sign of the contrast of oedema and core is free too in a quarter of the cases.
    """
    white, grey, fluid = (palette.of(t) for t in (Tissue.WHITE, Tissue.CORTEX, Tissue.CSF))
    out = torch.zeros((4, len(COMPARTMENTS)))
    u = seeds.uniform
    kind = KINDS[plan.kind]
    for s in (0, 1):
        oedema, solid = u(0.2, 1.2), u(*kind.dark)
        low, high = min(white[s], grey[s]), max(white[s], grey[s])
        out[s, 0] = high - oedema * (high - low)
        out[s, 1] = high - solid * (high - low)
        out[s, 3] = low + u(0.2, 0.9) * (fluid[s] - low)
        out[s, 4] = low + u(0.65, 1.0) * (fluid[s] - low)
        out[s, 5] = high * u(0.7, 1.6)
    # the same tissue looks alike before and after contrast, apart from the leak
    before, after = out[0].clone(), out[1].clone()
    for k in (0, 1, 3, 4):
        span0, span1 = white[0] - fluid[0], white[1] - fluid[1]
        same = white[1] + (before[k] - white[0]) * (span1 / span0 if abs(span0) > 0.1 else 1.0)
        after[k] = 0.8 * same + 0.2 * after[k]
    out[1] = after
    out[0, 2] = min(white[0], grey[0]) * u(0.85, 1.15)
    strength = seeds.log_uniform(1.25, 3.0) if seeds.happens(0.85) else u(1.08, 1.35)
    out[1, 2] = max(white[1], grey[1]) * strength
    leak = u(0.0, 0.25) if seeds.happens(0.3) else 0.0  # a little where nothing is called enhancing

    rise = fluid[2] - grey[2]
    out[2, 0] = grey[2] + u(0.1, 0.6) * rise
    out[2, 1] = grey[2] + u(*kind.wet) * rise
    out[2, 2] = grey[2] + u(-0.15, 0.4) * rise
    out[2, 3] = grey[2] + u(0.2, 0.95) * rise
    out[2, 4] = grey[2] + u(0.8, 1.0) * rise
    out[2, 5] = grey[2] * u(0.4, 1.2)

    top = max(white[3], grey[3])
    out[3, 0] = top * (u(1.04, 1.2) if plan.flair_mild else seeds.log_uniform(1.15, 2.4))
    core = u(*kind.bright)
    out[3, 1] = top * (min(core, u(1.02, 1.2)) if plan.flair_mild else core)
    out[3, 2] = top * u(0.95, 1.5)
    out[3, 3] = fluid[3] + u(0.1, 1.25) * (top - fluid[3])
    out[3, 4] = fluid[3] + u(0.0, 0.4) * (top - fluid[3])
    out[3, 5] = top * u(0.5, 1.6)

    own = seeds.stream("wetter")
    if own.happens(kind.wetter):
        # more water lengthens T1 and T2 together: every sequence goes on in the direction in which oedema went, short
        # of fluid, and FLAIR, which suppresses part of it, less far
        more, suppressed = own.uniform(1.3, 2.2), own.uniform(0.2, 1.0)
        for s in range(3):
            far = 0.9 * (fluid[s] - white[s])
            gone = more * (float(out[s, 0]) - white[s])
            out[s, 1] = white[s] + (min(gone, far) if far > 0 else max(gone, far))
        out[3, 1] = white[3] + (1.0 + (more - 1.0) * suppressed) * (out[3, 0] - white[3])
    out[1, 1] += leak * (out[1, 2] - out[1, 1])

    free = seeds.stream("free")
    for s in range(4):
        if palette.free[s] and free.happens(0.25):
            span = max(white[s], grey[s], fluid[s])
            for k in (0, 1, 3):
                out[s, k] = span * free.uniform(0.15, 1.4)
    return out.clamp_min(0.02).to(seeds.device)


_OEDEMA, _SOLID = COMPARTMENTS.index("oedema"), COMPARTMENTS.index("solid")
_WATER = (-0.2, 1.5)
"""Range of the oedema's water, in units of its unevenness: where much less left the look of healthy tissue nobody
would outline a tumour, and a network that is told to learns to call what surrounds a faint one."""
_NATIVE = (0, 2, 3)
"""T1, T2 and FLAIR: what contrast agent shows is enhancing tumour, not the core that readers outline without it."""


@dataclass(frozen=True)
class TumourLook:
    """Appearance of one tumour.

    Attributes:
        brightness: (4, 6) brightness of each compartment in each sequence.
        white: (4,) brightness of white matter.
        unevenness: Standard deviation of the oedema's water, as a share of its contrast to white matter. More water
            changes all sequences at once, so patches of it look like a core without being one.
        core_seen: Whether the solid core differs from the oedema by more than a reader needs and than oedema varies.
    """

    brightness: Tensor
    white: Tensor
    unevenness: float
    core_seen: bool

    def painted(self, fraction: Tensor, spacing_mm: float, seeds: Seeds) -> Tensor:
        """Brightness times fraction, (4, X, Y, Z), of soft fractions (6, X, Y, Z)."""
        target = torch.einsum("sk,kxyz->sxyz", self.brightness, fraction)
        if self.unevenness > 0:
            water = seeds.smooth(fraction.shape[1:], seeds.uniform(10.0, 25.0) / spacing_mm)[0].clamp(*_WATER)
            contrast = self.brightness[:, _OEDEMA] - self.white
            target = target + self.unevenness * contrast[:, None, None, None] * (water * fraction[_OEDEMA])
        return target.clamp_min(0.0)


def draw_tumour_look(plan: TumourPlan, palette: Palette, seeds: Seeds, settings: Tumours) -> TumourLook:
    """Draw the appearance of a lesion in a brain of the given tissue contrast.

    A core that enhancement encloses is always seen; any other must differ from the oedema in T1, T2 or FLAIR.
    """
    brightness = tumour_brightness(plan, palette, seeds.stream("brightness"))
    white = palette.table[:, Tissue.WHITE].to(brightness)
    own = seeds.stream("unevenness")
    low, high = KINDS[plan.kind].uneven
    drawn = own.uniform(low, high)
    drawn = drawn if low > 0 or own.happens(0.6) else 0.0
    unevenness = drawn if settings.texture else 0.0
    encloses = plan.rim in ("ring", "nodular", "mural", "solid")
    alone = plan.whole_ml <= plan.core_ml * 1.02
    seen = encloses or alone or _contrast(brightness, white) >= BORDERS["visible"].whole + unevenness
    return TumourLook(brightness, white, unevenness, seen)


def _contrast(brightness: Tensor, white: Tensor) -> float:
    """Largest difference between solid core and oedema, as a share of the lesion's contrast to white matter."""
    oedema, solid = brightness[:, _OEDEMA], brightness[:, _SOLID]
    lesion = torch.maximum((oedema - white).abs(), (solid - white).abs()).clamp_min(0.05)
    return float(((oedema - solid).abs() / lesion)[list(_NATIVE)].max())
