"""The step that draws every sequence on the reference's own grid, and masks and scores back on every other."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.formats.carried import carried_mask, coarser
from annofree.formats.grids import MIN_OVERLAP
from annofree.formats.study import background
from annofree.grid import apply_affine
from annofree.preparation import StepRecord
from annofree.prepare.resample import low_passed, resample
from annofree.prepare.work import Work
from annofree.scan import Grid
from annofree.settings import Settings

Affine = NDArray[np.float64]


class Regrid(Settings):
    """Every sequence and the brain on the grid of the reference's file, whose voxels stay untouched.

    Sequences finer than the reference are low-passed to its voxels first; interpolation is linear, so thick slices are
    filled without ringing. The inverse is `carried_mask` and `carried_scores` with the movement the other way round.
    """

    def __call__(self, work: Work) -> Work:
        """Resample."""
        grid = work.grids[work.reference]
        images, moved, reach = {}, [], {}
        for name, image in work.images.items():
            movement = work.movements[name]
            if name == work.reference or (work.grids[name].same_as(grid) and np.allclose(movement, np.eye(4))):
                images[name] = image
                continue
            images[name] = drawn(image, work.grids[name], grid, movement)
            moved.append(str(name))
            reach[f"{name} covers_part"] = self._covered(work, name)
        assert work.brain is not None
        brain = work.brain
        if work.brain_on is not None and work.brain_on != work.reference:
            to_reference = np.asarray(np.linalg.inv(work.movements[work.brain_on]), np.float64)
            brain = carried_mask(brain, work.grids[work.brain_on], grid, to_reference)
        if not brain.any():
            raise InputError(
                f"Grid: the brain of scan '{work.study.id}' lies outside {work.reference}",
                file=work.study.files.get(str(work.reference)),
                fix="Check that all files are of the same visit",
            )
        warnings = tuple(
            f"{name.split()[0]} covers only {part:.0%} of the brain" for name, part in reach.items() if part < 0.95
        )
        for measure, part in reach.items():
            if part < MIN_OVERLAP:
                sequence = measure.split()[0]
                raise InputError(
                    f"Grid: {sequence} of scan '{work.study.id}' covers only {part:.0%} of the brain",
                    file=work.study.files.get(sequence),
                    fix="Leave it out, or check that it is of the same visit",
                )
        which = f"{', '.join(moved)} drawn on it linearly" if moved else "all sequences lie on it"
        record = StepRecord("grid", f"The scan lies on the grid of {work.reference}; {which}.", {}, reach, warnings)
        grids = dict.fromkeys(images, grid)
        return work.after(record, images=images, grids=grids, brain=brain, brain_on=work.reference)

    def _covered(self, work: Work, name: Any) -> float:
        """The part of the brain that lies inside a sequence's field of view."""
        assert work.brain is not None
        assert work.brain_on is not None
        to_voxel = np.linalg.inv(work.grids[name].affine) @ work.movements[name]
        to_voxel = to_voxel @ np.linalg.inv(work.movements[work.brain_on]) @ work.grids[work.brain_on].affine
        return work.grids[name].share_inside(apply_affine(to_voxel, np.argwhere(work.brain)[::50]))


def drawn(image: NDArray[np.float32], own: Grid, grid: Grid, movement: Affine) -> NDArray[np.float32]:
    """An image (X, Y, Z) on another grid, low-passed where that one is coarser.

    `movement` (4, 4) leads from the world of `grid` to that of `own`, the image's.
    """
    there = Grid(grid.shape, movement @ grid.affine)
    smooth = low_passed(image, coarser(own, there))
    return np.asarray(resample(smooth, own, there, 1, outside=background(image)), dtype=np.float32)
