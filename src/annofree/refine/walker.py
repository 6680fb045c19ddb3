"""Random walker in the uncertain shell around a mask, on the patient's own sequences."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import ndimage

from annofree.refine.base import Box, Mask, RefineContext, Refiner, bounding_box, margin_for
from annofree.scan import Sequence

_INSIDE, _OUTSIDE, _UNKNOWN, _LEFT_OUT = 1, 2, 0, -1
#: Median of a squared standard normal variable: turns a median of squares into a variance.
_MEDIAN_CHI2 = 0.4549


class RandomWalker(Refiner):
    """Move the mask's surface to the nearest edges of the images (Grady 2006), within a shell.

    Voxels deeper than `inner_mm` inside the mask are certainly lesion, voxels further than `outer_mm` from it or
    outside the brain certainly not; only the shell between is solved. A lesion thinner than the shell keeps its
    middle half, so that no component can vanish. Steps between neighbours are counted in units of each sequence's
    own noise (the median step within the shell), so that `edge` needs no tuning by contrast or sequence.

    Attributes:
        inner_mm: Depth below the mask's surface from which a voxel is certain.
        outer_mm: Distance from the mask from which a voxel is certainly healthy.
        edge: How much a step of the image hinders the walker; 0 ignores the images.
        certain_above: Voxels of the mask that score above this are certain too.
        certain_below: Voxels outside the mask that score below this are certainly healthy too.
        sequences: The sequences to look at; None for all.
        max_shell_vox: A larger shell is not solved (the mask is returned, with a note).
    """

    kind: ClassVar[str] = "random-walker"
    needs_images: ClassVar[bool] = True

    inner_mm: float = Field(default=3.0, gt=0.0)
    outer_mm: float = Field(default=3.0, gt=0.0)
    edge: float = Field(default=1.0, ge=0.0)
    certain_above: float | None = None
    certain_below: float | None = None
    sequences: tuple[Sequence, ...] | None = None
    max_shell_vox: int = Field(default=1_500_000, gt=0)

    def apply(self, mask: Mask, context: RefineContext) -> Mask:
        """The mask with its surface moved; the mask itself, with a note in the context, where that cannot be done."""
        result = mask.copy()
        box = bounding_box(mask, margin_for(self.outer_mm, context.spacing_mm))
        if box is None:
            return result
        images = self._images(context)
        if not images:
            context.notes.append("random walker skipped: none of the sequences it may look at is at hand")
            return result
        seeds = self._seeds(mask[box], box, context)
        unknown = seeds == _UNKNOWN
        size = int(unknown.sum())
        if size > self.max_shell_vox:
            context.notes.append(
                f"random walker skipped: its shell of {size} voxels is larger than {self.max_shell_vox}"
            )
            return result
        if not (unknown.any() and (seeds == _INSIDE).any() and (seeds == _OUTSIDE).any()):
            context.notes.append("random walker skipped: no uncertain shell between certain lesion and certain brain")
            return result
        answer = self._walk({s: image[box] for s, image in images.items()}, seeds, context)
        solved = unknown & (answer > 0)
        result[box][solved] = answer[solved] == _INSIDE
        return result

    def _images(self, context: RefineContext) -> dict[Sequence, NDArray[np.float32]]:
        at_hand = context.images or {}
        wanted = tuple(at_hand) if self.sequences is None else self.sequences
        return {s: at_hand[s] for s in wanted if s in at_hand}

    def _seeds(self, mask: Mask, box: Box, context: RefineContext) -> NDArray[np.int8]:
        """Certain lesion, certainly healthy, unknown; certain voxels that touch nothing unknown are left out."""
        brain, scores = context.brain[box] | mask, context.scores[box]
        depth = ndimage.distance_transform_edt(np.pad(mask, 1), sampling=context.spacing_mm)[1:-1, 1:-1, 1:-1]
        labels, count = ndimage.label(mask, np.ones((3, 3, 3)))
        deepest = np.zeros(count + 1)
        np.maximum.at(deepest, labels[mask], depth[mask])
        inside = mask & (depth > np.minimum(self.inner_mm, deepest / 2)[labels])
        if self.certain_above is not None:
            inside |= mask & (scores > self.certain_above)
        away = ndimage.distance_transform_edt(~mask, sampling=context.spacing_mm)
        outside = ~brain | (away > self.outer_mm)
        if self.certain_below is not None:
            outside |= ~mask & (scores < self.certain_below)
        seeds = np.full(mask.shape, _UNKNOWN, dtype=np.int8)
        seeds[inside] = _INSIDE
        seeds[outside] = _OUTSIDE
        touching = ndimage.binary_dilation(seeds == _UNKNOWN)
        seeds[~touching] = _LEFT_OUT
        return seeds

    def _walk(
        self, images: Mapping[Sequence, NDArray[np.float32]], seeds: NDArray[np.int8], context: RefineContext
    ) -> NDArray[np.int8]:
        from skimage.segmentation import random_walker

        active = seeds != _LEFT_OUT
        channels = [_in_units_of_noise(image, active) for image in images.values()]
        data = np.stack([channel for channel in channels if channel is not None] or [np.zeros(seeds.shape)], axis=-1)
        # skimage weighs an edge exp(-beta sum(step^2) / (10 std sqrt(channels))); this is exp(-edge mean(step^2) / 2).
        spread = float(data.std()) or 1.0
        beta = self.edge * 10 * spread / (2 * np.sqrt(data.shape[-1]))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            answer: NDArray[np.int8] = random_walker(data, seeds, beta=beta, mode="cg_j", tol=1e-3, channel_axis=-1)
        return answer


def _in_units_of_noise(image: NDArray[np.float32], active: Mask) -> NDArray[np.float64] | None:
    """The image divided by its typical step between neighbours within the shell; None for a flat image."""
    squares = []
    for axis in range(3):
        ahead = np.take(active, range(1, active.shape[axis]), axis) & np.take(
            active, range(active.shape[axis] - 1), axis
        )
        squares.append(np.square(np.diff(image.astype(np.float64), axis=axis)[ahead]))
    steps = np.concatenate(squares)
    steps = steps[steps > 0]
    if steps.size == 0:
        return None
    noise = np.sqrt(np.median(steps) / _MEDIAN_CHI2)
    scaled: NDArray[np.float64] = (image - np.median(image[active])) / noise
    return scaled
