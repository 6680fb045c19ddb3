"""How one tumour looks: the brightness of its parts, how uneven its oedema is, and whether its core can be told."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from annofree.borders import BORDERS
from annofree.synthesis.contrast import Palette, tumour_brightness
from annofree.synthesis.kinds import KINDS
from annofree.synthesis.plan import TumourPlan
from annofree.synthesis.seeds import Seeds
from annofree.synthesis.settings import Tumours
from annofree.synthesis.tissues import Tissue
from annofree.synthesis.tumour import COMPARTMENTS

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
