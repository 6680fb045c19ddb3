"""The fits of both forms, from cohorts to a trained network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annofree.methods.mvit_ae.frame import Frame, frame
from annofree.methods.mvit_ae.healthy import (
    HOLD_OUT_SEEDS,
    LEARN_SEEDS,
    HealthySlices,
    healthy_volumes,
)
from annofree.methods.mvit_ae.learn import LearnSettings, fit_autoencoder
from annofree.methods.mvit_ae.network import MaskedViTAE, MaskedViTAESettings, ViTAE, ViTAESettings
from annofree.methods.mvit_ae.published_frame import network_settings, published_frame
from annofree.methods.mvit_ae.settings import MViTAEPublishedSettings, MViTAESettings
from annofree.networks.store import load_network
from annofree.scan import Cohort, Scan
from annofree.training.settings import TrainSettings

#: Held-out made brains by which weights are chosen.
_VALIDATION = 2


@dataclass(frozen=True)
class Fitted:
    """A trained network and what it learned from.

    Attributes:
        network: In evaluation mode.
        extra: What is kept beside its weights.
        card: For the model's card.
    """

    network: MaskedViTAE | ViTAE
    extra: dict[str, Any]
    card: dict[str, Any]


def training_settings(steps: int, seed: int) -> TrainSettings:
    """The loop's settings for small networks: 8 slices a step, made in the training process."""
    return TrainSettings(
        steps=steps,
        batch=8,
        learning_rate=1.5e-3,
        warmup=min(50, steps),
        ema=0.99,
        seed=seed,
        validate_every=200,
        ahead=0,
    )


def fit_ours(settings: MViTAESettings, workspace: Path, *, healthy: Cohort | None, patients: Cohort | None) -> Fitted:
    """Make the slices, train, load the best weights; what a stopped fit left in the workspace is used again.

    Args:
        settings: Of the method.
        workspace: Folder for slices and checkpoints.
        healthy: Real healthy scans.
        patients: Patients' scans for their better halves.
    """
    network = MaskedViTAESettings()
    return _fit(
        lambda scan: frame(scan, network.size, settings.spacing_mm)[0],
        network,
        training_settings(settings.steps, settings.seed),
        settings,
        workspace,
        {"spacing_mm": settings.spacing_mm},
        healthy=healthy,
        patients=patients,
    )


def fit_published(
    settings: MViTAEPublishedSettings, workspace: Path, *, healthy: Cohort | None, patients: Cohort | None
) -> Fitted:
    """As `fit_ours`, for the published network: four sequences only, whole slices, its own rate and batch."""
    network = network_settings(settings.network)
    training = training_settings(settings.steps, settings.seed)
    if settings.network == "published":
        rates = {"batch": 32, "learning_rate": 1e-4, "weight_decay": 1e-4}
        training = TrainSettings(**{**training.model_dump(), **rates})
    return _fit(
        lambda scan: published_frame(scan, network),
        network,
        training,
        settings,
        workspace,
        {"network size": settings.network},
        healthy=healthy,
        patients=patients,
        four_sequences=True,
    )


def _fit(
    cut: Callable[[Scan], Frame],
    network: MaskedViTAESettings | ViTAESettings,
    training: TrainSettings,
    settings: MViTAESettings | MViTAEPublishedSettings,
    workspace: Path,
    extra: dict[str, Any],
    *,
    healthy: Cohort | None,
    patients: Cohort | None,
    four_sequences: bool = False,
) -> Fitted:
    def gather(seeds: range, folder: str, real: Cohort | None, halves: Cohort | None) -> HealthySlices:
        volumes = healthy_volumes(
            cut,
            labelmaps=settings.labelmaps,
            seeds=seeds,
            healthy=real,
            patients=halves,
            four_sequences=four_sequences,
        )
        return HealthySlices.gather(volumes, workspace / folder)

    first, last = LEARN_SEEDS + settings.seed, HOLD_OUT_SEEDS
    slices = gather(range(first, first + settings.made), "slices", healthy, patients)
    held_out = gather(range(last - _VALIDATION, last), "held-out", None, None)
    run = workspace / "autoencoder"
    trained = fit_autoencoder(
        slices, held_out, run, network=network, settings=LearnSettings(), training=training, extra=extra
    )
    loaded, config = load_network(run / ("best" if trained.best_score is not None else "last"))
    assert isinstance(loaded, MaskedViTAE | ViTAE)
    kinds = [int((slices.kind == kind).sum()) for kind in range(3)]
    card = {
        "brains": f"{kinds[0]} made, {kinds[1]} real healthy scans, {kinds[2]} better halves of patients",
        "real scans": list(slices.ids),
        "masks": "none",
        "slices": len(slices.volume),
        "steps": trained.step,
        "held-out loss": None if trained.best_score is None else -trained.best_score,
    }
    return Fitted(loaded, {key: value for key, value in config.items() if key != "network"}, card)
