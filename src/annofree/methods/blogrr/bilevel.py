"""BLOGRR's bi-level training: two networks take turns, then the joint state is kept; resumes bit by bit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from annofree.masks import dice
from annofree.scan import Scan, scoring

if TYPE_CHECKING:
    from torch import nn

    from annofree.methods.base import Method

import math
import time
from collections.abc import Callable
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from annofree.errors import SettingsError
from annofree.methods.blogrr.hypergradient import Params, first_order, implicit, unrolled
from annofree.methods.blogrr.levels import BilevelSettings, Levels
from annofree.networks.store import save_network
from annofree.progress import say
from annofree.training.checkpoint import load_state, save_state
from annofree.training.fabric import launched
from annofree.training.log import RunLog
from annofree.training.loop import step_if_finite
from annofree.training.stop import stoppable
from annofree.training.stream import Batch, Sampler, stacked

Monitor = Callable[[nn.Module, nn.Module], dict[str, float]]
"""From reconstructor and threshold network to numbers that are plotted; they choose nothing."""


def train_pair(
    reconstructor: nn.Module,
    thresholder: nn.Module,
    healthy: Sampler,
    patients: Sampler,
    folder: Path,
    *,
    settings: BilevelSettings | None = None,
    monitor: Monitor | None = None,
) -> int:
    """Train both networks in turns and give the round that is kept: the last, or the one that `keep` asks for.

    Its networks lie in `reconstructor/` and `threshold/` of the run's folder, beside the joint checkpoint and the log.

    Under `torchrun` every process takes its share of the slices. Gradients are summed by an explicit all-reduce, the
    pooled Dice's sums too, so that two processes do what one does with the same global batch.

    Args:
        reconstructor: Made by `annofree.networks.build`; may be trained before.
        thresholder: Likewise, started at a quantile of healthy errors.
        healthy: From step and lane to a healthy sample (see `Levels`), deterministic.
        patients: From step and lane to a patient's sample, deterministic.
        folder: Of the run; one that was stopped goes on, to the same bits as a run that never stopped.
        settings: The form.
        monitor: Called after each round; its numbers are logged and plotted.

    Raises:
        SettingsError: The batch cannot be shared by the processes, or the hypergradient does not go with the networks
            or with a pooled Dice.
        Interrupted: Ctrl-C stopped it; the last whole round is kept, as a torn one would not resume bit by bit.
    """
    form = settings or BilevelSettings()
    fabric = launched()
    _check(form, fabric.world_size, reconstructor, thresholder)
    networks = {"reconstructor": reconstructor.to(fabric.device), "threshold": thresholder.to(fabric.device)}
    optimisers = {
        name: torch.optim.Adam(networks[name].parameters(), lr=rate, weight_decay=form.weight_decay, amsgrad=True)
        for name, rate in (("reconstructor", form.lower_rate), ("threshold", form.upper_rate))
    }
    done, kept, lowest = 0, 0, math.inf
    # both levels in one file, so that they resume in step
    state, joint = folder / "joint.safetensors", {f"network/{name}": network for name, network in networks.items()}
    joint_optimisers = {f"optimiser/{name}": optimiser for name, optimiser in optimisers.items()}
    if state.is_file():
        progress = {"kept": 0, "lowest": math.inf, **load_state(state, joint, joint_optimisers)}
        done, kept, lowest = int(progress["rounds"]), int(progress["kept"]), float(progress["lowest"])

    def summed(gradient: Params) -> Params:
        return {name: fabric.all_reduce(value, reduce_op="sum") for name, value in gradient.items()}

    def total(part: Tensor) -> Tensor:
        if fabric.world_size == 1:
            return part
        everyone: Tensor = fabric.all_reduce(part.detach().clone(), reduce_op="sum")
        return part + (everyone - part.detach())

    levels = Levels(reconstructor, thresholder, form, fabric.world_size, total)
    share = form.batch // fabric.world_size
    own = range(fabric.global_rank * share, (fabric.global_rank + 1) * share)
    log = RunLog(folder, from_step=done) if fabric.is_global_zero else None
    began = time.monotonic()
    with stoppable() as stop:
        for turn in range(done, form.rounds):
            lower = [
                _lower_step(
                    levels, optimisers["reconstructor"], _batch(healthy, step, own, fabric.device), turn, summed
                )
                for step in stop.each(_steps(turn, form.lower_steps), done, form.rounds)
            ]
            upper = []
            for step in stop.each(_steps(turn, form.upper_steps), done, form.rounds):
                seen = _lower_batches(healthy, step, form, fabric.device)
                batch = _batch(patients, step, own, fabric.device)
                upper.append(_upper_step(levels, optimisers["threshold"], batch, seen, turn, summed))
            done = turn + 1
            loss = _mean(upper) if math.isfinite(_mean(upper)) else math.inf
            better = form.may_keep(done) and (form.keep == "last" or kept == 0 or loss < lowest)
            if better:
                kept, lowest = done, loss
            if log is not None:
                numbers = {"lower": _mean(lower), "upper": _mean(upper)}
                if monitor is not None:
                    with _watching(*networks.values()):
                        numbers |= {f"monitor {key}": value for key, value in monitor(*networks.values()).items()}
                log.add(step=done, seconds=round(time.monotonic() - began, 1), **numbers)
                say(f"round {done} of {form.rounds}: " + ", ".join(f"{k} {v:.4f}" for k, v in numbers.items()))
                for name, network in networks.items() if better else ():
                    save_network(network, folder / name, extra={"error": form.error.model_dump()})
                save_state(state, joint, joint_optimisers, {"rounds": done, "kept": kept, "lowest": lowest})
            stop.check(done, form.rounds)
    for network in networks.values():
        network.eval()
    if log is not None:
        log.draw()
    fabric.barrier()
    return kept


def _steps(turn: int, count: int) -> range:
    return range(turn * count, (turn + 1) * count)


def _batch(sampler: Sampler, step: int, lanes: range, device: torch.device) -> Batch:
    return {key: value.to(device) for key, value in stacked(sampler, step, lanes).items()}


def _lower_batches(healthy: Sampler, step: int, form: BilevelSettings, device: torch.device) -> list[Batch]:
    """Whole batches for the lower level inside a hypergradient; every process sees the same ones."""
    count = {"first-order": 0, "unrolled": form.unroll, "implicit": 1}[form.hypergradient]
    return [_batch(healthy, step * count + number, range(form.batch), device) for number in range(count)]


def _lower_step(
    levels: Levels,
    optimiser: torch.optim.Optimizer,
    batch: Batch,
    turn: int,
    summed: Callable[[Params], Params],
) -> float:
    levels.reconstructor.train()
    levels.thresholder.eval()
    theta: Params = dict(levels.reconstructor.named_parameters())
    phi = {name: value.detach() for name, value in levels.thresholder.named_parameters()}
    loss = levels.lower(theta, phi, batch, warming=turn < levels.settings.warmup)
    gradient = dict(zip(theta, torch.autograd.grad(loss, list(theta.values())), strict=True))
    _apply(optimiser, theta, summed(gradient))
    return float(summed({"loss": loss.detach()})["loss"])


def _upper_step(
    levels: Levels,
    optimiser: torch.optim.Optimizer,
    batch: Batch,
    seen: list[Batch],
    turn: int,
    summed: Callable[[Params], Params],
) -> float:
    form = levels.settings
    levels.reconstructor.eval()
    levels.thresholder.train()
    theta = {name: value.detach() for name, value in levels.reconstructor.named_parameters()}
    phi: Params = dict(levels.thresholder.named_parameters())
    whole = Levels(levels.reconstructor, levels.thresholder, form)
    warming = turn < form.warmup

    def upper(t: Params, p: Params) -> Tensor:
        return levels.upper(t, p, batch)

    def lower_on(healthy: Batch) -> Callable[[Params, Params], Tensor]:
        return lambda t, p: whole.lower(t, p, healthy, warming=warming)

    if form.hypergradient == "unrolled":
        inner = [lower_on(healthy) for healthy in seen]
        gradient, value = unrolled(upper, inner, theta, phi, rate=form.unroll_rate, reduce=summed)
    elif form.hypergradient == "implicit":
        gradient, value = implicit(
            upper,
            lower_on(seen[0]),
            theta,
            phi,
            damping=form.damping,
            iterations=form.iterations,
            reduce=summed,
        )
    else:
        gradient, value = first_order(upper, theta, phi, reduce=summed)
    _apply(optimiser, phi, gradient)
    return float(summed({"loss": value})["loss"])


def _apply(optimiser: torch.optim.Optimizer, parameters: Params, gradient: Params) -> None:
    for name, parameter in parameters.items():
        parameter.grad = gradient[name].detach().contiguous()
    step_if_finite(optimiser)
    optimiser.zero_grad(set_to_none=True)


def _check(form: BilevelSettings, world: int, *networks: nn.Module) -> None:
    if form.batch % world:
        raise SettingsError(f"A batch of {form.batch} cannot be shared by {world} processes")
    if form.hypergradient == "first-order":
        return
    if any(isinstance(module, nn.BatchNorm2d) for network in networks for module in network.modules()):
        raise SettingsError(
            f"The {form.hypergradient} hypergradient cannot pass through batch norm",
            fix="Build the networks with norm='group', or use hypergradient='first-order'",
        )
    if world > 1 and form.dice == "pooled":
        raise SettingsError(
            f"The {form.hypergradient} hypergradient cannot pool its Dice over several processes",
            fix="Use dice='per-sample', or hypergradient='first-order'",
        )


@contextmanager
def _watching(*networks: nn.Module) -> Iterator[None]:
    """Networks in evaluation mode, no gradients; and the run's random numbers as if nobody had watched."""
    state = torch.get_rng_state()
    for network in networks:
        network.eval()
    with torch.no_grad():
        yield
    torch.set_rng_state(state)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0


