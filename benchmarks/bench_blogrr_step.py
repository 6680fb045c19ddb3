"""One training step of BLOGRR's denoiser: as published against as it is here, side by side in one process.

Run: python benchmarks/bench_blogrr_step.py [--batch 4] [--rounds 2] [--compile]

"published" is written out below from the description of its layers: convolutions whose weights are standardised by
separate reductions, padding as a step of its own, a swish with a hand-written backward, a linear layer of 134 million
weights that nothing uses, contiguous memory, fp32, Adam with amsgrad. "here" is the same network of
`annofree.networks.denoising_unet`: no dead layer, channels-last, fused reductions, the input not repeated, foreach
AdamW, bf16 only where the hardware computes in it. The published batch is 64; a smaller one keeps the run short.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from annofree.networks.denoising_unet import DenoisingUNet, DenoisingUNetSettings, groups_of
from annofree.training.precision import choose


class _Swish(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx, gradient):  # type: ignore[no-untyped-def]
        (x,) = ctx.saved_tensors
        s = torch.sigmoid(x)
        return gradient * (s * (1 + x * (1 - s)))


class _Standardised(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight
        mean = weight.mean(dim=1, keepdim=True).mean(dim=2, keepdim=True).mean(dim=3, keepdim=True)
        weight = weight - mean
        deviation = weight.view(weight.size(0), -1).std(dim=1).view(-1, 1, 1, 1) + 1e-5
        return functional.conv2d(x, weight / deviation, self.bias, padding=0)


class _Block(nn.Module):
    def __init__(self, inside: int, out: int) -> None:
        super().__init__()
        self.pad = nn.ReflectionPad2d(1)
        self.convs = nn.ModuleList([_Standardised(inside, out, 3), _Standardised(out, out, 3)])
        self.norms = nn.ModuleList([nn.GroupNorm(groups_of(out), out) for _ in range(2)])

    def forward(self, x: Tensor) -> Tensor:
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = norm(_Swish.apply(conv(self.pad(x))))
        return x


class Published(nn.Module):
    """The published denoiser, layer by layer, dead layer included."""

    def __init__(self, widths: tuple[int, ...] = (64, 128, 256, 512), dead: bool = True) -> None:
        super().__init__()
        self.downs = nn.ModuleList(_Block(a, b) for a, b in zip((3, *widths[:-1]), widths, strict=True))
        rising = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.ups = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, 2) for a, b in rising)
        self.blocks = nn.ModuleList(_Block(2 * b, b) for _, b in rising)
        self.last = nn.Conv2d(widths[0], 1, 1)
        if dead:
            self.never_used = nn.Linear(131072, 1024)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, 1, H, W)`` to the same shape."""
        x = x.repeat(1, 3, 1, 1)
        kept = []
        for level, block in enumerate(self.downs):
            x = block(functional.avg_pool2d(x, 2) if level else x)
            kept.append(x)
        kept.pop()
        for up, block in zip(self.ups, self.blocks, strict=True):
            x = block(torch.cat([kept.pop(), up(x)], dim=1))
        return self.last(x)


def published_step(batch: Tensor, noise: Tensor, device: torch.device) -> Callable[[], None]:
    """Squared error plus half of the tolerated error, Adam with amsgrad."""
    network = Published().to(device)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-4, weight_decay=1e-5, amsgrad=True)

    def step() -> None:
        error = (network(batch + noise) - batch).square()
        loss = error.mean() + 0.5 * (error * (error >= -100)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return step


def our_step(
    batch: Tensor, noise: Tensor, device: torch.device, precision: str, compiled: bool, settings: DenoisingUNetSettings
) -> Callable[[], None]:
    """The same loss."""
    network = DenoisingUNet(settings).to(device, memory_format=torch.channels_last)
    run = torch.compile(network) if compiled else network
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4, weight_decay=1e-5, foreach=True)
    batch, noise = (t.contiguous(memory_format=torch.channels_last) for t in (batch, noise))
    half = precision == "bf16-mixed"

    def step() -> None:
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=half):
            answer = run(batch + noise)
        error = (answer.float() - batch).square()
        loss = error.mean() + 0.5 * (error * (error >= -100)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return step


def inference(network: nn.Module, x: Tensor) -> Callable[[], None]:
    network.eval()

    def go() -> None:
        with torch.inference_mode():
            network(x)

    return go


def clock(jobs: dict[str, Callable[[], None]], rounds: int, device: torch.device) -> dict[str, float]:
    """Best CPU (or, on a GPU, wall) seconds of each job; rounds alternate between the jobs."""
    cuda = device.type == "cuda"
    now = time.perf_counter if cuda else time.process_time
    best = dict.fromkeys(jobs, float("inf"))
    for turn in range(rounds + 1):
        for name, job in jobs.items():
            torch.cuda.synchronize() if cuda else None
            started = now()
            job()
            torch.cuda.synchronize() if cuda else None
            if turn:
                best[name] = min(best[name], now() - started)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--compile", action="store_true", help="Also time torch.compile (a minute of compiling).")
    given = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(0)
    batch, noise = (
        torch.rand(given.batch, 1, 128, 128, device=device),
        0.2 * torch.randn(given.batch, 1, 128, 128, device=device),
    )
    precision = choose("auto", device)
    full = DenoisingUNetSettings.published().model_copy(update={"repeat": 1})
    small = DenoisingUNetSettings(widths=(8, 16, 32, 64))

    same = Published(dead=False)
    ours = DenoisingUNet(DenoisingUNetSettings.published())
    weights = sum(p.numel() for p in same.parameters())
    print(f"{device.type}, {torch.get_num_threads()} threads, {precision}, batch {given.batch}, 128 x 128")
    print(
        f"weights: published {weights:,} + 134,218,752 never used; here {sum(p.numel() for p in ours.parameters()):,}"
    )

    jobs = {"published": published_step(batch, noise, device)}
    jobs["here"] = our_step(batch, noise, device, precision, False, full)
    if given.compile:
        jobs["here, compiled"] = our_step(batch, noise, device, precision, True, full)
    jobs["shipped width"] = our_step(batch, noise, device, precision, False, small)
    report("training step", clock(jobs, given.rounds, device), given.batch)
    del jobs
    x = batch.contiguous(memory_format=torch.channels_last)
    looks = {"published": inference(Published(dead=False).to(device), batch)}
    for name, settings in (("here", full), ("shipped width", small)):
        looks[name] = inference(DenoisingUNet(settings).to(device, memory_format=torch.channels_last), x)
    report("inference", clock(looks, given.rounds, device), given.batch)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GB")


def report(title: str, seconds: dict[str, float], count: int) -> None:
    base = seconds["published"]
    for name, value in seconds.items():
        print(f"{title:14s} {name:16s} {value:7.2f} s {count / value:8.1f} slices/s   {base / value:5.2f} x published")


if __name__ == "__main__":
    main()
