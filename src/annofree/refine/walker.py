"""Random walker in the uncertain shell around a mask, on the patient's own sequences."""

from __future__ import annotations

import warnings
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import ndimage

from annofree.refine.base import Box, Mask, RefineContext, Refiner, bounding_box, margin_for
from annofree.scan import Modality

_INSIDE, _OUTSIDE, _UNKNOWN, _LEFT_OUT = 1, 2, 0, -1
#: Thickness in voxels of the certain layers beside the shell that say what lesion and brain look like here.
_LAYER_VOX = 3
#: Median of a squared standard normal variable: turns a median of squares into a variance.
_MEDIAN_CHI2 = 0.4549


class RandomWalker(Refiner):
    """Move the mask's surface to the nearest edges of the images (Grady 2006), within a shell.

    Voxels deeper than `inner_mm` inside the mask are certainly lesion, voxels further than `outer_mm` from it or
    outside the brain certainly not; only the shell between is solved. A lesion thinner than the shell keeps its
    middle half, so that no component can vanish. The sequences enter as one image: the weighted sum that best tells
    the certain lesion beside the shell from the certain brain beside it (Fisher's discriminant), with steps between
    neighbours counted in units of its own noise, so that neither contrast nor choice of sequences needs tuning.

    Where the images show no edge the surface is smoothed. The defaults were chosen on made volumes of known truth
    (`docs/refine.md`), none on patients.

    Attributes:
        inner_mm: Depth below the mask's surface from which a voxel is certain.
        outer_mm: Distance from the mask from which a voxel is certainly healthy.
        edge: How much a step of the image hinders the walker; 0 ignores the images.
        smooth_mm: Width (sigma) of the Gaussian that the sequences are smoothed with first.
        certain_above: Voxels of the mask that score above this are certain too.
        certain_below: Voxels outside the mask that score below this are certainly healthy too.
        sequences: The sequences to look at; None for all.
        max_shell_vox: A larger shell is not solved (the mask is returned, with a note).
    """

    kind: ClassVar[str] = "random-walker"
    main: ClassVar[tuple[str, ...]] = ("edge",)
    needs_images: ClassVar[bool] = True

    inner_mm: float = Field(default=3.0, gt=0.0)
    outer_mm: float = Field(default=3.0, gt=0.0)
    edge: float = Field(default=3.0, ge=0.0)
    smooth_mm: float = Field(default=0.7, ge=0.0)
    certain_above: float | None = None
    certain_below: float | None = None
    sequences: tuple[Modality, ...] | None = None
    max_shell_vox: int = Field(default=1_500_000, gt=0)

    def apply(self, mask: Mask, context: RefineContext) -> Mask:
        """The mask with its surface moved; the mask itself, with a note in the context, where that cannot be done."""
        result = mask.copy()
        x, y, z = margin_for(self.outer_mm, context.spacing_mm)
        box = bounding_box(mask, (x + _LAYER_VOX, y + _LAYER_VOX, z + _LAYER_VOX))
        if box is None:
            return result
        at_hand = context.images or {}
        images = [at_hand[s][box] for s in self.sequences or tuple(at_hand) if s in at_hand]
        if not images:
            return self.skipped(result, context, "none of the sequences it may look at is at hand")
        seeds = self._seeds(mask[box], box, context)
        shell = int((seeds == _UNKNOWN).sum())
        if shell > self.max_shell_vox:
            return self.skipped(result, context, f"its shell of {shell} voxels is larger than {self.max_shell_vox}")
        lesion, healthy = seeds == _INSIDE, (seeds == _OUTSIDE) & context.brain[box]
        if not (shell and lesion.any() and healthy.any()):
            return self.skipped(result, context, "there is no uncertain shell between certain lesion and certain brain")
        sigma = [self.smooth_mm / step for step in context.spacing_mm]
        features = np.stack([ndimage.gaussian_filter(image.astype(np.float64), sigma) for image in images], axis=-1)
        image = _in_units_of_noise(_discriminant(features, lesion, healthy), seeds != _LEFT_OUT)
        if image is None:
            return self.skipped(result, context, "the sequences are flat around the mask")
        answer = self._walk(image, seeds)
        solved = (seeds == _UNKNOWN) & (answer > 0)
        result[box][solved] = answer[solved] == _INSIDE
        return result

    def _seeds(self, mask: Mask, box: Box, context: RefineContext) -> NDArray[np.int8]:
        """Certain lesion, certainly healthy, unknown; what is certain and far from all unknown is left out."""
        brain, scores = context.brain[box] | mask, context.scores[box]
        depth = ndimage.distance_transform_edt(np.pad(mask, 1), sampling=context.spacing_mm)[1:-1, 1:-1, 1:-1]
        labels, count = ndimage.label(mask, np.ones((3, 3, 3)))
        deepest = np.zeros(count + 1)
        np.maximum.at(deepest, labels[mask], depth[mask])
        inside = mask & (depth > np.minimum(self.inner_mm, deepest / 2)[labels])
        if self.certain_above is not None:
            inside |= mask & (scores > self.certain_above)
        outside = ~brain | (ndimage.distance_transform_edt(~mask, sampling=context.spacing_mm) > self.outer_mm)
        if self.certain_below is not None:
            outside |= ~mask & (scores < self.certain_below)
        seeds = np.full(mask.shape, _UNKNOWN, dtype=np.int8)
        seeds[inside] = _INSIDE
        seeds[outside] = _OUTSIDE
        seeds[~ndimage.binary_dilation(seeds == _UNKNOWN, iterations=_LAYER_VOX)] = _LEFT_OUT
        return seeds

    def _walk(self, image: NDArray[np.float64], seeds: NDArray[np.int8]) -> NDArray[np.int8]:
        from skimage.segmentation import random_walker

        # skimage weighs an edge exp(-beta step^2 / (10 std)); with this beta it is exp(-edge step^2 / 2).
        beta = self.edge * 5 * float(image.std())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            answer: NDArray[np.int8] = random_walker(image, seeds, beta=beta, mode="cg_j", tol=1e-3)
        return answer


def _discriminant(features: NDArray[np.float64], lesion: Mask, healthy: Mask) -> NDArray[np.float64]:
    """Fisher's weighted sum of the last axis, (X, Y, Z); a small ridge keeps few voxels or equal channels safe."""
    near = lesion | healthy
    scale = features[near].std(axis=0)
    features = (features - features[near].mean(axis=0)) / np.where(scale > 0, scale, 1.0)
    classes = features[lesion], features[healthy]
    spread = sum((c - c.mean(axis=0)).T @ (c - c.mean(axis=0)) for c in classes) / near.sum()
    weights = np.linalg.solve(spread + 1e-3 * np.eye(features.shape[-1]), classes[0].mean(0) - classes[1].mean(0))
    projected: NDArray[np.float64] = features @ weights
    return projected


def _in_units_of_noise(image: NDArray[np.float64], active: Mask) -> NDArray[np.float64] | None:
    """The image divided by its typical step between neighbours in and beside the shell; None for a flat image."""
    squares = []
    for axis in range(3):
        neighbours = np.diff(active.astype(np.int8), axis=axis) == 0
        both = neighbours & np.delete(active, 0, axis)
        squares.append(np.square(np.diff(image, axis=axis)[both]))
    steps = np.concatenate(squares)
    noise = float(np.sqrt(np.median(steps) / _MEDIAN_CHI2)) if steps.size else 0.0
    return image / noise if noise > 0 else None
