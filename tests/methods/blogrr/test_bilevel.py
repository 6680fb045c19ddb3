"""The learned threshold must follow its true gradient, survive a stop, and not depend on how many machines it has."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from annofree.errors import SettingsError
from annofree.methods.blogrr.bilevel import train_pair
from annofree.methods.blogrr.hypergradient import Params, first_order, implicit, unrolled
from annofree.methods.blogrr.levels import BilevelSettings, Levels, error_map, soft_dice_loss, soft_mask
from annofree.methods.blogrr.threshold_net import ThresholdNet, ThresholdNetSettings
from annofree.methods.reconstruction.denoising_unet import DenoisingUNet, DenoisingUNetSettings

SIDE = 16


def nets(dtype: torch.dtype = torch.float32, start: float = 0.1) -> tuple[DenoisingUNet, ThresholdNet]:
    torch.manual_seed(0)
    unet = DenoisingUNet(DenoisingUNetSettings(widths=(4, 8))).to(dtype)
    return unet, ThresholdNet(ThresholdNetSettings(widths=(4, 4, 4, 4), start=start)).to(dtype)


def healthy(step: int, lane: int) -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(1000 * step + lane)
    brain = torch.zeros(1, SIDE, SIDE)
    brain[:, 2:-2, 2:-2] = 1
    x = 0.5 * brain + 0.02 * torch.randn(1, SIDE, SIDE, generator=g) * brain
    return {"x": x + 0.1 * torch.randn(1, SIDE, SIDE, generator=g) * brain, "clean": x, "foreground": brain}


def patient(step: int, lane: int) -> dict[str, Tensor]:
    sample = healthy(step + 777, lane)
    target = torch.zeros(1, SIDE, SIDE)
    target[:, 4:8, 5 : 7 + lane % 4] = 1  # lanes differ, or a sum over processes could not be told from a part
    x = sample["clean"] + 0.3 * target
    return {"x": x, "target": target, "foreground": sample["foreground"], "outside": sample["foreground"] - target}


def stack(sampler: Any, n: int, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    parts = [sampler(0, lane) for lane in range(n)]
    return {key: torch.stack([part[key] for part in parts]).to(dtype) for key in parts[0]}


# hypergradients --------------------------------------------------------------------------------------------------


def quadratic() -> tuple[Any, Any, Params, Params]:
    """A lower problem whose minimum is known: theta* = A^-1 (B phi), so the whole gradient is too."""
    g = torch.Generator().manual_seed(1)
    a = torch.randn(4, 4, generator=g, dtype=torch.float64)
    a = a @ a.T + 4 * torch.eye(4, dtype=torch.float64)
    b = torch.randn(4, 3, generator=g, dtype=torch.float64)
    goal = torch.randn(4, generator=g, dtype=torch.float64)
    phi = {"phi": torch.randn(3, generator=g, dtype=torch.float64)}

    def lower(t: Params, p: Params) -> Tensor:
        return 0.5 * t["theta"] @ a @ t["theta"] - t["theta"] @ b @ p["phi"]

    def upper(t: Params, p: Params) -> Tensor:
        return (t["theta"] - goal).square().sum() + p["phi"].square().sum()

    return lower, upper, {"theta": torch.linalg.solve(a, b @ phi["phi"])}, phi


def test_implicit_is_the_gradient_of_the_solved_problem() -> None:
    lower, upper, theta, phi = quadratic()
    found, _ = implicit(upper, lower, theta, phi, damping=0.0, iterations=20)
    whole = torch.autograd.functional.jacobian(
        lambda p: upper({"theta": argmin(lower, theta, p)}, {"phi": p}), phi["phi"]
    )
    torch.testing.assert_close(found["phi"], whole, rtol=1e-8, atol=1e-10)
    direct, _ = first_order(upper, theta, phi)
    assert (direct["phi"] - whole).norm() > 0.1 * whole.norm()


def argmin(lower: Any, theta: Params, phi: Tensor) -> Tensor:
    """One Newton step solves a quadratic problem, and autograd can go through it."""
    at = torch.zeros_like(theta["theta"]).requires_grad_()
    slope = torch.autograd.grad(lower({"theta": at}, {"phi": phi}), at, create_graph=True)[0]
    bend = torch.autograd.functional.hessian(lambda t: lower({"theta": t}, {"phi": phi.detach()}), theta["theta"])
    return at - torch.linalg.solve(bend, slope)


def test_many_unrolled_steps_approach_the_implicit_gradient() -> None:
    lower, upper, theta, phi = quadratic()
    whole, _ = implicit(upper, lower, theta, phi, damping=0.0, iterations=20)
    few, _ = unrolled(upper, [lower] * 2, theta, phi, rate=0.02)
    many, _ = unrolled(upper, [lower] * 400, theta, phi, rate=0.02)
    assert (many["phi"] - whole["phi"]).norm() < 1e-3 * whole["phi"].norm()
    assert (few["phi"] - whole["phi"]).norm() > (many["phi"] - whole["phi"]).norm()


class Line(torch.nn.Module):
    """The smallest threshold network: a weighted mean of slice and error map."""

    def __init__(self) -> None:
        super().__init__()
        self.settings = ThresholdNetSettings()
        self.weights = torch.nn.Parameter(torch.tensor([0.4, 0.9], dtype=torch.float64))
        self.shift = torch.nn.Parameter(torch.tensor(-2.0, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(x.mean((2, 3)) @ self.weights + self.shift)


@pytest.mark.parametrize("form", ["first-order", "unrolled", "implicit"])
def test_hypergradients_of_both_levels_agree_with_finite_differences(form: str) -> None:
    torch.manual_seed(0)
    reconstructor = torch.nn.Conv2d(1, 1, 3, padding=1, dtype=torch.float64)
    settings = BilevelSettings(slope=20.0, dice="per-sample", outside=0.3)
    levels = Levels(reconstructor, Line(), settings)
    well, ill = stack(healthy, 2), stack(patient, 2)
    theta = {name: value.detach() for name, value in reconstructor.named_parameters()}
    phi = {name: value.detach() for name, value in levels.thresholder.named_parameters()}

    def lower(t: Params, p: Params) -> Tensor:  # pulled to 0, so that its minimum is one point
        return levels.lower(t, p, well) + 0.05 * sum(v.square().sum() for v in t.values())

    def upper(t: Params, p: Params) -> Tensor:
        return levels.upper(t, p, ill)

    def after_two(p: Params) -> Params:
        t = theta
        for _ in range(2):
            slope = torch.func.grad(lower)(t, p)
            t = {name: t[name] - 0.1 * slope[name] for name in t}
        return t

    solved = solve(lower, theta, phi)
    found, value = {
        "first-order": lambda: first_order(upper, theta, phi),
        "unrolled": lambda: unrolled(upper, [lower, lower], theta, phi, rate=0.1),
        "implicit": lambda: implicit(upper, lower, solved, phi, damping=0.0, iterations=40, tolerance=1e-24),
    }[form]()
    at = {
        "first-order": lambda p: theta,
        "unrolled": after_two,
        "implicit": lambda p: solve(lower, solved, p),
    }[form]
    assert float(value) == pytest.approx(float(upper(at(phi), phi)))
    step = 1e-6
    for name, inside in (("weights", 0), ("weights", 1), ("shift", None)):
        move = torch.zeros_like(phi[name])
        move[() if inside is None else inside] = step
        ahead, behind = ({**phi, name: phi[name] + sign * move} for sign in (1, -1))
        expected = (float(upper(at(ahead), ahead)) - float(upper(at(behind), behind))) / (2 * step)
        got = float(found[name] if inside is None else found[name][inside])
        assert got == pytest.approx(expected, rel=1e-5, abs=1e-10)
    if form != "first-order":
        direct, _ = first_order(upper, at(phi), phi)
        assert float(direct["shift"]) != pytest.approx(float(found["shift"]), rel=1e-6)  # the levels do meet


def solve(lower: Any, start: Params, phi: Params) -> Params:
    """The lower minimum, by Newton's method."""
    names = list(start)
    sizes = [start[name].numel() for name in names]

    def unpack(flat: Tensor) -> Params:
        return {n: part.view(start[n].shape) for n, part in zip(names, flat.split(sizes), strict=True)}

    flat = torch.cat([start[name].flatten() for name in names])
    for _ in range(12):
        slope = torch.func.grad(lambda f: lower(unpack(f), phi))(flat)
        if float(slope.norm()) < 1e-13:
            break
        bend = torch.autograd.functional.hessian(lambda f: lower(unpack(f), phi), flat)
        flat = flat - torch.linalg.solve(bend, slope)
    return unpack(flat)


