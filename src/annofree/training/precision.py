"""Which number format the hardware is good at."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch

Precision = Literal["32-true", "bf16-mixed"]


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
