"""One training step of BLOGRR's denoiser: as published against as it is here, side by side in one process.

Run: python benchmarks/bench_blogrr_step.py [--batch 4] [--rounds 2] [--threads 1] [--compile] [--profile]

"published" is written out below from the description of its layers: convolutions whose weights are standardised by
separate reductions, padding as a step of its own, a swish with a hand-written backward, a linear layer of 134 million
weights that nothing uses, contiguous memory, fp32, Adam with amsgrad. "here" is the same network of
`annofree.methods.reconstruction.denoising_unet`: no dead layer, fused reductions and swish, the input not repeated,
fused AdamW, bf16 only where the hardware computes in it; in both memory formats. A swish in place is not possible: its
derivative needs the input that it would overwrite. The published batch is 64; a smaller one keeps the run short.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from annofree.methods.reconstruction.denoising_unet import DenoisingUNet, DenoisingUNetSettings, groups_of
from annofree.training.fabric import choose


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
    batch: Tensor,
    noise: Tensor,
    precision: str,
    settings: DenoisingUNetSettings,
    memory: torch.memory_format,
    compiled: bool = False,
) -> Callable[[], None]:
    """The same loss."""
    device = batch.device
    network = DenoisingUNet(settings).to(device, memory_format=memory)
    run = torch.compile(network) if compiled else network
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4, weight_decay=1e-5, fused=True)
    batch, noise = (t.contiguous(memory_format=memory) for t in (batch, noise))
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


def profiled(job: Callable[[], None]) -> str:
    """Shares of the CPU time of one step by operation."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU]) as seen:
        job()
    return str(seen.key_averages().table(sort_by="self_cpu_time_total", row_limit=10, max_name_column_width=34))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compile", action="store_true", help="Also time torch.compile (a minute of compiling).")
    parser.add_argument("--profile", action="store_true", help="Print where the time of a step goes.")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
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

    formats = {"contiguous": torch.contiguous_format, "channels-last": torch.channels_last}
    jobs = {"published": published_step(batch, noise, device)}
    for name, memory in formats.items():
        jobs[f"here, {name}"] = our_step(batch, noise, precision, full, memory)
    if given.compile:
        jobs["here, compiled"] = our_step(batch, noise, precision, full, torch.contiguous_format, compiled=True)
    for name, memory in formats.items():
        jobs[f"shipped width, {name}"] = our_step(batch, noise, precision, small, memory)
    report("training step", clock(jobs, given.rounds, device), given.batch)
    if given.profile:
        for name in ("published", "here, contiguous"):
            print(f"\n{name}\n{profiled(jobs[name])}")
    del jobs
    looks = {"published": inference(Published(dead=False).to(device), batch)}
    for width, settings in (("here", full), ("shipped width", small)):
        for name, memory in formats.items():
            network = DenoisingUNet(settings).to(device, memory_format=memory)
            looks[f"{width}, {name}"] = inference(network, batch.contiguous(memory_format=memory))
    report("inference", clock(looks, given.rounds, device), given.batch)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GB")


def report(title: str, seconds: dict[str, float], count: int) -> None:
    base = seconds["published"]
    for name, value in seconds.items():
        print(f"{title:14s} {name:28s} {value:7.3f} s {count / value:8.1f} slices/s   {base / value:5.2f} x published")


if __name__ == "__main__":
    main()
