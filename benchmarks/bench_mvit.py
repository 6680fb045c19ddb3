"""Reconstructing one volume: the published MViT-AE network against ours, multiply-adds and seconds side by side.

Run: python benchmarks/bench_mvit.py [THREADS]
The published network (random weights) is timed on two of its 155 slices of 240 x 240 and scaled up; the shipped one on
a whole brain of 62 slices, all rounds. Each is timed three times in turn, the median counts.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from annofree import methods
from annofree.inference.torch_network import TorchNetwork
from annofree.methods.mvit_ae.frame import Frame, reconstruct
from annofree.methods.mvit_ae.method import MViTAE
from annofree.methods.mvit_ae.network import ViTAESettings
from annofree.networks import build
from annofree.scan import Grid

SLICES, OURS_SLICES = 155, 62


def main() -> None:
    torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
    torch.manual_seed(0)
    published = build(ViTAESettings()).eval()
    method = methods.shipped("mvit-ae")
    assert isinstance(method, MViTAE)
    assert method.network is not None
    ours, settings = method.network.module(), method.settings
    volume = brain(ours.settings.size)
    two = torch.zeros(2, 4, 240, 240)

    def look() -> Any:
        return reconstruct(
            TorchNetwork(ours), volume, volume.present, rounds=settings.rounds, hide_share=settings.hide_share
        )

    theirs_macs = multiply_adds(published, lambda: published(two)) / 2 * SLICES
    ours_macs = multiply_adds(ours, look)
    timed = np.array([[seconds(lambda: published(two)), seconds(look)] for _ in range(3)])
    timed[:, 0] *= SLICES / 2
    (theirs, their_cores), (own, own_cores) = np.median(timed, axis=0)
    print(f"{'':28s} {'GMAC a volume':>14s} {'s a volume':>11s} {'core-seconds':>13s} {'parameters':>12s}")
    for name, macs, wall, cores, network in (
        ("published, 155 x 240 x 240", theirs_macs, theirs, their_cores, published),
        ("ours, as shipped", ours_macs, own, own_cores, ours),
    ):
        number = sum(p.numel() for p in network.parameters())
        print(f"{name:28s} {macs / 1e9:14.1f} {wall:11.2f} {cores:13.2f} {number:12,d}")
    print(f"ratio {theirs_macs / ours_macs:.0f} in multiply-adds, {their_cores / own_cores:.0f} in core-seconds")


def brain(size: tuple[int, int]) -> Frame:
    """Slices of noise as large as a head."""
    rng = np.random.default_rng(0)
    shape = (OURS_SLICES, *size)
    images = rng.standard_normal((4, *shape), dtype=np.float32)
    height = np.linspace(-1.0, 1.0, OURS_SLICES, dtype=np.float32)
    grid = Grid((*size, OURS_SLICES), np.diag([2.5, 2.5, 2.5, 1.0]))
    return Frame(images, np.ones(shape, dtype=bool), height, np.ones(4, dtype=bool), grid, (0, 0, 0))


def seconds(work: Callable[[], Any]) -> tuple[float, float]:
    """By the clock, and of all cores together, which others' work disturbs less."""
    with torch.inference_mode():
        started, busy = time.perf_counter(), time.process_time()
        work()
        return time.perf_counter() - started, time.process_time() - busy


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
