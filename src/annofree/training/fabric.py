"""The processes of a training: one, or those that `torchrun` started."""

from __future__ import annotations

import os
from typing import Any

import torch

from annofree.training.precision import choose


def launched(precision: str = "fp32") -> Any:
    """A Lightning Fabric for this process, on the GPU where there is one; precision "auto", "fp32" or "bf16"."""
    from lightning.fabric import Fabric

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
