"""A training step of the default network in the whole loop, without a stream: wall and processor seconds.

    python benchmarks/bench_training_step.py [--against CHECKOUT] [--rounds 2] [--batch 2] [--threads 1]
    python benchmarks/bench_training_step.py --labelmaps MAPS [--carriers FOLDER]

`--against` names the `src` folder's parent of another version, for instance `git worktree add ../old e91ada5`; the
versions then run in turn (A B A B). With `--labelmaps` it says what the stream takes to make a batch.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

#: Runs in either version: prints the wall and processor seconds between the starts of the steps, and the losses.
TRAIN = """
import json, os, sys, tempfile, time
from pathlib import Path
import torch
from annofree.networks.build import build
from annofree.networks.unet import ThinUNetSettings
from annofree.training.loop import train
from annofree.training.losses import region_objective
from annofree.training.settings import TrainSettings

steps, batch, precision = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
torch.manual_seed(0)
patch = (64, 80, 64)
sample = {
    "x": torch.randn(15, *patch),
    "labels": torch.randint(0, 4, patch).to(torch.uint8),
    "brain": torch.ones(patch, dtype=torch.bool),
}
times, losses = [], []


def objective(model, given):
    times.append((time.perf_counter(), time.process_time()))
    loss = region_objective(model, given)
    losses.append(float(loss.detach()))
    return loss


settings = TrainSettings(steps=steps, batch=batch, precision=precision, ahead=0)
with tempfile.TemporaryDirectory() as folder:
    network = build(ThinUNetSettings())
    train(network, lambda step, lane: dict(sample), objective, Path(folder), settings=settings, quiet=True)
print(json.dumps({"times": times, "losses": losses}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", nargs="+", default=["auto", "fp32"])
    parser.add_argument("--labelmaps", type=Path)
    parser.add_argument("--carriers", type=Path)
    given = parser.parse_args()
    if given.labelmaps is not None:
        stream(given.labelmaps, given.carriers, given.batch)
        return
    versions = {"this": Path(__file__).resolve().parents[1]}
    if given.against is not None:
        versions = {"other": given.against.resolve(), **versions}
    for precision in given.precision:
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in versions}
        last: dict[str, float] = {}
        for _ in range(given.rounds):
            for name, root in versions.items():
                found = run(root, given.steps, given.batch, precision, given.threads)
                taken[name] += found[0]
                last[name] = found[1]
        for name, steps in taken.items():
            wall, processor = (statistics.median(column) for column in zip(*steps, strict=True))
            print(f"{precision} {name:5s} wall {wall:.3f} s  processor {processor:.3f} s  last loss {last[name]:.4f}")
        if len(versions) == 2:
            ratios = (
                statistics.median(o[i] for o in taken["other"]) / statistics.median(t[i] for t in taken["this"])
                for i in range(2)
            )
            print(f"{precision} other / this: " + ", ".join(f"{r:.2f}" for r in ratios), flush=True)


def run(root: Path, steps: int, batch: int, precision: str, threads: int) -> tuple[list[tuple[float, float]], float]:
    """Wall and processor seconds of each step after the first three of one version, and its last loss."""
    environment = {**os.environ, "PYTHONPATH": str(root / "src"), "OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, "-c", TRAIN, str(steps), str(batch), precision]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    found = json.loads(done.stdout.splitlines()[-1])
    times = found["times"][3:]
    return [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(times)], found["losses"][-1]


def stream(labelmaps: Path, carriers: Path | None, batch: int) -> None:
    """Processor seconds of one case of each source and of one sample, and what a step of some batch asks for."""
    import numpy as np
    import torch

    from annofree.methods.synthtumour.made_junior import JuniorSettings
    from annofree.synthesis import LabelMapBank
    from annofree.training.fabric import keep_memory
    from annofree.training.samples import make_sample
    from annofree.training.sources import MadeCases, PaintedCases
    from annofree.training.stream import CaseMaker

    torch.set_num_threads(1)
    keep_memory()
    recipe = JuniorSettings()
    with tempfile.TemporaryDirectory() as folder:
        bank = LabelMapBank.from_folder(labelmaps, cache=Path(folder) / "bank.npz")
    sources: dict[str, CaseMaker] = {"made": MadeCases(bank, recipe.synthesis, recipe.spacing_mm)}
    if carriers is not None:
        files = sorted(carriers.glob("*.npz"))
        sources["painted"] = PaintedCases(files, recipe.synthesis, recipe.spacing_mm, held=len(files))
    for name, make in sources.items():
        for seed in range(1, 21):  # what is read or kept once is not counted
            make(seed)
        case_s, sample_s = [], []
        for seed in range(1, 21):
            started = time.process_time()
            images, brain, labels = make(seed)
            case_s.append(time.process_time() - started)
            started = time.process_time()
            make_sample(images.float(), brain, labels, np.random.default_rng(seed), recipe.sample)
            sample_s.append(time.process_time() - started)
        case, sample = statistics.mean(case_s), statistics.mean(sample_s)
        step = batch * (case / recipe.stream.reuse + sample)
        print(f"{name}: a case {case:.3f} s, a sample {sample:.3f} s; a step of batch {batch} asks for {step:.3f} s")


if __name__ == "__main__":
    main()