# losses ----------------------------------------------------------------------------------------------------------


def test_soft_dice_equals_the_formula_written_out_pooled_and_per_sample() -> None:
    g = torch.Generator().manual_seed(0)
    p, s = torch.rand(3, 1, 4, 4, generator=g), (torch.rand(3, 1, 4, 4, generator=g) > 0.5).float()
    s[2] = 0
    whole = 1 - (2 * (p * s).sum() + 1e-6) / (p.sum() + s.sum() + 1e-6)
    single = [1 - (2 * (a * b).sum() + 1e-6) / (a.sum() + b.sum() + 1e-6) for a, b in zip(p, s, strict=True)]
    assert float(soft_dice_loss(p, s)) == pytest.approx(float(whole))
    assert float(soft_dice_loss(p, s, pooled=False)) == pytest.approx(float(sum(single) / 3))
    empty = torch.zeros(1, 1, 4, 4)
    assert float(soft_dice_loss(empty, empty)) == 0.0


def test_soft_mask_is_finite_where_the_exponential_is_not() -> None:
    scores = torch.tensor([[-1e4, 0.1, 1e4]], requires_grad=True)
    threshold = torch.tensor([0.1], requires_grad=True)
    mask = soft_mask(scores, threshold)
    mask.sum().backward()
    assert mask.tolist() == [[0.0, 0.5, 1.0]]
    assert threshold.grad is not None
    assert float(threshold.grad) == pytest.approx(-12.5)
    assert torch.isfinite(scores.grad).all()  # type: ignore[arg-type]


