"""Redraw a mask's outline with a SAM, slice by slice, where the model believes in its own answer."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import ndimage

from annofree.masks import Mask, bounding_box, components
from annofree.prepare.slices import PREFERRED
from annofree.refine.base import RefineContext, Refiner
from annofree.refine.sam.model import SamNetwork, check_folder, load_sam
from annofree.refine.sam.picture import Plane, Prompt, grey_levels, prompt_for
from annofree.scan import Modality

_AXES = {"axial": (2,), "three": (2, 1, 0)}


class Sam(Refiner):
    """Box and points from the mask, an outline from SAM (Kirillov 2023), SAM 2 (Ravi 2024) or MedSAM (Ma 2024).

    Every island of the mask in every slice is shown with its box, points inside it and points outside where the
    score is low. An answer is taken where the model expects an IoU of at least `gate`; after `draws` tries with other
    points the island keeps its own outline. With three planes, a voxel counts where `agreement` of them say so. What
    is found further than `reach_mm` from the mask, or outside the brain, is not followed.

    Attributes:
        folder: Local folder of a SAM in the format of transformers; nothing is ever downloaded.
        sequence: The image that SAM sees; None takes the first of FLAIR, T2, T1C, T1 that is there.
        planes: "axial" slices only, or "three" planes.
        agreement: How many of the three planes must agree.
        gate: Least IoU that the model must expect of its answer (0.9 in the published MViT-AE).
        draws: How often other points are tried.
        positives: Points inside.
        negatives: Points outside.
        margin_mm: How much wider than the island its box is.
        reach_mm: How far from the mask an answer is followed.
        least_mm2: Smaller islands keep their own outline.
        seed: Decides the points.
    """

    kind: ClassVar[str] = "sam"
    draws_border: ClassVar[bool] = True
    main: ClassVar[tuple[str, ...]] = ("folder",)

    folder: str | None = None
    sequence: Modality | None = None
    planes: Literal["axial", "three"] = "axial"
    agreement: int = Field(default=2, ge=1, le=3)
    gate: float = Field(default=0.8, ge=0.0, le=1.0)
    draws: int = Field(default=3, ge=1)
    positives: int = Field(default=5, ge=1)
    negatives: int = Field(default=5, ge=0)
    margin_mm: float = Field(default=2.0, ge=0.0)
    reach_mm: float = Field(default=10.0, ge=0.0)
    least_mm2: float = Field(default=25.0, ge=0.0)
    seed: int = Field(default=0, ge=0)

    def check(self) -> None:
        """Raise now what would fail for every scan: no folder, no SAM in it, no transformers."""
        check_folder(self.folder)

    def apply(self, mask: Mask, context: RefineContext) -> Mask:
        """The mask redrawn; the mask itself, with a note in the context, where there is no image to look at.

        Raises:
            AnnofreeError: There is no SAM to ask (see `check`).
        """
        network = load_sam(self.folder)
        at_hand = context.images or {}
        wanted = (self.sequence,) if self.sequence is not None else PREFERRED
        sequence = next((s for s in wanted if s in at_hand), None)
        box = bounding_box(context.brain)
        if sequence is None or box is None or not (mask & context.brain).any():
            if mask.any():
                context.notes.append("sam skipped: the image it may look at is not at hand")
            return mask.copy()
        image = grey_levels(at_hand[sequence], context.brain)
        within = context.brain & (ndimage.distance_transform_edt(~mask, sampling=context.spacing_mm) <= self.reach_mm)
        votes = np.zeros(mask.shape, dtype=np.uint8)
        shown = taken = 0
        for axis in _AXES[self.planes]:
            plane = Plane.across(axis, box, context.spacing_mm, network.size)
            redrawn = mask.copy()
            for index in np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis))):
                part = self._slice(int(index), plane, image, mask, within, context, network)
                if part is not None:
                    answer, islands, answers = part
                    plane.paste(redrawn, int(index), answer)
                    shown, taken = shown + islands, taken + answers
            votes += redrawn
        if taken < shown:
            context.notes.append(f"sam kept the mask's own outline {shown - taken} of {shown} times")
        needed = self.agreement if self.planes == "three" else 1
        result: Mask = votes >= needed
        return result

    def _slice(
        self,
        index: int,
        plane: Plane,
        image: NDArray[np.float32],
        mask: Mask,
        within: Mask,
        context: RefineContext,
        network: SamNetwork,
    ) -> tuple[Mask, int, int] | None:
        """A slice's new mask, how many islands were shown, how many answers were taken; None if none was shown."""
        own = plane.cut(mask, index).astype(bool)
        islands, count = components(own)
        least = self.least_mm2 / (plane.spacing_mm[0] * plane.spacing_mm[1])
        sizes = np.bincount(islands.ravel(), minlength=count + 1)
        chosen = [i for i in range(1, count + 1) if sizes[i] >= max(least, 1.0)]
        if not chosen:
            return None
        score = plane.cut(context.scores, index).astype(np.float32)
        brain = plane.cut(context.brain, index).astype(bool)
        allowed = plane.cut(within, index).astype(bool)
        embedding = network.embed(plane.picture(plane.cut(image, index).astype(np.float32)))
        result = own.copy()
        taken = 0
        for island in chosen:
            outline = islands == island
            for draw in range(self.draws):
                prompt = prompt_for(
                    outline,
                    score,
                    brain,
                    own,
                    positives=self.positives,
                    negatives=self.negatives,
                    margin_mm=self.margin_mm,
                    around_mm=self.reach_mm,
                    spacing_mm=plane.spacing_mm,
                    rng=np.random.default_rng([self.seed, plane.axis, index, island, draw]),
                )
                answer, belief = _asked(prompt, plane, embedding, network)
                answer &= allowed
                if belief >= self.gate and answer.any():
                    result = (result & ~outline) | answer
                    taken += 1
                    break
        return result, len(chosen), taken


def _asked(prompt: Prompt, plane: Plane, embedding: object, network: SamNetwork) -> tuple[Mask, float]:
    """The proposal that the model believes in most, in voxels of the cut slice, and the IoU that it expects."""
    corners = plane.shares(prompt.box)
    box = np.concatenate([corners.min(axis=0), corners.max(axis=0)])
    logits, beliefs = network.ask(
        embedding, box[None], plane.shares(prompt.points)[None], np.ascontiguousarray(prompt.positive[None])
    )
    best = int(np.argmax(beliefs[0]))
    found: Mask = plane.back(logits[0, best]) > 0
    return found, float(beliefs[0, best])
