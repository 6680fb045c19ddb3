"""What a made brain consists of on a grid: partial volumes of tissue groups, sampled from a label map."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from annofree.synthesis import resample, tissues
from annofree.synthesis.bank import DEPTH_STEP_MM, FRAME_SHAPE, BrainMap
from annofree.synthesis.deform import FINE_MM, sample
from annofree.synthesis.tissues import Tissue

GROUPS: dict[str, tuple[Tissue, ...]] = {
    "white": tissues.WHITE,
    "cortex": tissues.CORTEX,
    "deep": tissues.DEEP_GREY,
    "stem": tissues.STEM,
    "csf": (Tissue.CSF,),
    "ventricle": tissues.VENTRICLES,
    "choroid": (Tissue.CHOROID,),
    "vessel": tissues.VESSELS,
    "beyond": tissues.BEYOND,
    "cerebellum": tissues.CEREBELLUM,
    "lesion": (Tissue.WHITE_LESION,),
}
CLASSES = max(Tissue) + 1
_TETRAHEDRON = ((-1, -1, -1), (1, 1, -1), (1, -1, 1), (-1, 1, 1))


@dataclass(frozen=True)
class Matter:
    """A made brain's anatomy on one grid of shape (X, Y, Z).

    Attributes:
        spacing_mm: Voxel size.
        source_mm: (3, X, Y, Z) where each voxel comes from.
        depth_mm: (X, Y, Z) distance below the brain's surface, negative outside.
        near: (N,) flat indices of voxels in and around the brain.
        samples: (4, N) uint8 tissue classes of four points in each of those voxels.
        right: (X, Y, Z) bool, right half of the head.
    """

    spacing_mm: float
    source_mm: Tensor
    depth_mm: Tensor
    near: Tensor
    samples: Tensor
    right: Tensor
    _groups: dict[str, Tensor] = field(default_factory=dict, repr=False)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along X, Y and Z."""
        x, y, z = self.depth_mm.shape
        return x, y, z

    def spread(self, table: Tensor) -> Tensor:
        """Mean over each voxel of ``table`` (C, classes) looked up by tissue: (C, X, Y, Z), 0 far outside."""
        channels = table.shape[0]
        values = torch.zeros((channels, self.near.numel()), device=table.device)
        index = self.samples.to(torch.int32)
        for row in index:
            values += torch.index_select(table, 1, row)
        out = torch.zeros((channels, self.depth_mm.numel()), device=table.device)
        out[:, self.near] = values * 0.25
        return out.reshape(channels, *self.shape)

    def groups(self, *names: str) -> list[Tensor]:
        """Partial volumes of tissue groups (see `GROUPS`), each (X, Y, Z)."""
        missing = [name for name in names if name not in self._groups]
        if missing:
            table = torch.zeros((len(missing), CLASSES))
            for i, name in enumerate(missing):
                table[i, [int(t) for t in GROUPS[name]]] = 1.0
            self._groups.update(zip(missing, self.spread(table.to(self.depth_mm.device)), strict=True))
        return [self._groups[name] for name in names]


def look_up(brain: BrainMap, source_mm: Tensor, spacing_mm: float, beyond_mm: float = 7.0) -> Matter:
    """Sample a label map at source coordinates (3, X, Y, Z).

    Four points a voxel, the corners of a tetrahedron, stand for the voxel's content: half of the cost of eight.
    """
    device = source_mm.device
    tissue, depth_map = brain.tensors(device)
    shape = source_mm.shape[1:]
    depth = sample(depth_map.float()[None], source_mm, FINE_MM)[0] * DEPTH_STEP_MM
    near = torch.nonzero(depth.reshape(-1) > -beyond_mm, as_tuple=True)[0]
    points = source_mm.reshape(3, -1)[:, near]
    size = torch.tensor(FRAME_SHAPE, device=device, dtype=torch.float32)
    at = points + ((size - 1) / 2)[:, None]
    # the local stretch is close to 1, so the points inside a voxel are placed without it
    step = spacing_mm / 4.0
    flat_tissue = tissue.reshape(-1)
    rows = []
    high = size[:, None] - 1
    right = torch.zeros(near.numel(), dtype=torch.bool, device=device)
    for corner in _TETRAHEDRON:
        place = torch.minimum((at + step * torch.tensor(corner, device=device)[:, None]).round_().clamp_min_(0), high)
        place = place.to(torch.int32)
        index = (place[0] * FRAME_SHAPE[1] + place[1]) * FRAME_SHAPE[2] + place[2]
        found = torch.index_select(flat_tissue, 0, index)
        right = found >= tissues.RIGHT
        rows.append(found & (tissues.RIGHT - 1))
    side = torch.zeros(depth.numel(), dtype=torch.bool, device=device)
    side[near] = right
    return Matter(spacing_mm, source_mm, depth, near, torch.stack(rows), side.reshape(shape))


def blurred(values: Tensor, times: int = 1) -> Tensor:
    """(X, Y, Z) averaged over 3 x 3 x 3 voxels, ``times`` times over: a cheap Gaussian."""
    return resample.box_mean(values[None], 1, times)[0]