def test_both_levels_compare_the_threshold_with_the_same_map() -> None:
    unet, threshold = nets(start=0.999)
    batch = stack(healthy, 2, torch.float32)
    theta, phi = dict(unet.named_parameters()), dict(threshold.named_parameters())
    with torch.no_grad():
        unet.head.weight.mul_(0.1)  # errors below 1, where thresholds are
        found = unet(batch["x"])
        squared = (found - batch["clean"]).square()
        largest = float(error_map(batch["clean"], found, batch["foreground"]).max())
        plain = float(squared.mean())
        for gate_on, level in (("map", 0.9 * largest), ("squared", 0.9 * float(squared.max()))):
            levels = Levels(unet, threshold, BilevelSettings(gate="hard", gate_on=gate_on))
            threshold.start_at(min(1.2 * level, 0.9999))
            assert float(levels.lower(theta, phi, batch)) == pytest.approx(plain)  # nothing above: MSE alone
            threshold.start_at(level)
            assert plain < float(levels.lower(theta, phi, batch)) < 1.5 * plain
            assert float(levels.lower(theta, phi, batch, warming=True)) == pytest.approx(1.5 * plain)
        paper = Levels(unet, threshold, BilevelSettings(gate="hard", loss="tolerance"))
        assert float(paper.lower(theta, phi, batch, warming=True)) == pytest.approx(plain)


# runs ------------------------------------------------------------------------------------------------------------


def run(folder: Path, rounds: int, **options: Any) -> dict[str, Tensor]:
    unet, threshold = nets()
    options = {"batch": 2, "lower_steps": 2, "upper_steps": 2, "outside": 0.1, **options}
    watch = options.pop("monitor", None)
    settings = BilevelSettings(rounds=rounds, **options)
    train_pair(unet, threshold, healthy, patient, folder, settings=settings, monitor=watch)
    return load_file(folder / "joint.safetensors")


@pytest.mark.parametrize("form", ["first-order", "unrolled", "implicit"])
def test_two_and_two_rounds_equal_four_bit_for_bit(tmp_path: Path, form: str) -> None:
    whole = run(tmp_path / "whole", 4, hypergradient=form)
    run(tmp_path / "parts", 2, hypergradient=form)
    parts = run(tmp_path / "parts", 4, hypergradient=form)
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


@pytest.mark.parametrize("level", [healthy, patient])
def test_a_batch_that_is_no_number_breaks_no_weight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, level: Callable[[int, int], dict[str, Tensor]]
) -> None:
    def broken(step: int, lane: int) -> dict[str, Tensor]:
        return {key: value * float("nan") if step % 2 else value for key, value in level(step, lane).items()}

    monkeypatch.setitem(globals(), level.__name__, broken)
    assert all(bool(torch.isfinite(value).all()) for value in run(tmp_path / "run", 2).values())


