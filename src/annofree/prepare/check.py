"""The step that looks whether this is a head at all, before anything costs time."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.formats.study import require_overlap
from annofree.preparation import StepRecord
from annofree.prepare.work import Work
from annofree.scan import Grid
from annofree.settings import Settings


class CheckInput(Settings):
    """Refuses what no step after it could use: CT, a few slices, a field of view without room for a brain.

    Attributes:
        least_slices: Slices of the thickest axis.
        least_mm: Millimetres of the body's axis that have to be covered.
        air_hu: CT holds air at -1000; MRI that is not stripped holds no value near it on its faces.
    """

    least_slices: int = 8
    least_mm: float = 70.0
    air_hu: float = -900.0

    def __call__(self, work: Work) -> Work:
        """Look at every sequence."""
        study = work.study
        heights = {}
        for name, image in work.images.items():
            grid = work.grids[name]
            fewest = min(grid.shape)
            extent = float(min(n * s for n, s in zip(grid.shape, grid.spacing_mm, strict=True)))
            why = None
            if name in study.heads and looks_like_ct(image, self.air_hu):
                corners = image[tuple(slice(None, None, n - 1) for n in image.shape)]
                why = f"its air has the value {np.median(corners):.0f}, as in CT; annofree reads MRI"
            elif fewest < self.least_slices:
                why = f"it has {fewest} slices, and {self.least_slices} are the least that show a brain"
            elif extent < self.least_mm:
                why = f"it covers {extent:.0f} mm along one axis; a brain needs {self.least_mm:.0f} mm and more"
            if why is not None:
                raise InputError(
                    f"Input: {name} of scan '{study.id}' is no MRI of a whole brain",
                    file=study.files.get(str(name)),
                    why=why,
                    fix="Give another file, or a brain mask with --brain-mask FILE"
                    if "CT" not in why
                    else "Give the MRI of the same visit",
                )
            if name != work.reference:
                require_overlap(study, work.reference, name)
            heights[f"{name} covers_mm"] = extent
        names = ", ".join(f"{name} {_size(work.grids[name])}" for name in work.images)
        return work.after(StepRecord("input", f"Read {names}.", self.model_dump(), heights, tuple(self._swapped(work))))

    def _swapped(self, work: Work) -> list[str]:
        """Two sequences that are one and the same file's content under two names."""
        return [
            f"{first} and {second} hold the same image"
            for (first, a), (second, b) in combinations(work.images.items(), 2)
            if np.array_equal(a, b)
        ]


def looks_like_ct(image: NDArray[np.float32], air_hu: float = -900.0) -> bool:
    """Whether an image holds Hounsfield units: air near -1000, soft tissue at 0 to 100, bone above 300."""
    low, high = np.quantile(image[::3, ::3, ::2], (0.001, 0.999))
    tissue = float(((image > -20) & (image < 120)).mean())
    return bool(low <= air_hu and high > 300 and tissue > 0.05)


def _size(grid: Grid) -> str:
    shape = "x".join(map(str, grid.shape))
    spacing = "x".join(f"{s:.3g}" for s in grid.spacing_mm)
    return f"({shape} voxels of {spacing} mm)"
