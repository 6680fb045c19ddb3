"""What a pseudo-label leaves open must not teach a network anything; everything else must."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from annofree.methods.synthtumour.partial import (
    UNSURE,
    UNSURE_ET,
    UNSURE_TC,
    UNSURE_WT,
    PartialSampler,
    core_left_open,
    pack,
    partial_objective,
)
from annofree.methods.synthtumour.senior import HeldCases
from annofree.training.losses import CALIBRATED, Mix, dice_ce, region_objective
from annofree.training.sources import Turns
from annofree.training.stream import Batch


class Logits(nn.Module):
    """Free logits at two resolutions, as if a network had given them."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        g = torch.Generator().manual_seed(seed)
        self.fine = nn.Parameter(torch.randn(1, 3, 8, 8, 8, generator=g))
        self.coarse = nn.Parameter(torch.randn(1, 3, 4, 4, 4, generator=g))

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        return [self.fine, self.coarse]


def batch(labels: torch.Tensor, known: torch.Tensor) -> Batch:
    return {"x": torch.zeros(1, 1, 8, 8, 8), "labels": labels, "known": known, "brain": known[:, 0]}


def test_open_voxels_do_not_move_the_network_whatever_they_are_labelled() -> None:
    labels = torch.zeros(1, 8, 8, 8, dtype=torch.uint8)
    labels[0, 2:6, 2:6, 2:6] = 2
    known = torch.ones(1, 3, 8, 8, 8, dtype=torch.bool)
    known[:, 0, :, :, 4:] = False  # the whole tumour is open in one half
    other = labels.clone()
    other[0, :, :, 4:] = 2 - other[0, :, :, 4:]
    model = Logits(0)
    loss = partial_objective(model, batch(labels, known))
    assert torch.equal(loss, partial_objective(model, batch(other, known)))
    loss.backward()
    assert model.fine.grad is not None
    assert not model.fine.grad[0, 0, :, :, 4:].any()
    assert model.fine.grad[0, 0, :, :, :4].any()
    assert model.fine.grad[0, 1, :, :, 4:].any()  # the core is known there


def test_with_nothing_open_the_loss_is_the_usual_one() -> None:
    labels = torch.randint(0, 4, (1, 8, 8, 8), generator=torch.Generator().manual_seed(1))
    known = torch.ones(1, 3, 8, 8, 8, dtype=torch.bool)
    model = Logits(2)
    one, two = partial_objective(model, batch(labels, known)), region_objective(model, batch(labels, known))
    assert torch.allclose(one, two, atol=1e-6)


def test_an_inner_region_is_not_known_where_the_outer_one_is_open() -> None:
    sure, unsure = np.zeros((3, 2, 1, 1), bool), np.zeros((3, 2, 1, 1), bool)
    sure[:, :, 0, 0] = True
    unsure[0, 1] = True
    packed = pack(sure, unsure)
    labels, open_ = packed & 3, np.stack([(packed & bit) > 0 for bit in UNSURE])
    assert labels.ravel().tolist() == [3, 0]
    assert open_[:, 0].ravel().tolist() == [False] * 3
    assert open_[:, 1].ravel().tolist() == [True] * 3


def test_a_partial_sample_is_taken_apart_and_the_rest_of_the_world_is_not_looked_at() -> None:
    packed = torch.tensor([0, 2, UNSURE_WT, 1 | UNSURE_TC], dtype=torch.uint8).view(4, 1, 1)
    brain = torch.tensor([False, True, True, True]).view(4, 1, 1)
    sample = PartialSampler(lambda step, lane: {"x": torch.zeros(1), "labels": packed, "brain": brain})(0, 0)
    assert sample["labels"].ravel().tolist() == [0, 2, 0, 1]
    assert sample["known"][:, :, 0, 0].int().tolist() == [[0, 1, 0, 1], [0, 1, 1, 0], [0, 1, 1, 1]]


def test_sources_take_turns_and_each_counts_its_own_steps() -> None:
    def source(name: int):  # type: ignore[no-untyped-def]
        return lambda step, lane: {"x": torch.tensor([name, step])}

    turns = Turns([source(0), source(1), source(2)])
    assert [turns(step, 0)["x"].tolist() for step in range(5)] == [[0, 0], [1, 0], [2, 0], [0, 1], [1, 1]]
    assert turns(0, 0)["x"].tolist() != turns(0, 1)["x"].tolist()  # two lanes of a step see different sources


def test_held_cases_come_round_again() -> None:
    cases = HeldCases([(torch.zeros(1), torch.zeros(1), torch.tensor([n])) for n in range(3)])
    assert [int(cases(seed)[2]) for seed in range(5)] == [0, 1, 2, 0, 1]


def test_core_without_enhancement_is_left_open() -> None:
    packed = torch.tensor([0, 1, 2, 3, 1 | UNSURE_ET], dtype=torch.uint8).view(5, 1, 1)
    _, _, opened = core_left_open((torch.zeros(4, 5, 1, 1), torch.ones(5, 1, 1, dtype=torch.bool), packed))
    labels, unsure = opened.numpy() & 3, np.stack([(opened.numpy() & bit) > 0 for bit in UNSURE])
    assert labels.ravel().tolist() == [0, 1, 2, 3, 1]
    assert unsure[1].ravel().tolist() == [False, True, False, False, True]
    assert not unsure[0].any()


def test_an_unsure_network_loses_nothing_by_saying_what_it_knows() -> None:
    """Two voxels in five are tumour, nobody can tell which: Dice alone would have all of them called."""
    generator = torch.Generator().manual_seed(0)
    target = (torch.rand(1, 3, 12, 12, 12, generator=generator) < 0.4).float()
    brain = torch.ones(1, 1, 12, 12, 12)

    def best(mix: Mix) -> float:
        shares = torch.linspace(0.2, 0.98, 79)
        losses = [dice_ce(torch.full_like(target, float(torch.logit(p))), target, brain, mix=mix) for p in shares]
        return float(shares[int(torch.stack(losses).argmin())])

    even = best(Mix(1.0, 0.5, 0.0))
    calibrated = best(Mix(CALIBRATED.dice, CALIBRATED.mean, 0.0))
    assert calibrated < even
    assert calibrated < 0.5
