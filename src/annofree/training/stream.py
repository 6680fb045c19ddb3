"""An endless, seeded stream of training samples made on the fly.

Making a case costs more than using it, so each lane keeps the last few cases and a case is used several times, each
time varied anew (:mod:`annofree.training.samples`). What a step sees depends on the seed and the step's number alone:
a resumed run goes on exactly as if it had never stopped, and lanes are shared out over processes without any change.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from annofree.settings import Settings
from annofree.training.samples import SampleSettings, make_sample

Case = tuple[Tensor, Tensor, Tensor]
"""Images (4, X, Y, Z), brain (X, Y, Z) boolean, labels (X, Y, Z) 0..3."""

CaseMaker = Callable[[int], Case]
"""From a case's seed to the case; must be picklable and depend on the seed alone."""

Batch = dict[str, Tensor]


class StreamSettings(Settings):
    """How cases are kept and reused.

    Attributes:
        kept: Cases a lane remembers.
        reuse: How many steps one new case serves.
        ahead: Batches prepared ahead in a process of their own; 0 makes them in the training process.
        first_seed: Seed of the first case; training and validation must not overlap.
    """

    kept: int = Field(24, ge=1)
    reuse: int = Field(3, ge=1)
    ahead: int = Field(6, ge=0)
    first_seed: int = 1_000_000


class SampleStream(IterableDataset[Batch]):
    """Batches from ``start`` on.

    Args:
        make: From a seed to a case.
        stream: Reuse.
        sample: Variation.
        lanes: Which samples of the global batch this process makes.
        batch: Size of the global batch.
        seed: Seed of reuse and variation.
        start: First step.
        stop: Step after the last.
    """

    def __init__(
        self,
        make: CaseMaker,
        stream: StreamSettings,
        sample: SampleSettings,
        *,
        lanes: range,
        batch: int,
        seed: int,
        start: int,
        stop: int,
    ) -> None:
        self.make, self.stream, self.sample = make, stream, sample
        self.lanes, self.batch, self.seed, self.start, self.stop = lanes, batch, seed, start, stop

    def case_seed(self, lane: int, number: int) -> int:
        """Seed of the n-th case of a lane."""
        return self.stream.first_seed + number * self.batch + lane

    def __iter__(self) -> Iterator[Batch]:
        kept = {lane: deque[tuple[int, Case]](maxlen=self.stream.kept) for lane in self.lanes}
        for step in range(self.start, self.stop):
            parts = [self._sample(step, lane, kept[lane]) for lane in self.lanes]
            x, labels, brain = (torch.stack(items) for items in zip(*parts, strict=True))
            yield {"x": x, "labels": labels, "brain": brain}

    def _sample(self, step: int, lane: int, kept: deque[tuple[int, Case]]) -> Case:
        newest = step // self.stream.reuse
        rng = np.random.default_rng([self.seed, step, lane])
        fresh = step % self.stream.reuse == 0
        oldest = max(0, newest - self.stream.kept + 1)
        number = newest if fresh else int(rng.integers(oldest, newest + 1))
        known = {n for n, _ in kept}
        # After a resume the memory is empty: a case is remade only when it is asked for.
        if number not in known:
            images, brain, labels = self.make(self.case_seed(lane, number))
            kept.append((number, (images.half() if images.abs().max() < 6e4 else images, brain, labels)))
            if len(kept) > 1 and kept[-2][0] > number:
                ordered = sorted(kept, key=lambda item: item[0])
                kept.clear()
                kept.extend(ordered)
        case = next(case for n, case in kept if n == number)
        return make_sample(case[0].float(), case[1], case[2], rng, self.sample)


def loader(dataset: SampleStream) -> Iterator[Batch]:
    """Iterate over a stream, made ahead by one process of its own where the settings ask for it."""
    if dataset.stream.ahead == 0:
        return iter(dataset)
    return iter(
        DataLoader(
            dataset,
            batch_size=None,
            num_workers=1,
            prefetch_factor=dataset.stream.ahead,
            worker_init_fn=_one_thread,
            multiprocessing_context="spawn",
        )
    )


def _one_thread(worker: int) -> None:
    torch.set_num_threads(1)
