"""Lesion shape: the arrival time of a front that travels fast along white matter and is barred by fluid and falx.

Arrival times are shortest paths on a 3 mm graph around the lesion (Dijkstra), so a lesion has one shape on every grid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

from annofree.grid import shared_part
from annofree.phantom.head import Head, Tissues
from annofree.phantom.waves import Lattice, Waves

_STEP_MM = 3.0
_NEIGHBOURS = [(i, j, k) for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1) if (i, j, k) > (0, 0, 0)]


@dataclass(frozen=True)
class Neighbourhood:
    """Tissue around a lesion's centre, and the graph on which fronts travel.

    Attributes:
        tissues: The tissue on a small 3 mm lattice.
        centre_mm: (3,) subject point in its middle.
    """

    tissues: Tissues
    centre_mm: NDArray[np.float64]

    @classmethod
    def around(cls, head: Head, centre_mm: NDArray[np.float64], reach_mm: float) -> Neighbourhood:
        """The cube of half-width `reach_mm` around a subject point."""
        half = int(np.ceil(reach_mm / _STEP_MM))
        x, y, z = (float(c) - half * _STEP_MM for c in centre_mm)
        n = 2 * half + 1
        return cls(head.on(Lattice((x, y, z), _STEP_MM, (n, n, n))), centre_mm)

    def arrival(
        self, sources: NDArray[np.bool_], grey_speed: float, fluid_speed: float, roughness: float, waves: Waves
    ) -> NDArray[np.floating]:
        """Arrival time (N,) at every brain node of a front that starts from sources, mm of travel through white matter.

        Speeds are shares of that in white matter; `roughness` is the standard deviation of the logarithm of a random
        local speed, whose field `waves` is.
        """
        t = self.tissues
        speed = t.wm + grey_speed * t.gm + fluid_speed * t.csf
        falx = (np.abs(t.place_mm[:, 0]) < 2.5) & (t.wm < 0.6)  # the callosum is the way across
        speed = np.where(falx, 0.04, speed) * np.exp(roughness * waves.on(t.lattice)[t.brain])
        slow = np.full(t.brain.shape, np.inf, dtype=np.float64)
        slow[t.brain] = 1.0 / np.maximum(speed, 0.02)
        number = np.full(t.brain.shape, -1)
        shape = t.lattice.shape
        number[t.brain] = np.arange(len(speed))
        rows, columns, weights = [], [], []
        for offset in _NEIGHBOURS:
            there, here = shared_part(offset, shape, shape)
            cost = 0.5 * _STEP_MM * float(np.linalg.norm(offset)) * (slow[here] + slow[there])
            linked = np.isfinite(cost)
            rows.append(number[here][linked])
            columns.append(number[there][linked])
            weights.append(cost[linked])
        n = len(speed)
        graph = coo_array((np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))), shape=(n, n))
        times = dijkstra(graph.tocsr(), directed=False, indices=np.flatnonzero(sources), min_only=True)
        return np.asarray(np.minimum(times, 1e3))

    def level(self, times: NDArray[np.floating], volume_ml: float) -> NDArray[np.floating]:
        """Signed level of arrival times, positive inside the front at the moment when it encloses a volume."""
        count = int(np.clip(volume_ml * 1000.0 / _STEP_MM**3, 1, len(times) - 1))
        reached = np.partition(times, count)[count]
        return np.asarray(reached - times)

    def onto(self, values: NDArray[np.floating], target: Tissues, outside: float) -> NDArray[np.float32]:
        """Node values interpolated to another lattice's brain voxels, `outside` beyond the neighbourhood."""
        t = self.tissues
        volume = np.full(t.brain.shape, outside, dtype=np.float32)
        if t.brain.any():
            # Nodes outside the brain take their nearest brain node's value, so that the surface bends no front.
            nearest = ndimage.distance_transform_edt(~t.brain, return_distances=False, return_indices=True)
            volume[t.brain] = values
            volume = volume[tuple(nearest)]
        low = np.asarray(t.lattice.origin_mm)
        index = ((target.points_mm - low) / _STEP_MM).T
        result = np.full(index.shape[1], outside, dtype=np.float32)
        near = ((index >= 0) & (index <= np.array(volume.shape)[:, None] - 1)).all(axis=0)
        result[near] = ndimage.map_coordinates(volume, index[:, near], order=1)
        return result
