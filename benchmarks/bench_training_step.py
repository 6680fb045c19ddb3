"""One training step of the default network in each number and memory format, side by side in one process.

    python benchmarks/bench_training_step.py [--steps 5] [--batch 2]

Processor seconds of one thread, the median of the steps after the first; the formats take turns.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

from annofree.networks.build import build
from annofree.networks.unet import ThinUNetSettings
from annofree.training.losses import region_objective

PATCH = (64, 80, 64)


class Trial:
    """A network, its optimiser and a batch in one format."""

    def __init__(self, *, half: bool, channels_last: bool, batch: int) -> None:
        torch.manual_seed(0)
        self.half = half
        self.network = build(ThinUNetSettings()).train()
        self.batch = {
            "x": torch.randn(batch, 15, *PATCH),
            "labels": torch.randint(0, 4, (batch, *PATCH)).to(torch.uint8),
            "brain": torch.ones(batch, *PATCH, dtype=torch.bool),
        }
        if channels_last:
            self.network = self.network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
            self.batch["x"] = self.batch["x"].contiguous(memory_format=torch.channels_last_3d)
        self.optimiser = torch.optim.AdamW(self.network.parameters(), foreach=True)
        self.seconds: list[float] = []

    def step(self) -> None:
        """One step, timed."""
        started = time.process_time()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.half):
            loss = region_objective(self.network, self.batch)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.seconds.append(time.process_time() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--batch", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(1)
    trials = {
        f"{'bf16' if half else 'fp32'}, {'channels last' if last else 'contiguous'}": Trial(
            half=half, channels_last=last, batch=given.batch
        )
        for half in (False, True)
        for last in (False, True)
    }
    for _ in range(given.steps):
        for trial in trials.values():
            trial.step()
    before = statistics.median(trials["bf16, channels last"].seconds[1:])
    for name, trial in trials.items():
        median = statistics.median(trial.seconds[1:])
        print(f"{name}: {median:.2f} s, {before / median:.2f} x as fast as bf16 channels last")


if __name__ == "__main__":
    main()