#: Phantoms that are watched; their seeds are used nowhere else.
_SEEDS = (990_001, 990_002, 990_003)
_SPACING_MM = 3.0


def monitor_on(method: Method, where: str | None) -> Monitor | None:
    """The function that looks at two networks in training, on labelled scans in a folder or on "phantoms"."""
    if where is None:
        return None
    from annofree.inference.torch_network import TorchNetwork
    from annofree.thresholds.fixed import Fixed

    cases = list(_phantoms() if where == "phantoms" else _labelled(Path(where)))

    def measure(reconstructor: nn.Module, thresholder: nn.Module) -> dict[str, float]:
        rule = Fixed(value=1.0, tier="R", source="the threshold network")
        pair = {"network": TorchNetwork(reconstructor), "thresholder": TorchNetwork(thresholder)}
        watcher = method.replace(**pair, folds={}, thresholds={"WT": rule})
        dices = [dice(watcher.segment(scan).mask("WT"), truth, empty=0.0) for scan, truth in cases]
        return {"dice": float(np.mean(dices))}

    return measure


def _phantoms() -> Iterator[tuple[Scan, NDArray[np.bool_]]]:
    from annofree.phantom import phantom_subject

    for seed in _SEEDS:
        subject = phantom_subject(seed, spacing_mm=_SPACING_MM)
        yield subject.scan, subject.labels > 0


def _labelled(folder: Path) -> Iterator[tuple[Scan, NDArray[np.bool_]]]:
    """Scans with truth. Truth is opened for these curves alone: no weight, round or setting is chosen by them."""
    from annofree.formats import open_cohort
    from annofree.formats.truth import open_truth
    from annofree.prepare import Recipe

    for scan in open_cohort(folder, prepare=Recipe()):
        with scoring("a monitor that chooses nothing"):
            yield scan, open_truth(folder, scan.id, scan.grid, native=scan.native, files=scan.files.values()).labels > 0
