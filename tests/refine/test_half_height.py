"""The border must lie where the scanner's blur puts half the height, however bright the finding."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from annofree.refine import parse
from annofree.refine.base import RefineContext
from annofree.refine.half_height import HalfHeight


@pytest.mark.parametrize("height", [1.6, 3.0, 8.0])
def test_a_blurred_ball_gets_its_own_size_whatever_its_brightness(height: float) -> None:
    grid = np.stack(np.meshgrid(*(np.arange(40),) * 3, indexing="ij")) - 19.5
    ball = (grid**2).sum(0) <= 10.0**2
    scores = height * ndimage.gaussian_filter(ball.astype(np.float32), 1.5)
    context = RefineContext(scores=scores, brain=np.ones(ball.shape, bool), spacing_mm=(2.0, 2.0, 2.0))
    called = scores > 1.0
    drawn = HalfHeight().apply(called, context)

    def dice(mask: np.ndarray) -> float:
        return 2 * (mask & ball).sum() / (mask.sum() + ball.sum())

    assert dice(drawn) > 0.93  # the halo in the mask lowers the median, so a bright ball comes out a little large
    assert dice(drawn) >= dice(called)


def test_faint_and_bright_findings_keep_their_own_heights_and_none_vanishes() -> None:
    scores = np.zeros((30, 12, 12), np.float32)
    scores[3:9, 3:9, 3:9] = 1.2
    scores[16:22, 3:9, 3:9] = 6.0
    scores[22:24, 3:9, 3:9] = 1.5
    context = RefineContext(scores=scores, brain=np.ones(scores.shape, bool), spacing_mm=(1.0, 1.0, 1.0))
    drawn = HalfHeight().apply(scores > 1.0, context)
    assert drawn[3:9, 3:9, 3:9].all()
    assert drawn[16:22, 3:9, 3:9].all()
    assert not drawn[22:].any()
    assert not HalfHeight().apply(np.zeros(scores.shape, bool), context).any()


def test_nothing_is_drawn_beyond_its_reach_or_the_brain() -> None:
    scores = np.full((40, 9, 9), 0.9, np.float32)
    scores[:4] = 1.1
    brain = np.ones(scores.shape, bool)
    brain[:, 0] = False
    context = RefineContext(scores=scores, brain=brain, spacing_mm=(1.0, 1.0, 1.0))
    drawn = HalfHeight(reach_mm=5.0).apply((scores > 1.0) & brain, context)
    assert drawn[:9, 1:].all()
    assert not drawn[9:].any()
    assert not drawn[:, 0].any()
    assert isinstance(parse("half-height:0.5"), HalfHeight)
