"""Healthy slices for training: varied, corrupted, always the same for the same seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from annofree.errors import InputError
from annofree.methods.reconstruction.adversarial import AdversarialSettings, gradient_penalty, train_fanogan
from annofree.methods.reconstruction.ae import FAnoGANSettings
from annofree.methods.reconstruction.slice_samples import (
    HeldOutSlices,
    SliceSampler,
    Stack,
    coarse_noise,
    reconstruction_objective,
    stacks_of,
)
from annofree.networks import build, load_network
from annofree.phantom import phantom_subject
from annofree.prepare.slices import SliceSettings
from annofree.scan import Modality


@pytest.fixture(scope="module")
def stacks() -> list[Stack]:
    scan = phantom_subject(3, healthy=True, spacing_mm=4.0).scan
    return stacks_of([scan], SliceSettings(size=48, spacing_mm=4.0))


def test_stacks_hold_all_sequences_and_no_empty_slice(stacks: list[Stack]) -> None:
    assert {stack.sequence for stack in stacks} == set(Modality)
    assert all((stack.levels > 0).any(axis=(1, 2)).all() for stack in stacks)


def test_a_sample_depends_on_seed_step_and_lane_alone(stacks: list[Stack]) -> None:
    one, two = SliceSampler(stacks, seed=4), SliceSampler(stacks, seed=4)
    two(17, 0)
    for key, value in one(3, 1).items():
        assert torch.equal(value, two(3, 1)[key])
    assert not torch.equal(one(3, 1)["x"], one(3, 2)["x"])
    assert not torch.equal(one(3, 1)["x"], SliceSampler(stacks, seed=5)(3, 1)["x"])


def test_noise_lies_on_the_foreground_and_nowhere_else(stacks: list[Stack]) -> None:
    sample = SliceSampler(stacks)(0, 0)
    moved = (sample["x"] - sample["clean"]).abs()
    assert not moved[~sample["foreground"]].any()
    assert float(moved[sample["foreground"]].mean()) > 0.02
    assert torch.equal(sample["foreground"], sample["clean"] > 0)
    plain = SliceSampler(stacks, noise=False)(0, 0)
    assert torch.equal(plain["x"], plain["clean"])


def test_coarse_noise_is_as_coarse_and_as_strong_as_said() -> None:
    rng = np.random.default_rng(0)
    noise = torch.stack([coarse_noise((128, 128), rng) for _ in range(64)])
    # between grid points bilinear interpolation averages: variance is 4/9 of that of the grid on the whole
    assert float(noise.std()) == pytest.approx(0.2 * 2 / 3, rel=0.06)
    assert float(noise.abs().max()) > 0.5
    wide = torch.nn.functional.avg_pool2d(noise[:, None], 3, 1)
    assert float(wide.std()) > 0.9 * float(noise.std())  # nothing finer than a lesion


def test_the_objective_looks_at_the_foreground_and_adds_the_penalty() -> None:
    batch = {"x": torch.zeros(2, 1, 4, 4), "clean": torch.zeros(2, 1, 4, 4), "foreground": torch.zeros(2, 1, 4, 4) > 1}
    batch["foreground"][0, 0, :2] = True
    answer = torch.full((2, 1, 4, 4), 7.0)
    answer[0, 0, :2] = 0.5

    class Constant(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return answer, torch.tensor(0.125)

    assert float(reconstruction_objective(Constant(), batch)) == pytest.approx(0.25 + 0.125)


def test_validation_prefers_the_better_denoiser(stacks: list[Stack]) -> None:
    check = HeldOutSlices(stacks, noise=True, count=4)

    class Keep(torch.nn.Module):
        def __init__(self, factor: float) -> None:
            super().__init__()
            self.factor = torch.nn.Parameter(torch.tensor(factor))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * self.factor

    assert check(Keep(1.0))["score"] > check(Keep(0.0))["score"]


def test_without_slices_there_is_a_sentence() -> None:
    with pytest.raises(InputError, match="no healthy slice"):
        SliceSampler([])


def test_gradient_penalty_of_a_linear_critic_is_known() -> None:
    class Linear(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return 3.0 * x[:, 0, 0, 0], x

    real, fake = torch.rand(4, 1, 5, 5), torch.rand(4, 1, 5, 5)
    assert float(gradient_penalty(Linear(), real, fake, 0)) == pytest.approx(4.0)


def test_f_anogan_resumes_bit_for_bit_and_its_generator_stays_when_the_encoder_learns(
    stacks: list[Stack], tmp_path: Path
) -> None:
    shape = FAnoGANSettings(size=48, widths=(4, 8), latent=4)
    sampler = SliceSampler(stacks, noise=False)

    def run(folder: Path, generator_steps: int) -> torch.nn.Module:
        settings = AdversarialSettings(
            generator_steps=generator_steps, critic_steps=2, encoder_steps=2, batch=2, checkpoint_minutes=1e-6
        )
        return load_network(train_fanogan(shape, sampler, folder, settings))[0]

    whole = run(tmp_path / "whole", 3)
    run(tmp_path / "parts", 2)
    for part in (tmp_path / "parts" / "encoder").glob("*.safetensors"):
        part.unlink()
    parts = run(tmp_path / "parts", 3)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, parts.state_dict()[name]), name
    torch.manual_seed(0)
    fresh = build(shape)
    assert not torch.equal(fresh.critic.score.weight, whole.critic.score.weight)  # type: ignore[union-attr]


def test_a_slice_that_is_no_number_breaks_no_weight_of_f_anogan(stacks: list[Stack], tmp_path: Path) -> None:
    good = SliceSampler(stacks, noise=False)

    def sampler(step: int, lane: int) -> dict[str, torch.Tensor]:
        sample = good(step, lane)
        return {**sample, "clean": sample["clean"] * float("nan")} if step % 2 else sample

    shape = FAnoGANSettings(size=48, widths=(4, 8), latent=4)
    settings = AdversarialSettings(generator_steps=3, critic_steps=2, encoder_steps=2, batch=2)
    network = load_network(train_fanogan(shape, sampler, tmp_path / "run", settings))[0]
    assert all(bool(torch.isfinite(value).all()) for value in network.state_dict().values())
