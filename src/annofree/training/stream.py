"""Seeded streams of training samples, made on the fly.

What a step sees depends on the seed and the step's number alone: a resumed run goes on exactly as if it had never
stopped, and the lanes of a batch are shared out over processes without any change.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Generic, TypeVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from annofree.settings import Settings
from annofree.training.fabric import keep_memory
from annofree.training.samples import SampleSettings, make_sample

T = TypeVar("T")

TrainingCase = tuple[Tensor, Tensor, Tensor]
"""Images (4, X, Y, Z), brain (X, Y, Z) boolean, labels (X, Y, Z) 0..3."""

CaseMaker = Callable[[int], TrainingCase]
"""From a case's seed to the case; must be picklable and depend on the seed alone."""

Batch = dict[str, Tensor]

Sampler = Callable[[int, int], Batch]
"""From a step and a lane of the batch to one sample; must be picklable and depend on its arguments alone."""


class StreamSettings(Settings):
    """How made cases are kept and reused.

    Attributes:
        kept: Cases a lane remembers.
        reuse: How many steps one new case serves.
        first_seed: Seed of the first case; training and validation must not overlap.
    """

    kept: int = Field(24, ge=1)
    reuse: int = Field(3, ge=1)
    first_seed: int = 1_000_000


class KeptCases(Generic[T]):
    """Made cases, each of which serves several steps, because making one costs more than using it.

    Every few steps each lane of a global batch gets a new case; in between it draws one of the last few.
    """

    def __init__(self, make: Callable[[int], T], stream: StreamSettings, batch: int) -> None:
        self.make, self.stream, self.batch = make, stream, batch
        self._memory: dict[int, T] = {}

    def __getstate__(self) -> dict[str, object]:
        """Settings travel to another process, cases do not."""
        return {**self.__dict__, "_memory": {}}

    def __call__(self, step: int, lane: int, rng: np.random.Generator) -> T:
        """The case for a step and a lane; it depends on these and the generator alone."""
        first, newest = self.stream.first_seed, step // self.stream.reuse
        oldest = max(0, newest - self.stream.kept + 1)
        number = newest if step % self.stream.reuse == 0 else int(rng.integers(oldest, newest + 1))
        seed = first + number * self.batch + lane
        if seed not in self._memory:  # a fresh one, or after a resume the memory is empty
            self._memory[seed] = self.make(seed)
        for old in [known for known in self._memory if known < first + oldest * self.batch]:
            del self._memory[old]
        return self._memory[seed]


class MadeSampler:
    """Samples from cases made on the fly, each time varied anew (:mod:`annofree.training.samples`)."""

    def __init__(
        self, make: CaseMaker, stream: StreamSettings, sample: SampleSettings, *, batch: int, seed: int
    ) -> None:
        self.sample, self.seed = sample, seed
        self._cases = KeptCases(partial(_halved, make), stream, batch)

    def __call__(self, step: int, lane: int) -> Batch:
        """Input ``x`` (15, *patch), ``labels`` (*patch) and ``brain`` (*patch)."""
        rng = np.random.default_rng([self.seed, step, lane])
        images, brain, labels = self._cases(step, lane, rng)
        x, labels, brain = make_sample(images.float(), brain, labels, rng, self.sample)
        return {"x": x, "labels": labels, "brain": brain}


def _halved(make: CaseMaker, seed: int) -> TrainingCase:
    images, brain, labels = make(seed)
    return images.half() if images.abs().max() < 6e4 else images, brain, labels


def stacked(sampler: Sampler, step: int, lanes: Iterable[int]) -> Batch:
    """The samples of some lanes of a step as one batch."""
    parts = [sampler(step, lane) for lane in lanes]
    return {key: torch.stack([part[key] for part in parts]) for key in parts[0]}


class SampleStream(IterableDataset[Batch]):
    """Batches of a sampler from step ``start`` to before ``stop``, the lanes that this process makes stacked."""

    def __init__(self, sampler: Sampler, *, lanes: range, start: int, stop: int) -> None:
        self.sampler, self.lanes, self.start, self.stop = sampler, lanes, start, stop

    def __iter__(self) -> Iterator[Batch]:
        for step in range(self.start, self.stop):
            yield stacked(self.sampler, step, self.lanes)


def loader(stream: SampleStream, device: torch.device, *, ahead: int, workers: int = 1) -> Iterator[Batch]:
    """A stream's batches on a device.

    Args:
        stream: What to iterate over.
        device: Where the batches go.
        ahead: Batches made ahead in processes of their own; 0 makes them in this one.
        workers: How many processes; each makes some lanes, so that none makes a case that another has.
    """
    size = -(-len(stream.lanes) // workers)
    parts: list[Iterable[Batch]] = [
        SampleStream(stream.sampler, lanes=stream.lanes[first : first + size], start=stream.start, stop=stream.stop)
        for first in range(0, len(stream.lanes), size)
    ]
    if ahead > 0:
        parts = [
            DataLoader(
                part,  # type: ignore[arg-type]
                batch_size=None,
                num_workers=1,
                prefetch_factor=ahead,
                worker_init_fn=_as_worker,
                multiprocessing_context="spawn",
                pin_memory=device.type == "cuda",
            )
            for part in parts
        ]
    for pieces in zip(*parts, strict=True):
        there = [{key: value.to(device, non_blocking=True) for key, value in piece.items()} for piece in pieces]
        yield there[0] if len(there) == 1 else {key: torch.cat([piece[key] for piece in there]) for key in there[0]}


def _as_worker(worker: int) -> None:
    keep_memory()
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the training one decides
