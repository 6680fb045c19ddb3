"""The published junior: its data are the published ones, and nothing but the shifted task chooses its weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from annofree.methods.synthtumour.published_junior import PublishedCases, fit_flair_junior, shifted_validation
from annofree.networks import ThinUNetSettings, load_network
from annofree.training.samples import SampleSettings
from annofree.training.settings import TrainSettings
from annofree.training.stream import TrainingCase


def host(seed: int) -> TrainingCase:
    """A ball of noisy brain of 60 mm radius at 2 mm, FLAIR alone."""
    g = torch.Generator().manual_seed(seed)
    axes = torch.stack(torch.meshgrid(*[torch.arange(64.0)] * 3, indexing="ij"))
    brain = ((axes - 31.5) ** 2).sum(0) < 30**2
    images = torch.zeros(4, 64, 64, 64)
    images[3] = (100 + 8 * torch.randn(64, 64, 64, generator=g)) * brain
    return images, brain, brain.byte() * 0


def test_labels_are_dilated_in_training_and_not_in_the_shifted_twin_of_the_same_blob() -> None:
    hosts = [host(1)]
    ratios = []
    for seed in range(4):
        _, _, taught = PublishedCases(hosts, 2.0)(seed)
        images, _, shifted = PublishedCases(hosts, 2.0, validation=True)(seed)
        blob = (shifted & 3) > 0
        assert bool((((taught & 3) > 0) | ~blob).all())
        ratios.append(float(((taught & 3) > 0).sum() / blob.sum()))
        # the shifted twin keeps the image's own texture, only brighter
        assert float(images[3][blob].std()) > 8 * 1.4
    assert 1.1 < np.mean(ratios) < 1.5  # published: 1.28


def test_a_coarser_network_still_sees_the_published_volume_of_labels() -> None:
    hosts = [host(1)]
    fine, coarse = PublishedCases(hosts, 2.0)(3), PublishedCases(hosts, 2.0, blocks=2)(3)
    assert coarse[0].shape == (4, 32, 32, 32)
    ml = [float(((case[2] & 3) > 0).sum()) * voxel for case, voxel in ((fine, 0.008), (coarse, 0.064))]
    assert ml[1] == pytest.approx(ml[0], rel=0.08)
    assert not bool(coarse[0][:3].any())


def test_what_is_watched_is_logged_and_chooses_nothing(tmp_path: Path) -> None:
    seen: list[float] = []

    def watch(network: nn.Module) -> dict[str, float]:
        seen.append(float(len(seen)))
        return {"phantom": seen[-1]}

    settings = TrainSettings(
        steps=4, warmup=1, learning_rate=0.0001, ema=0.0, validate_every=1, ahead=0, precision="fp32"
    )
    validate = shifted_validation([host(3)], 2.0, 2, blocks=2)
    trained = fit_flair_junior(
        PublishedCases([host(1), host(2)], 2.0, blocks=2),
        lambda network: {**validate(network), **watch(network)},
        tmp_path,
        settings,
        spacing_mm=4.0,
        network=ThinUNetSettings(full=2, widths=(4, 8)),
        sample=SampleSettings(patch=(32, 32, 32), shift=0),
    )
    records = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    checks = [r for r in records if "phantom" in r]
    assert [r["phantom"] for r in checks] == [0.0, 1.0, 2.0, 3.0]
    assert trained.best_score == max(r["dice_shifted"] for r in checks)
    assert all({"dice_alike", "loss_alike", "loss_shifted"} <= set(r) for r in checks)
    network, config = load_network(tmp_path / "best")
    assert (config["spacing_mm"], config["regions"]) == (4.0, ["WT"])
    again = validate(network)
    assert again["score"] == pytest.approx(trained.best_score, abs=0.02)  # half precision on disk
