"""The one training loop, a recipe to read from top to bottom."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from annofree.networks.store import save_network
from annofree.training.checkpoint import STATE, load_state, save_state
from annofree.training.fabric import launched
from annofree.training.log import RunLog
from annofree.training.settings import TrainSettings
from annofree.training.stop import Interrupted, stoppable
from annofree.training.stream import Batch, Sampler, SampleStream, loader

Objective = Callable[[nn.Module, Batch], Tensor]
"""From a network in training mode and a batch on its device to the loss, a scalar."""

Validate = Callable[[nn.Module], dict[str, float]]
"""From a network in evaluation mode to numbers; ``score`` (higher is better) chooses the best weights."""


@dataclass(frozen=True)
class Trained:
    """A run that did all its steps.

    Attributes:
        folder: Holds ``best/`` and ``last/`` (networks), ``state.safetensors``, ``log.jsonl``, the curves.
        step: Steps done.
        best_score: Validation score of ``best/``; None when nothing was validated.
    """

    folder: Path
    step: int
    best_score: float | None

    @property
    def chosen(self) -> Path:
        """The network to use: that of the best score, the last one where nothing was validated."""
        return self.folder / ("last" if self.best_score is None else "best")


def train(
    network: nn.Module,
    sampler: Sampler,
    objective: Objective,
    folder: Path,
    *,
    settings: TrainSettings,
    validate: Validate | None = None,
    weights_from: Path | None = None,
    extra: dict[str, Any] | None = None,
    quiet: bool = False,
) -> Trained:
    """Train on samples made on the fly.

    Under ``torchrun`` every process takes its share of the batch; gradients are averaged, so two processes do what one
    does with the same global batch.

    Args:
        network: Fresh weights, the same on every process (seed before building).
        sampler: From a step and a lane to a sample with the network's input as ``x``; lanes are stacked to a batch.
        objective: The loss.
        folder: Of the run, which goes on where it stopped; written atomically.
        settings: Steps, rates, precision.
        validate: Called with the averaged weights.
        weights_from: Folder of another run whose averaged weights are the start of this one.
        extra: Further entries of the saved networks' config.
        quiet: No progress bar.

    Returns:
        What it made.

    Raises:
        Interrupted: Ctrl-C stopped it after a whole step; everything is kept, and the same call goes on.
    """
    fabric = launched(settings.precision)
    accelerator = fabric.device.type
    if settings.batch % fabric.world_size:
        raise ValueError(f"batch {settings.batch} cannot be shared by {fabric.world_size} processes")
    torch.manual_seed(settings.seed)

    # Network, optimiser, averaged weights
    for parameter in network.parameters():
        parameter.data = _laid_out(parameter.data, accelerator)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, foreach=True
    )
    average = _Average(network)
    step: int = 0
    best: float | None = None
    state = folder / STATE
    if state.is_file():
        progress = load_state(state, {"network": network}, {"optimiser": optimiser}, average.weights)
        step, best = int(progress["step"]), progress["best"]
    elif weights_from is not None:
        load_state(weights_from / STATE, {"network": network}, average=average.weights)
        network.load_state_dict(average.weights)
    model, fabric_optimiser = fabric.setup(network, optimiser)
    average.to(fabric.device)

    # Data: lanes of the global batch are shared out over the processes
    share = settings.batch // fabric.world_size
    lanes = range(fabric.global_rank * share, (fabric.global_rank + 1) * share)
    dataset = SampleStream(sampler, lanes=lanes, start=step, stop=settings.steps)
    leads = fabric.is_global_zero
    log = RunLog(folder, from_step=step) if leads else None
    bar = _Bar(settings.steps, step, hidden=quiet or not leads)
    saved_at = started = time.monotonic()
    losses: list[float] = []

    def note(log: RunLog, numbers: dict[str, float]) -> None:
        log.add(step=step, seconds=round(time.monotonic() - started, 1), **numbers)

    def judge(log: RunLog, validate: Validate) -> None:
        nonlocal best
        with average.in_place() as averaged:
            found = validate(averaged)
            if best is None or found["score"] > best:
                best = found["score"]
                save_network(averaged, folder / "best", extra=extra)
        note(log, found)
        log.draw()
        bar.say(f"step {step}: " + ", ".join(f"{k} {v:.3f}" for k, v in found.items()))

    def keep() -> None:
        save_state(state, {"network": network}, {"optimiser": optimiser}, {"step": step, "best": best}, average.weights)
        with average.in_place() as averaged:
            save_network(averaged, folder / "last", extra=extra)

    batches = loader(dataset, fabric.device, ahead=settings.ahead, workers=settings.workers)
    whole = True
    with stoppable() as stop, closing(bar):
        try:
            while step < settings.steps and not stop.asked:
                batch = next(batches)
                batch["x"] = _laid_out(batch["x"], accelerator)
                for group in optimiser.param_groups:
                    group["lr"] = settings.rate(step)
                model.train()
                # what a network draws at random depends on the step alone, so that a resumed run draws the same
                torch.manual_seed(settings.seed * 1_000_003 + step)
                loss = objective(model, batch)
                fabric_optimiser.zero_grad()
                fabric.backward(loss)
                fabric.clip_gradients(model, fabric_optimiser, max_norm=settings.clip, error_if_nonfinite=False)
                whole = False
                step_if_finite(fabric_optimiser)
                average.follow(min(settings.ema, (1 + step) / (10 + step)))
                step += 1
                losses.append(float(loss.detach()))
                bar.advance(step, losses[-1])

                last = step == settings.steps
                if log is not None and (step % 20 == 0 or last):
                    note(log, {"loss": sum(losses) / len(losses), "rate": settings.rate(step - 1)})
                    losses.clear()
                if log is not None and validate is not None and (step % settings.validate_every == 0 or last):
                    judge(log, validate)
                whole = True
                if leads and (last or time.monotonic() - saved_at > 60 * settings.checkpoint_minutes):
                    keep()
                    saved_at = time.monotonic()
            stop.check(step, settings.steps)
        except (KeyboardInterrupt, RuntimeError) as error:  # a worker that Ctrl-C reached first ends in the latter
            if not (isinstance(error, KeyboardInterrupt) or stop.asked):
                raise
            if leads and whole:  # otherwise the last checkpoint stands
                keep()
            bar.say(f"Stopped after step {step} of {settings.steps}")
            raise Interrupted(step, settings.steps) from None
    fabric.barrier()
    return Trained(folder, step, best)


def _laid_out(tensor: Tensor, accelerator: str) -> Tensor:
    """Channels last on a GPU; on a CPU a step of the default network takes 1.7 times as long that way in bf16."""
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    if accelerator == "cpu" or tensor.ndim not in formats:
        return tensor
    return tensor.contiguous(memory_format=formats[tensor.ndim])


def step_if_finite(optimiser: Any) -> bool:
    """Take an optimiser's step unless a gradient is no finite number: one broken batch must not break a network.

    The step is then left out, and the moments that the optimiser keeps stay what they were. Processes that share
    their gradients decide alike. Returns whether the step was taken.
    """
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if gradients and not bool(torch.stack([torch.isfinite(gradient).all() for gradient in gradients]).all()):
        return False
    optimiser.step()
    return True


class _Average:
    """The exponential moving average of a network's weights: what is evaluated and saved."""

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self.weights = {name: value.detach().clone() for name, value in network.state_dict().items()}

    def to(self, device: torch.device) -> None:
        """Move it to a device."""
        self.weights = {name: value.to(device) for name, value in self.weights.items()}

    @torch.no_grad()
    def follow(self, decay: float) -> None:
        """Move it towards the current weights."""
        for name, value in self._network.state_dict().items():
            if value.is_floating_point():
                self.weights[name].lerp_(value, 1.0 - decay)
            else:
                self.weights[name].copy_(value)

    @contextmanager
    def in_place(self) -> Iterator[nn.Module]:
        """The network with the averaged weights, to evaluate or to save."""
        own = {name: value.detach().clone() for name, value in self._network.state_dict().items()}
        self._network.load_state_dict(self.weights)
        try:
            with torch.inference_mode():
                yield self._network.eval()
        finally:
            self._network.load_state_dict(own)
            self._network.train()


