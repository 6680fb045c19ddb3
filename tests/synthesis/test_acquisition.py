"""Noise fields and scanner effects do what their names say."""

from __future__ import annotations

import pytest
import torch

from annofree.synthesis import acquisition, resample
from annofree.synthesis.seeds import Seeds
from annofree.synthesis.settings import Acquisition

OFF = Acquisition(
    bias=False,
    slices=False,
    misregistration=False,
    mask_errors=False,
    noise=False,
    blur=False,
    gamma=False,
    quantisation=False,
    missing_slab=False,
)


def _blocks() -> torch.Tensor:
    images = torch.full((4, 24, 24, 24), 0.2)
    images[:, 6:18, 6:18, 6:18] = 1.0
    return images


@pytest.mark.parametrize("scale", [1.0, 2.5, 7.0, 15.0])
def test_smooth_noise_has_unit_variance_at_every_scale(scale: float) -> None:
    field = torch.stack([Seeds(s).smooth((24, 24, 24), scale)[0] for s in range(60)])
    assert float(field.square().mean()) == pytest.approx(1.0, abs=0.15)


def test_streams_are_independent_and_repeatable() -> None:
    assert Seeds(3).stream("a").uniform(0, 1) == Seeds(3).stream("a").uniform(0, 1)
    assert Seeds(3).stream("a").uniform(0, 1) != Seeds(3).stream("b").uniform(0, 1)
    assert torch.equal(Seeds(3).white((5,)), Seeds(3).white((5,)))


def test_all_off_leaves_images_alone_but_for_the_scale() -> None:
    images, own = _blocks(), Seeds(1)
    assert torch.equal(acquisition.bias_field(images, 2.0, own, OFF), images)
    assert torch.equal(acquisition.noise(images, 2.0, own, OFF), images)
    assert torch.allclose(acquisition.optics(images, 2.0, own, OFF), images, atol=1e-5)
    made = acquisition.digitise(images, own, OFF)
    assert torch.allclose(made / made.amax((1, 2, 3), keepdim=True), images, atol=1e-5)


def test_thick_slices_keep_the_mean_and_lose_detail() -> None:
    images = torch.rand(4, 24, 24, 24, generator=torch.Generator().manual_seed(1))
    only = OFF.model_copy(update={"slices": True})
    seed = next(s for s in range(50) if max(t for _, t in acquisition._slabs(Seeds(s).stream("slices"))) > 4.5)
    made = acquisition.optics(images, 2.0, Seeds(seed), only)
    assert float(made.mean()) == pytest.approx(float(images.mean()), rel=0.02)
    assert float(made.var()) < 0.95 * float(images.var())


def test_misregistration_is_bounded() -> None:
    only = OFF.model_copy(update={"misregistration": True})
    line = torch.arange(24.0)[:, None, None].expand(24, 24, 24)
    for seed in range(12):
        made = acquisition.optics(line.expand(4, 24, 24, 24), 2.0, Seeds(seed), only)
        moved = (made[:, 5:-5, 12, 12] - line[5:-5, 12, 12]).abs().amax(1) * 2.0
        assert (moved <= torch.tensor([2.0, 0.7, 2.0, 0.7]) + 1e-3).all()


def test_mask_errors_stay_within_the_stated_bounds() -> None:
    axis = torch.linspace(-40, 40, 41)
    radius = (axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2).sqrt()
    depth = 30.0 - radius
    for seed in range(6):
        mask = acquisition.brain_mask(depth, 2.0, Seeds(seed), Acquisition())
        assert bool(mask[depth > 2.0].all())
        assert not bool(mask[depth < -2.5].any())


def test_zoom_interpolates_linearly() -> None:
    ramp = torch.arange(10.0)[:, None, None].expand(1, 10, 10, 10)
    made = resample.zoom(ramp, (2.25, 2.0, 2.0), (4, 3, 3), 0.5)
    assert torch.allclose(made[0, :, 0, 0], torch.tensor([2.25, 2.75, 3.25, 3.75]))
