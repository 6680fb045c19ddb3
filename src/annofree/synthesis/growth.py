"""Growth through tissue: the cheapest way from a core to every voxel, along white matter, stopped by barriers."""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor

from annofree.grid import shared_part
from annofree.synthesis.matter import Matter

FAR = 1e4

_HALF = [d for d in product((-1, 0, 1), repeat=3) if d > (0, 0, 0)]


def compartments(matter: Matter) -> Tensor:
    """Compartment of each voxel, (X, Y, Z) uint8: 0 left, 1 right, 2 below the tentorium, 3 a bridge, 4 closed.

    Falx and tentorium lie where compartments meet. Bridges, which touch every compartment, are the brainstem, the
    thalamus and white matter near the midline (the callosum).
    """
    white, csf, ventricle, beyond, below, stem, deep = matter.groups(
        "white", "csf", "ventricle", "beyond", "cerebellum", "stem", "deep"
    )
    out = matter.right.to(torch.uint8)
    out[below > 0.4] = 2
    bridge = (stem > 0.4) | ((white + deep > 0.7) & (matter.source_mm[0].abs() < 9.0) & (below < 0.1))
    out[bridge] = 3
    out[(ventricle > 0.5) | (beyond > 0.5) | (csf + ventricle + beyond > 0.85) | (matter.depth_mm < 0)] = 4
    return out


def arrival(cost: Tensor, compartment: Tensor, seed: Tensor, spacing_mm: float, reach_vox: int) -> Tensor:
    """Cost of the cheapest path from the seed to each voxel, (X, Y, Z); `FAR` where no path leads.

    Args:
        cost: Cost a mm in each voxel.
        compartment: See `compartments`.
        seed: Where the growth starts, bool.
        spacing_mm: Voxel size.
        reach_vox: Longest path considered, in steps.

    Steps go to all 26 neighbours; each sweep relaxes all voxels at once (Bellman-Ford on a grid).
    """
    closed = compartment == 4
    time = torch.where(seed & ~closed, 0.0, FAR)
    steps = []
    for shift in _HALF:
        there, here = shared_part(shift, cost.shape, cost.shape)
        a, b = compartment[here], compartment[there]
        passes = ((a == b) | (a == 3) | (b == 3)) & (a != 4) & (b != 4)
        length = spacing_mm * float(sum(s * s for s in shift)) ** 0.5
        price = torch.where(passes, 0.5 * length * (cost[here] + cost[there]), FAR)
        steps.append((here, there, price))
    for _ in range(reach_vox):
        for here, there, price in steps:
            time[here] = torch.minimum(time[here], time[there] + price)
            time[there] = torch.minimum(time[there], time[here] + price)
    return time


def level_for_volume(score: Tensor, allowed: Tensor, voxels: float) -> float:
    """The level under which exactly ``voxels`` allowed voxels lie (or all that can be reached)."""
    values = score[allowed]
    values = values[values < FAR / 2]
    if values.numel() == 0:
        return 0.0
    rank = min(max(round(voxels), 1), values.numel())
    return float(torch.kthvalue(values, rank).values) + 1e-4
