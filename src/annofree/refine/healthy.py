"""How large a finding must be to be worth keeping, learned from tumour-free scans."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from annofree.errors import InputError, SettingsError
from annofree.masks import Mask, components


def healthy_min_ml(healthy: Iterable[tuple[Mask, float]], *, alpha: float = 0.2) -> float:
    """A minimum volume that leaves no component at all in a new healthy person, for a share `1 - alpha` of them, ml.

    Split conformal, as `annofree.thresholds.Conformal`: the `ceil((n + 1)(1 - alpha))`-th smallest of the scans'
    largest components, and one voxel more. Each tumour-free scan is the mask that the method gave and its voxel volume.

    Raises:
        InputError: Too few scans for the level.
    """
    if not 0 < alpha < 1:
        raise SettingsError(f"The level alpha lies between 0 and 1, not {alpha}")
    largest: list[float] = []
    voxel = 0.0
    for mask, voxel_ml in healthy:
        voxel = max(voxel, voxel_ml)
        largest.append(int(np.bincount(components(mask, 26)[0][mask], minlength=1).max()) * voxel_ml)
    rank = int(np.ceil((len(largest) + 1) * (1 - alpha) - 1e-9))
    if rank > len(largest):
        needed = int(np.ceil((1 - alpha) / alpha - 1e-9))
        raise InputError(
            f"A minimum volume at the level {alpha:g} needs at least {needed} healthy scans",
            why=f"{len(largest)} were given",
            fix="Give more, or ask for a weaker level",
        )
    return sorted(largest)[rank - 1] + voxel
