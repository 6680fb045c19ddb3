"""No rule of borders moves what it cannot see better: volumes stay within 3 % on noise, within 4 % on soft edges."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from annofree.borders import BORDERS
from annofree.refine import RefineContext
from annofree.refine.appearance import Appearance
from annofree.refine.half_height import HalfHeight
from annofree.scan import Modality

SHAPE = (56, 56, 56)
_GRID = np.stack(np.meshgrid(*(np.arange(n) - (n - 1) / 2 for n in SHAPE), indexing="ij"))


def depth_of(shape: str) -> np.ndarray:
    """Signed depth in mm below the surface of a ball, an ellipsoid or a shell of 2 mm."""
    away = np.sqrt((_GRID**2).sum(axis=0))
    if shape == "ball":
        return 10.3 - away
    if shape == "ellipsoid":
        return 9.0 * (1.0 - np.sqrt((_GRID[0] / 16) ** 2 + (_GRID[1] / 11) ** 2 + (_GRID[2] / 8) ** 2))
    return 1.0 - np.abs(away - 13.3)


def context_of(depth: np.ndarray, edge_mm: float | None, border: float) -> tuple[np.ndarray, RefineContext]:
    """A mask, and images of pure noise (None) or with an edge of that width.

    The mask ends where a voxel holds `border` of lesion; scores are the share of lesion, as blurred as the images, so
    that odds are even at `border`.
    """
    generator = np.random.default_rng(3)
    brain = np.sqrt((_GRID**2).sum(axis=0)) < 26
    share = 1.0 / (1.0 + np.exp(-np.clip(depth / (edge_mm or 0.01), -30, 30)))
    mask = share >= border
    images = {}
    for sequence, contrast in ((Modality.T1, -1.0), (Modality.FLAIR, 2.0)):
        seen = 0.0 if edge_mm is None else contrast * share
        image = 300 * (5 + seen + 0.25 * generator.normal(size=SHAPE))
        images[sequence] = np.where(brain, image, 0).astype(np.float32)
    return mask, RefineContext((0.99 * share).astype(np.float32), brain, (1.0, 1.0, 1.0), images, threshold_value=0.5)


@pytest.mark.parametrize("edge_mm", [None, 0.2, 1.0], ids=["noise", "sharp", "soft"])
@pytest.mark.parametrize("shape", ["ball", "ellipsoid", "shell"])
def test_the_visible_border_stays_under_appearance(shape: str, edge_mm: float | None) -> None:
    mask, context = context_of(depth_of(shape), edge_mm, BORDERS["visible"].whole)
    found = Appearance(even=BORDERS["visible"].whole).apply(mask, context)
    off = float(found.sum()) - float(mask.sum())
    if edge_mm == 0.2 and shape != "shell":
        # a step narrower than a voxel is seen as far as its own smoothing spreads it
        surface = float((mask & ndimage.binary_dilation(~mask)).sum())
        assert 0.0 <= off / surface <= 0.5  # voxels of 1 mm: less than half a voxel
    else:
        assert abs(off) <= (0.03 if edge_mm is None else 0.04) * float(mask.sum())


@pytest.mark.parametrize("width_mm", [1.0, 2.0])
@pytest.mark.parametrize("shape", ["ball", "ellipsoid"])
def test_without_anything_to_see_the_border_lies_where_odds_are_even(shape: str, width_mm: float) -> None:
    depth = depth_of(shape)
    lesion, context = context_of(depth, None, 0.5)
    # a network that learned by Dice: it says 0.8 at the border, and its mask ends further out
    surer = depth / width_mm + np.log(0.8 / 0.2)
    context = replace(context, scores=(1.0 / (1.0 + np.exp(-np.clip(surer, -30, 30)))).astype(np.float32))
    called = context.scores > 0.5
    assert called.sum() > 1.15 * lesion.sum()
    found = Appearance().apply(called, context)
    assert abs(float(found.sum()) - float(lesion.sum())) <= 0.03 * float(lesion.sum())


@pytest.mark.parametrize("edge_mm", [None, 0.2, 0.5], ids=["hard", "sharp", "soft"])
@pytest.mark.parametrize("shape", ["ball", "ellipsoid"])
def test_half_of_the_height_stays(shape: str, edge_mm: float | None) -> None:
    mask, context = context_of(depth_of(shape), edge_mm, 0.5)
    found = HalfHeight().apply(mask, context)
    assert float(found.sum()) == pytest.approx(float(mask.sum()), rel=0.03)
