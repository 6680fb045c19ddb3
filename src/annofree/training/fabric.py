"""The processes of a training, one or those that `torchrun` started, and the number format that suits the hardware."""

from __future__ import annotations

import ctypes
import logging
import os
import sys
from pathlib import Path
from typing import Any, Literal

import torch

Precision = Literal["32-true", "bf16-mixed"]


def launched(precision: str = "fp32") -> Any:
    """A Lightning Fabric for this process, on the GPU where there is one; precision "auto", "fp32" or "bf16"."""
    from lightning.fabric import Fabric

    for part in ("fabric", "pytorch"):  # how numbers are held is the recipe's to tell
        logging.getLogger(f"lightning.{part}").setLevel(logging.WARNING)
    keep_memory()
    world = int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    accelerator = "cuda" if torch.cuda.is_available() else "cpu"
    fabric = Fabric(
        accelerator=accelerator,
        devices=local,
        num_nodes=world // local,
        strategy="ddp" if world > 1 else "auto",
        precision=choose(precision, torch.device(accelerator)),
    )
    fabric.launch()
    return fabric


def keep_memory() -> None:
    """Let this process keep the memory that a step frees: what glibc gives back must be cleared anew at every step."""
    trim_threshold, most_mapped = -1, -4  # names of malloc.h
    libc: Any = ctypes.CDLL(None) if sys.platform == "linux" else None
    if hasattr(libc, "mallopt"):
        libc.mallopt(trim_threshold, 2**31 - 1)
        libc.mallopt(most_mapped, 0)


def cpu_has_bf16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor multiplies bfloat16 in hardware (AVX512-BF16 or AMX); False where it cannot be told.

    Without these instructions bfloat16 convolutions are emulated: a step was measured at 80 times the time of float32.
    """
    try:
        flags = set(cpuinfo.read_text(encoding="utf-8", errors="replace").split())
    except OSError:
        return False
    return bool(flags & {"avx512_bf16", "amx_bf16"})


def choose(wanted: str, device: torch.device) -> Precision:
    """Fabric's name of the precision "auto", "fp32" or "bf16" on a device."""
    if wanted == "auto":
        able = torch.cuda.is_bf16_supported() if device.type == "cuda" else device.type == "cpu" and cpu_has_bf16()
        return "bf16-mixed" if able else "32-true"
    return "bf16-mixed" if wanted == "bf16" else "32-true"
