"""What the checks look at: a scan thinned to about 3 mm, so that all of them together take a fraction of a second."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from annofree.anatomy.align import Alignment, register_to_mni
from annofree.anatomy.coarse import block_mean
from annofree.intensity import robust_level
from annofree.masks import bounding_box, depth_mm
from annofree.prepare.brain import filled_brain
from annofree.processes import side_by_side
from annofree.scan import Grid, Modality, Scan

#: Voxels need not be finer than this for any check.
COARSE_MM = 3.0
#: Deeper than this below the surface there is neither skull nor scalp, and no error of a brain mask, mm.
DEEP_MM = 12.0
#: A brain that is thinned to fewer voxels is not thinned.
_FEWEST = 2000
#: Robust spread of a sequence in units of its median.
USUAL_SPREAD = 0.25


@dataclass(frozen=True, eq=False)
class View:
    """A thinned scan.

    Attributes:
        scan: The whole scan.
        images: Every n-th voxel of each sequence, (X, Y, Z).
        brain: The same of the brain, its holes filled.
        grid: Where the voxels that are left lie.
        known: Where the brain lies in MNI space, if somebody knows it already.
    """

    scan: Scan
    images: Mapping[Modality, NDArray[np.float32]]
    brain: NDArray[np.bool_]
    grid: Grid
    known: Alignment | None = None

    @classmethod
    def of(cls, scan: Scan, known: Alignment | None = None) -> View:
        """Thin a scan."""
        brain = filled_brain(scan)
        steps = [max(1, round(COARSE_MM / edge)) for edge in scan.spacing_mm]
        thin = tuple(slice(step // 2, None, step) for step in steps)
        if np.count_nonzero(brain[thin]) < _FEWEST:
            thin = (slice(None),) * 3
        images = {name: image[thin] for name, image in scan.images.items()}
        return cls(scan, images, brain[thin], scan.grid.within(thin), known)

    @cached_property
    def averaged(self) -> View:
        """The same with the mean of what each voxel of the brain stands for: noise averages out."""
        steps = np.rint(np.divide(self.grid.spacing_mm, self.scan.spacing_mm)).astype(int)
        box = bounding_box(self.brain)
        if box is None or steps.max() == 1:
            return self
        whole = tuple(slice(axis.start * n, axis.stop * n) for axis, n in zip(box, steps.tolist(), strict=True))

        def means(name: Modality) -> NDArray[np.float32]:
            found = self.images[name].copy()
            found[box] = block_mean(self.scan.images[name][whole], steps)
            return found

        return replace(self, images=dict(zip(self.images, side_by_side(means, self.images), strict=True)))

    @cached_property
    def alignment(self) -> Alignment:
        """Where the brain lies in MNI space: a second of work where nobody knows it yet."""
        return register_to_mni(self.scan) if self.known is None else self.known

    @cached_property
    def depth_mm(self) -> NDArray[np.float32]:
        """(X, Y, Z): how far each voxel lies below the brain's surface."""
        return depth_mm(self.brain, self.grid.spacing_mm)

    @cached_property
    def deep(self) -> NDArray[np.bool_]:
        """(X, Y, Z) boolean: the inside of the brain; all of it where it is thinner than that."""
        deep: NDArray[np.bool_] = self.depth_mm > DEEP_MM
        return deep if deep.sum() > 500 else self.brain

    @cached_property
    def zero_known(self) -> bool:
        """Whether 0 means no signal; normalised images have values below it."""
        return all(float(np.percentile(image[self.brain], 1)) >= 0 for image in self.images.values())

    def levels(self, sequence: Modality) -> NDArray[np.float32]:
        """The sequence in units of its median inside the brain; with a usual spread where 0 has no meaning."""
        image = self.images[sequence]
        middle, spread = robust_level(image[self.brain])
        if self.zero_known and middle > 0:
            return (image / np.float32(middle)).astype(np.float32)
        return (1 + USUAL_SPREAD * (image - middle) / spread).astype(np.float32)

    def tail(self, image: NDArray[np.float32]) -> float:
        """Logarithm of the bright over the dark tail of an image's grey levels inside the brain."""
        low, middle, high = np.percentile(image[self.deep], (1, 50, 99))
        return float(np.log(max(high - middle, 1e-6) / max(middle - low, 1e-6)))
