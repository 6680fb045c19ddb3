"""A run that is stopped, resumed or shared out must give the weights it would have given anyway."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from annofree.networks import ThinUNetSettings, build, load_network
from annofree.training.checkpoint import STATE, load_state
from annofree.training.loop import step_if_finite, train
from annofree.training.losses import region_objective
from annofree.training.samples import SampleSettings
from annofree.training.settings import TrainSettings
from annofree.training.stop import Interrupted
from annofree.training.stream import MadeSampler, SampleStream, StreamSettings, TrainingCase, loader

NETWORK = ThinUNetSettings(full=4, widths=(4, 8), deep_supervision=1)


def ball_case(seed: int) -> TrainingCase:
    """A noisy block of brain with a bright ball in it."""
    g = torch.Generator().manual_seed(seed)
    brain = torch.zeros(20, 20, 20, dtype=torch.bool)
    brain[2:18, 2:18, 2:18] = True
    centre = torch.randint(6, 14, (3,), generator=g)
    axes = torch.stack(torch.meshgrid(*[torch.arange(20)] * 3, indexing="ij"))
    ball = ((axes - centre.view(3, 1, 1, 1)) ** 2).sum(0) < 16
    images = (100 + 10 * torch.randn(4, 20, 20, 20, generator=g) + 60 * ball) * brain
    return images, brain, (ball & brain).to(torch.uint8) * 2


def run(folder: Path, steps: int, batch: int = 1, stop_at: int | None = None) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    seen = []
    settings = TrainSettings(steps=steps, batch=batch, warmup=2, validate_every=2, precision="fp32", ahead=0)

    def validate(net: torch.nn.Module) -> dict[str, float]:
        return {"score": 0.5}

    def objective(net: torch.nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        seen.append(0)
        if len(seen) - 1 == stop_at:
            raise KeyboardInterrupt
        return region_objective(net, batch)

    train(
        build(NETWORK),
        MadeSampler(
            ball_case,
            StreamSettings(kept=3, reuse=2),
            SampleSettings(patch=(16, 16, 16), shift=1),
            batch=batch,
            seed=0,
        ),
        objective,
        folder,
        settings=settings,
        validate=validate,
        quiet=True,
    )
    net = build(NETWORK)
    average: dict[str, torch.Tensor] = {}
    load_state(folder / STATE, {"network": net}, average=average)
    return {**net.state_dict(), **{f"average/{k}": v for k, v in average.items()}}


def test_two_and_two_steps_equal_four_bit_for_bit(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", 4)
    with pytest.raises(Interrupted) as stopped:
        run(tmp_path / "parts", 4, stop_at=2)
    assert (stopped.value.done, stopped.value.wanted) == (2, 4)
    parts = run(tmp_path / "parts", 4)
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    steps = [json.loads(line)["step"] for line in (tmp_path / "parts" / "log.jsonl").read_text().splitlines()]
    assert steps == sorted(steps)


def test_a_run_leaves_a_network_that_loads_and_curves(tmp_path: Path) -> None:
    run(tmp_path, 2)
    network, config = load_network(tmp_path / "best")
    assert config["network"]["kind"] == "thin_unet"
    assert network(torch.zeros(1, 15, 8, 8, 8))[0].shape == (1, 3, 8, 8, 8)
    assert (tmp_path / "curves.png").stat().st_size > 0
    assert not [f for f in tmp_path.rglob("*") if f.suffix in {".pt", ".pkl"}]


def test_loss_falls_on_an_easy_task(tmp_path: Path) -> None:
    run(tmp_path, 40, batch=2)
    first, last = (json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines() if '"loss"' in line)
    assert last["loss"] < first["loss"]


@pytest.mark.slow
def test_two_gloo_processes_equal_one_with_twice_the_batch(tmp_path: Path) -> None:
    # The gradient itself is compared (Adam's first moment after one step): Adam divides by the gradient's own size, so
    # that later weights magnify the rounding of a different order of summation.
    run(tmp_path / "one", 1, batch=2)
    run(tmp_path / "half", 1, batch=1)
    script = tmp_path / "two.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from pathlib import Path\nfrom test_loop import run\n"
        f"run(Path({str(tmp_path / 'two')!r}), 1, batch=2)\n"
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node=2",
        f"--master-port={port}",
        str(script),
    ]
    done = subprocess.run(
        command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    one, two, half = (gradients(tmp_path / name) for name in ("one", "two", "half"))
    torch.testing.assert_close(two, one, rtol=1e-4, atol=1e-7)
    assert (half - one).norm() > 0.01 * one.norm()


def gradients(folder: Path) -> torch.Tensor:
    tensors = load_file(folder / "state.safetensors")
    return torch.cat([tensors[name].flatten() for name in sorted(tensors) if name.endswith("/exp_avg")])


@pytest.mark.parametrize(("flags", "able"), [("flags : avx2 avx512_bf16", True), ("flags : avx2 avx512f", False)])
def test_precision_asks_the_hardware(tmp_path: Path, flags: str, able: bool) -> None:
    from annofree.training.fabric import cpu_has_bf16

    (tmp_path / "cpuinfo").write_text(flags)
    assert cpu_has_bf16(tmp_path / "cpuinfo") is able


def test_a_gradient_that_is_no_number_changes_no_weight(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = build(ThinUNetSettings(widths=(4, 8), full=2))
    before = {name: value.clone() for name, value in network.state_dict().items()}

    def sampler(step: int, lane: int) -> dict[str, torch.Tensor]:
        x = torch.randn(15, 16, 16, 16)
        return {"x": x, "labels": torch.ones(16, 16, 16).byte(), "brain": torch.ones(16, 16, 16, dtype=torch.bool)}

    def hopeless(model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return model(batch["x"])[0].sum() * torch.tensor(float("nan"))

    settings = TrainSettings(steps=2, batch=1, ahead=0, precision="fp32")
    train(network, sampler, hopeless, tmp_path / "run", settings=settings, quiet=True)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_a_step_without_a_finite_gradient_leaves_weights_and_moments(broken: float) -> None:
    weight, other = (torch.nn.Parameter(torch.ones(3)) for _ in range(2))
    optimiser = torch.optim.Adam([weight, other], lr=0.1)
    weight.grad, other.grad = torch.ones(3), torch.ones(3)
    assert step_if_finite(optimiser)
    taken, moment = weight.detach().clone(), optimiser.state[weight]["exp_avg"].clone()
    assert not torch.equal(taken, torch.ones(3))
    other.grad = torch.tensor([1.0, broken, 1.0])
    assert not step_if_finite(optimiser)
    assert torch.equal(weight, taken)
    assert torch.equal(optimiser.state[weight]["exp_avg"], moment)


def test_several_processes_make_the_batches_of_one() -> None:
    sampler = MadeSampler(
        ball_case, StreamSettings(kept=3, reuse=2), SampleSettings(patch=(16, 16, 16)), batch=5, seed=1
    )
    stream = SampleStream(sampler, lanes=range(5), start=0, stop=3)
    alone = loader(stream, torch.device("cpu"), ahead=0)
    shared = loader(stream, torch.device("cpu"), ahead=2, workers=3)
    for ours, theirs in zip(shared, alone, strict=True):
        assert ours["x"].shape == (5, 15, 16, 16, 16)
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc alone is told")
def test_what_a_step_frees_is_there_for_the_next_one() -> None:
    script = """
import resource, torch
from annofree.training.fabric import keep_memory
keep_memory()
for _ in range(20):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(2**24)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 1000  # 64 MB are 16384 pages


def test_a_training_says_nothing_of_another_program() -> None:
    """Lightning told every user "Using bfloat16 Automatic Mixed Precision (AMP)"."""
    code = "from annofree.training.fabric import launched; launched('bf16')"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout + ended.stderr == ""
