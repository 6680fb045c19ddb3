"""How the autoencoder learns healthy slices: what a step sees, the loss, the fit."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn

from annofree.methods.mvit_ae.frame import CLIP, Frame, frame, network_settings, published_frame
from annofree.methods.mvit_ae.healthy import HOLD_OUT_SEEDS, LEARN_SEEDS, HealthySlices, healthy_volumes
from annofree.methods.mvit_ae.network import MaskedViTAE, MaskedViTAESettings, ViTAE, ViTAESettings
from annofree.methods.mvit_ae.settings import MViTAEPublishedSettings, MViTAESettings
from annofree.networks.build import build
from annofree.networks.store import load_network
from annofree.scan import Cohort, Scan
from annofree.training.loop import Objective, Trained, train
from annofree.training.settings import TrainSettings
from annofree.training.stream import Batch, Sampler, stacked

#: Width (sigma) of the Gaussian window of the structural similarity, and its side, in voxels; as published.
_SIGMA, _WINDOW = 1.5, 11
#: Robust z is lifted by this much for the structural similarity, which is made for grey levels above 0.
_LIFT = 4.0
#: Volumes of each kind are drawn as often as this, whatever their number: made, real healthy, patients' better halves.
_SHARES = (0.55, 0.3, 0.15)


#: Weight of (1 - SSIM) beside the mean squared error, as published.
_SSIM_WEIGHT = 100.0
#: Largest share of patches that are hidden; share of samples that show a single sequence; largest shift in voxels.
_HIDDEN, _ALONE, _SHIFT = 0.6, 0.2, 3


class SliceSampler:
    """Healthy slices, varied; what is drawn depends on seed, step and lane alone."""

    def __init__(self, slices: HealthySlices, network: MaskedViTAESettings, *, seed: int) -> None:
        self.slices, self.network, self.seed = slices, network, seed
        share = np.zeros(len(slices.kind))
        for kind, weight in enumerate(_SHARES):
            members = slices.kind == kind
            share[members] = weight / max(1, members.sum())
        per_slice = np.bincount(slices.volume, minlength=len(share))[slices.volume]
        chance = share[slices.volume] / per_slice
        self._edges = np.cumsum(chance) / chance.sum()

    def __call__(self, step: int, lane: int) -> Batch:
        """One slice: ``x`` (4, X, Y), ``brain``, ``present`` (4,), ``hidden`` (4, N), ``height`` and ``noise``."""
        rng = np.random.default_rng([self.seed, step, lane])
        number = min(int(np.searchsorted(self._edges, rng.random())), len(self._edges) - 1)
        images = np.asarray(self.slices.images[number], dtype=np.float32)
        brain = np.asarray(self.slices.brain[number])
        present = self.slices.present[self.slices.volume[number]]
        if rng.random() < 0.5:
            images, brain = images[:, ::-1], brain[::-1]
        shift = rng.integers(-_SHIFT, _SHIFT + 1, size=2)
        images, brain = ndimage.shift(images, (0, *shift), order=0), ndimage.shift(brain, shift, order=0)
        gain = np.exp(rng.normal(0.0, 0.1, (len(present), 1, 1)))
        offset = rng.normal(0.0, 0.15, (len(present), 1, 1))
        images = np.clip(images * gain + offset, -CLIP, CLIP) * brain * present[:, None, None]
        rows, columns = self.network.tokens
        hidden = hide(rng, present, (rows, columns))
        noise = rng.standard_normal((rows * columns, self.network.dim), dtype=np.float32)
        return {
            "x": torch.from_numpy(images.astype(np.float32)),
            "brain": torch.from_numpy(brain.astype(np.float32)),
            "present": torch.from_numpy(present.copy()),
            "hidden": torch.from_numpy(hidden),
            "height": torch.tensor(float(self.slices.height[number])),
            "noise": torch.from_numpy(noise),
        }


class PlainSampler:
    """Whole slices as they are, nothing varied or hidden: the published "base" transform."""

    def __init__(self, slices: HealthySlices, network: ViTAESettings, *, seed: int) -> None:
        self.slices, self.network, self.seed = slices, network, seed

    def __call__(self, step: int, lane: int) -> Batch:
        """One slice: ``x`` (4, X, Y) and ``noise``."""
        rng = np.random.default_rng([self.seed, step, lane])
        number = int(rng.integers(len(self.slices.volume)))
        rows, columns = self.network.tokens
        noise = rng.standard_normal((rows * columns, self.network.dim), dtype=np.float32)
        images = np.array(self.slices.images[number], dtype=np.float32)
        return {"x": torch.from_numpy(images), "noise": torch.from_numpy(noise)}


def hide(rng: np.random.Generator, present: NDArray[np.bool_], tokens: tuple[int, int]) -> NDArray[np.bool_]:
    """Which patches of which sequences are not shown, (4, N) boolean.

    Sequences are left out at random, at least one stays; then blobs of patches, or single ones, are hidden in all
    sequences alike or in each on its own.
    """
    shown = present.copy()
    there = np.flatnonzero(present)
    if rng.random() < _ALONE:
        shown[:] = False
        shown[rng.choice(there)] = True
    elif rng.random() < 0.5:
        shown &= rng.random(len(present)) < 0.75
        if not shown.any():
            shown[rng.choice(there)] = True
    hidden = np.repeat(~shown[:, None], tokens[0] * tokens[1], axis=1)
    share = rng.uniform(0.0, _HIDDEN)
    if share < 0.05:
        return hidden
    fields = rng.standard_normal((1 if rng.random() < 0.7 else len(present), *tokens))
    if rng.random() < 0.6:
        fields = np.stack([ndimage.gaussian_filter(field, 1.2) for field in fields])
    return hidden | (fields < np.quantile(fields, share)).reshape(len(fields), -1)


def masked_objective(model: nn.Module, batch: Batch) -> Tensor:
    """:func:`slice_loss` inside the brain and over the sequences that are there."""
    found = model(batch["x"], batch["brain"], batch["hidden"], batch["height"], batch["noise"])
    weight = batch["brain"][:, None] * batch["present"][:, :, None, None]
    return slice_loss(found * weight, batch["x"] * weight, weight, _SSIM_WEIGHT, lift=_LIFT, span=2 * CLIP)


def plain_objective(model: nn.Module, batch: Batch) -> Tensor:
    """:func:`slice_loss` over whole slices, as published."""
    found = model(batch["x"], batch["noise"])
    return slice_loss(found, batch["x"], torch.ones_like(found), _SSIM_WEIGHT, lift=0.0, span=1.0)


def slice_loss(
    found: Tensor, wanted: Tensor, weight: Tensor, ssim_weight: float, *, lift: float, span: float
) -> Tensor:
    """Weighted mean squared error + ``ssim_weight`` x (1 - weighted mean SSIM) of ``(B, C, X, Y)``, 0 where unweighted.

    `lift` is added inside the weight before the structural similarity, whose constants are made for grey levels of a
    range of `span`.
    """
    from monai.metrics.regression import compute_ssim_and_cs

    error = ((found - wanted).square() * weight).sum() / weight.sum().clamp_min(1.0)
    similar, _ = compute_ssim_and_cs(
        found + lift * weight, wanted + lift * weight, 2, (_WINDOW, _WINDOW), (_SIGMA, _SIGMA), data_range=span
    )
    rim = _WINDOW // 2
    inner = weight[:, :, rim:-rim, rim:-rim]
    loss: Tensor = error + ssim_weight * (1.0 - (similar * inner).sum() / inner.sum().clamp_min(1.0))
    return loss


class HealthyValidation:
    """Minus the loss on two batches of 16 held-out slices, varied as in training."""

    def __init__(self, sampler: Sampler, loss: Objective) -> None:
        self.batches = [stacked(sampler, step, range(16)) for step in range(2)]
        self.loss = loss

    def __call__(self, network: nn.Module) -> dict[str, float]:
        """``score``, higher is better."""
        device = next(network.parameters()).device
        losses = [float(self.loss(network, {k: v.to(device) for k, v in b.items()})) for b in self.batches]
        return {"score": -float(np.mean(losses))}


def fit_autoencoder(
    slices: HealthySlices,
    held_out: HealthySlices,
    folder: Path,
    *,
    network: MaskedViTAESettings | ViTAESettings,
    training: TrainSettings,
    extra: dict[str, Any],
) -> Trained:
    """Train an autoencoder on healthy slices, weights chosen by held-out ones; goes on where ``folder`` stopped.

    The published network sees whole slices of four sequences, nothing hidden.
    """
    torch.manual_seed(training.seed)
    loss = masked_objective if isinstance(network, MaskedViTAESettings) else plain_objective

    def sampler(source: HealthySlices, seed: int) -> Sampler:
        if isinstance(network, MaskedViTAESettings):
            return SliceSampler(source, network, seed=seed)
        return PlainSampler(source, network, seed=seed)

    validate = HealthyValidation(sampler(held_out, training.seed + 1), loss)
    samples = sampler(slices, training.seed)
    return train(build(network), samples, loss, folder, settings=training, validate=validate, extra=extra)


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
