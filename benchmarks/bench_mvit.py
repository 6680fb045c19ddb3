"""Reconstructing one volume: the published MViT-AE network against ours, multiply-adds and seconds side by side.

Run: python benchmarks/bench_mvit.py [THREADS]
The published network is timed on two of its 155 slices of 240 x 240 and scaled up; ours on a whole volume, both rounds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from annofree.networks import build
from annofree.networks.mvit_ae import MaskedViTAESettings, ViTAESettings

SLICES, OURS_SLICES, ROUNDS = 155, 62, 2


def main() -> None:
    torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
    torch.manual_seed(0)
    published = build(ViTAESettings()).eval()
    ours = build(MaskedViTAESettings()).eval()
    size = MaskedViTAESettings().size
    tokens = MaskedViTAESettings().tokens[0] * MaskedViTAESettings().tokens[1]

    def look(count: int) -> Callable[[], Any]:
        hidden = torch.zeros(count, 4, tokens, dtype=torch.bool)
        given = (torch.zeros(count, 4, *size), torch.ones(count, *size), hidden, torch.zeros(count))
        return lambda: ours(*given)

    two = torch.zeros(2, 4, 240, 240)
    theirs_macs = multiply_adds(published, lambda: published(two)) / 2 * SLICES
    ours_macs = multiply_adds(ours, look(1)) * OURS_SLICES * ROUNDS
    theirs, own = [], []
    for _ in range(3):
        theirs.append(seconds(lambda: published(two)) / 2 * SLICES)
        own.append(seconds(look(OURS_SLICES)) * ROUNDS)
    print(f"{'':28s} {'GMAC a volume':>14s} {'s a volume':>11s} {'parameters':>12s}")
    rows = (("published, 155 x 240 x 240", theirs_macs, theirs, published), ("ours, two rounds", ours_macs, own, ours))
    for name, macs, times, network in rows:
        number = sum(p.numel() for p in network.parameters())
        print(f"{name:28s} {macs / 1e9:14.1f} {sorted(times)[1]:11.2f} {number:12,d}")
    print(f"ratio {theirs_macs / ours_macs:.0f} in multiply-adds, {sorted(theirs)[1] / sorted(own)[1]:.0f} in seconds")


def seconds(work: Callable[[], Any]) -> float:
    with torch.inference_mode():
        started = time.perf_counter()
        work()
        return time.perf_counter() - started


def multiply_adds(network: nn.Module, work: Callable[[], Any]) -> float:
    """Of all linear layers, convolutions and transposed convolutions in one call; attention itself is left out."""
    total = 0.0

    def count(module: nn.Module, given: tuple[torch.Tensor, ...], made: torch.Tensor) -> None:
        nonlocal total
        if isinstance(module, nn.ConvTranspose2d):
            total += given[0].numel() * module.weight[0].numel()
        elif isinstance(module, nn.Conv2d):
            total += made.numel() * module.weight[0].numel()
        elif isinstance(module, nn.Linear):
            total += made.numel() * module.in_features

    hooks = [module.register_forward_hook(count) for module in network.modules()]
    with torch.inference_mode():
        work()
    for hook in hooks:
        hook.remove()
    return total


if __name__ == "__main__":
    main()