class _Bar:
    """Progress with time left; a plain line now and then where there is no terminal."""

    def __init__(self, steps: int, start: int, *, hidden: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self.steps, self.start, self.hidden = steps, start, hidden
        self.console = Console(stderr=True)
        self.began = self.spoke = time.monotonic()
        self.progress: Any = None
        if not hidden and self.console.is_terminal:
            self.progress = Progress(
                TextColumn("training"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("loss {task.fields[loss]:.3f}"),
                TimeRemainingColumn(),
                console=self.console,
            )
            self.progress.start()
            self.task = self.progress.add_task("training", total=steps, completed=start, loss=float("nan"))

    def advance(self, step: int, loss: float) -> None:
        """One step is done."""
        if self.progress is not None:
            self.progress.update(self.task, completed=step, loss=loss)
        elif not self.hidden and time.monotonic() - self.spoke > 30:
            self.spoke = time.monotonic()
            pace = (self.spoke - self.began) / max(1, step - self.start)
            left = pace * (self.steps - step) / 60
            self.say(f"step {step} of {self.steps}, loss {loss:.3f}, {pace:.2f} s a step, {left:.0f} min left")

    def say(self, text: str) -> None:
        """A line of text."""
        if not self.hidden:
            self.console.print(text, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Give the terminal back."""
        if self.progress is not None:
            self.progress.stop()
