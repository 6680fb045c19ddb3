"""Several networks and their optimisers in one file, so that a bi-level run resumes with both levels in step."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from annofree.errors import InputError
from annofree.training.checkpoint import optimiser_state, optimiser_tensors, read_tensors, write_tensors

_STATE = "joint.safetensors"


def save_joint(
    folder: Path,
    networks: Mapping[str, nn.Module],
    optimisers: Mapping[str, torch.optim.Optimizer],
    progress: dict[str, Any],
) -> None:
    """Write all weights and optimiser tensors at full precision, and the progress; whole or not at all.

    Args:
        folder: The run's folder.
        networks: By name; names hold no slash.
        optimisers: By name.
        progress: Plain values.
    """
    tensors: dict[str, Tensor] = {}
    for name, network in networks.items():
        tensors |= {f"network/{name}/{key}": value for key, value in network.state_dict().items()}
    for name, optimiser in optimisers.items():
        tensors |= optimiser_tensors(optimiser, f"optimiser/{name}")
    write_tensors(folder / _STATE, tensors, progress)


def has_joint(folder: Path) -> bool:
    """Whether a run can be resumed from this folder."""
    return (folder / _STATE).is_file()


def load_joint(
    folder: Path, networks: Mapping[str, nn.Module], optimisers: Mapping[str, torch.optim.Optimizer]
) -> dict[str, Any]:
    """Restore in place what :func:`save_joint` wrote.

    Returns:
        The progress.

    Raises:
        InputError: There is no such file, or it belongs to other networks.
    """
    file = folder / _STATE
    tensors, progress = read_tensors(file)
    for name, network in networks.items():
        start = f"network/{name}/"
        try:
            network.load_state_dict({k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)})
        except RuntimeError as error:
            why = str(error).splitlines()[0]
            raise InputError("The run belongs to other networks", file=file, why=why) from None
    for name, optimiser in optimisers.items():
        state = optimiser_state(tensors, f"optimiser/{name}")
        optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    return progress
