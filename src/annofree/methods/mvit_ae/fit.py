"""The fits of both forms, from cohorts to a trained network and what is said of it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from annofree.methods.mvit_ae.frame import Frame, frame
from annofree.methods.mvit_ae.healthy import HOLD_OUT_SEEDS, LEARN_SEEDS, HealthySlices, healthy_volumes
from annofree.methods.mvit_ae.learn import fit_autoencoder
from annofree.methods.mvit_ae.network import MaskedViTAE, MaskedViTAESettings, ViTAE, ViTAESettings
from annofree.methods.mvit_ae.published_frame import network_settings, published_frame
from annofree.methods.mvit_ae.settings import MViTAEPublishedSettings, MViTAESettings
from annofree.networks.store import load_network
from annofree.scan import Cohort, Scan
from annofree.training.settings import TrainSettings

#: Held-out made brains by which weights are chosen.
_VALIDATION = 2

Fitted = tuple[MaskedViTAE | ViTAE, dict[str, Any], dict[str, Any]]
"""The network in evaluation mode, what it learned from, and what is kept beside its weights."""


def fit(
    settings: MViTAESettings | MViTAEPublishedSettings,
    healthy: Cohort | None,
    patients: Cohort | None,
    workspace: Path | None,
) -> Fitted:
    """Make the slices, train, load the best weights; what a stopped fit left in the workspace is used again.

    The published form learns whole slices of brains with all four sequences, at its own rate and batch.
    """
    rates: dict[str, Any] = {"batch": 8, "learning_rate": 1.5e-3}
    network: MaskedViTAESettings | ViTAESettings = MaskedViTAESettings()
    extra: dict[str, Any] = {}
    if isinstance(settings, MViTAESettings):
        extra = {"spacing_mm": settings.spacing_mm}
    else:
        network, extra = network_settings(settings.network), {"network size": settings.network}
        if settings.network == "published":
            rates = {"batch": 32, "learning_rate": 1e-4, "weight_decay": 1e-4}

    def cut(scan: Scan) -> Frame:
        if isinstance(network, ViTAESettings):
            return published_frame(scan, network)
        return frame(scan, network.size, extra["spacing_mm"])[0]

    steps = settings.steps
    loop = {"warmup": min(50, steps), "ema": 0.99, "validate_every": 200, "ahead": 0, **rates}
    training = TrainSettings(steps=steps, seed=settings.seed, **loop)
    with tempfile.TemporaryDirectory() as temporary:
        work = workspace or Path(temporary)

        def gather(seeds: range, folder: str, healthy: Cohort | None, patients: Cohort | None) -> HealthySlices:
            whole = isinstance(network, ViTAESettings)
            volumes = healthy_volumes(cut, settings.labelmaps, seeds, healthy, patients, four_sequences=whole)
            return HealthySlices.gather(volumes, work / folder)

        first, last = LEARN_SEEDS + settings.seed, HOLD_OUT_SEEDS
        slices = gather(range(first, first + settings.made), "slices", healthy, patients)
        held_out = gather(range(last - _VALIDATION, last), "held-out", None, None)
        run = work / "autoencoder"
        trained = fit_autoencoder(slices, held_out, run, network=network, training=training, extra=extra)
        loaded, config = load_network(trained.chosen)
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
    return loaded, card, {key: value for key, value in config.items() if key != "network"}