def test_a_run_learns_a_threshold_that_finds_the_lesion_and_watching_it_changes_nothing(tmp_path: Path) -> None:
    seen: list[int] = []

    def monitor(reconstructor: torch.nn.Module, threshold: torch.nn.Module) -> dict[str, float]:
        seen.append(int(torch.randint(0, 9, (1,))))  # a monitor that draws random numbers
        assert not reconstructor.training
        assert not threshold.training
        return {"dice": 0.5}

    options: dict[str, Any] = {"upper_rate": 2e-2, "lower_rate": 2e-2, "lower_steps": 4, "upper_steps": 6}
    alone = run(tmp_path / "alone", 8, **options)
    watched = run(tmp_path / "watched", 8, monitor=monitor, **options)
    assert all(torch.equal(alone[name], watched[name]) for name in alone)
    assert len(seen) == 8
    lines = (tmp_path / "watched" / "log.jsonl").read_text().splitlines()
    assert '"monitor dice": 0.5' in lines[0]
    upper = [float(line.split('"upper": ')[1].split(",")[0].rstrip("}")) for line in lines]
    assert upper[-1] < upper[0] - 0.1
    assert (tmp_path / "watched" / "curves.png").is_file()
    assert (tmp_path / "watched" / "threshold" / "model.safetensors").is_file()


def test_the_published_choice_keeps_the_lowest_loss_from_round_four_to_the_last_but_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the sixth round on targets lie where nothing stands out: the loss of the fifth is the lowest."""
    easy = patient

    def harder(step: int, lane: int) -> dict[str, Tensor]:
        sample = easy(step, lane)
        return sample if step < 10 else {**sample, "target": sample["target"].flip(1)}

    monkeypatch.setitem(globals(), "patient", harder)
    options: dict[str, Any] = {"upper_rate": 2e-2, "lower_rate": 2e-2}
    settings = BilevelSettings(rounds=8, batch=2, lower_steps=2, upper_steps=2, outside=0.1, keep="lowest", **options)
    found = train_pair(*nets(), healthy, harder, tmp_path / "whole", settings=settings)
    losses = [json.loads(line)["upper"] for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    assert losses[4] == min(losses[3:7])
    assert found == 5
    run(tmp_path / "five", 5, **options)
    run(tmp_path / "eight", 8, **options)
    weights = {
        name: load_file(tmp_path / name / "threshold" / "model.safetensors") for name in ("whole", "five", "eight")
    }
    assert all(torch.equal(value, weights["five"][name]) for name, value in weights["whole"].items())
    assert any(not torch.equal(value, weights["eight"][name]) for name, value in weights["whole"].items())
    again = train_pair(*nets(), healthy, harder, tmp_path / "whole", settings=settings)
    assert again == 5  # remembered beside the weights


@pytest.mark.parametrize(("rounds", "allowed"), [(101, range(4, 101)), (5, [4]), (4, [4]), (2, [2])])
def test_which_rounds_the_published_choice_may_keep(rounds: int, allowed: range | list[int]) -> None:
    form = BilevelSettings.published().model_copy(update={"rounds": rounds})
    assert [turn for turn in range(1, rounds + 1) if form.may_keep(turn)] == list(allowed)


@pytest.mark.slow
def test_two_processes_equal_one_with_twice_the_batch(tmp_path: Path) -> None:
    run(tmp_path / "one", 1, lower_steps=1, upper_steps=1, weight_decay=0.0, batch=4)
    run(tmp_path / "half", 1, lower_steps=1, upper_steps=1, weight_decay=0.0, batch=2)
    script = tmp_path / "two.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from pathlib import Path\nfrom test_bilevel import run\n"
        f"run(Path({str(tmp_path / 'two')!r}), 1, lower_steps=1, upper_steps=1, weight_decay=0.0, batch=4)\n"
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", f"--master-port={port}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*torchrun, str(script)], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    for level in ("reconstructor", "threshold"):
        one, two, half = (moments(tmp_path / name, level) for name in ("one", "two", "half"))
        assert (two - one).norm() < 1e-3 * one.norm()
        assert (half - one).norm() > 0.01 * one.norm()


def moments(folder: Path, level: str) -> Tensor:
    """Adam's first moments after one step: the gradients themselves."""
    tensors = load_file(folder / "joint.safetensors")
    names = sorted(n for n in tensors if n.startswith(f"optimiser/{level}/") and n.endswith("/exp_avg"))
    return torch.cat([tensors[name].flatten() for name in names])


def test_batch_norm_and_a_whole_hypergradient_are_refused_by_name(tmp_path: Path) -> None:
    unet = DenoisingUNet(DenoisingUNetSettings(widths=(4, 8), norm="batch"))
    settings = BilevelSettings(hypergradient="unrolled")
    with pytest.raises(SettingsError, match="batch norm"):
        train_pair(unet, nets()[1], healthy, patient, tmp_path, settings=settings)
