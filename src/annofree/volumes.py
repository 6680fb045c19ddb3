"""Whether a piece is large enough: one comparison for everything that has a smallest or largest volume.

Tools disagree here (scikit-image's `remove_small_objects(min_size=64)` removes a piece of exactly 64 voxels), and the
volume of a voxel comes from a header in single precision: 0.9 x 0.9 x 1 mm is a little less than 0.81 mm3. Here a
smallest volume of v ml keeps a lesion of exactly v ml.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: Share by which a volume may miss its limit: ten times the rounding of a header.
_ROUNDING = 1e-6


def reaches(voxels: ArrayLike, voxel_ml: float, smallest_ml: float) -> NDArray[np.bool_]:
    """Whether pieces of so many voxels are of at least `smallest_ml`.

    Example:
        >>> import numpy as np
        >>> reaches([99, 100], float(np.float32(0.9)) ** 2 / 1000, 0.081)
        array([False,  True])
    """
    volumes: NDArray[Any] = np.asarray(voxels) * voxel_ml
    return np.asarray(volumes >= smallest_ml * (1 - _ROUNDING))


def exceeds(voxels: ArrayLike, voxel_ml: float, largest_ml: float) -> NDArray[np.bool_]:
    """Whether pieces of so many voxels are of more than `largest_ml`; exactly that much is not more."""
    volumes: NDArray[Any] = np.asarray(voxels) * voxel_ml
    return np.asarray(volumes > largest_ml * (1 + _ROUNDING))
