"""Everything a run needs to go on, without pickle: tensors as safetensors, the rest as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from annofree.errors import InputError

_STATE = "state.safetensors"


def save_state(
    folder: Path,
    network: nn.Module,
    average: dict[str, Tensor],
    optimiser: torch.optim.Optimizer,
    progress: dict[str, Any],
) -> None:
    """Write weights, averaged weights and optimiser tensors at full precision, and the progress inside one file.

    The file is written under a temporary name and renamed, so a killed run leaves the last whole checkpoint.

    Args:
        folder: The run's folder.
        network: Bare module, not wrapped.
        average: Averaged weights by name.
        optimiser: Its state tensors are kept by parameter number.
        progress: Plain values (step, best score ...), stored as JSON in the file's header.
    """
    from safetensors.torch import save_file

    tensors = {f"network/{name}": value for name, value in network.state_dict().items()}
    tensors |= {f"average/{name}": value for name, value in average.items()}
    for number, values in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser/{number}/{key}": torch.as_tensor(value) for key, value in values.items()}
    contiguous = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / (_STATE + ".tmp")
    save_file(contiguous, part, metadata={"progress": json.dumps(progress)})
    part.replace(folder / _STATE)


def has_state(folder: Path) -> bool:
    """Whether a run can be resumed from this folder."""
    return (folder / _STATE).is_file()


def load_state(
    folder: Path, network: nn.Module, average: dict[str, Tensor], optimiser: torch.optim.Optimizer | None
) -> dict[str, Any]:
    """Restore what :func:`save_state` wrote, in place.

    Args:
        folder: The run's folder.
        network: Bare module of the same shape.
        average: Filled with the averaged weights.
        optimiser: Of the same parameters; None restores weights only (to start a new run from them).

    Returns:
        The progress.

    Raises:
        InputError: There is no state, or it belongs to another network.
    """
    from safetensors import safe_open

    file = folder / _STATE
    if not file.is_file():
        raise InputError("There is no run to resume", file=folder, fix="Start it without resuming")
    with safe_open(file, framework="pt") as source:
        progress: dict[str, Any] = json.loads(source.metadata()["progress"])
        tensors = {name: source.get_tensor(name) for name in source.keys()}  # noqa: SIM118
    weights = {n.removeprefix("network/"): t for n, t in tensors.items() if n.startswith("network/")}
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise InputError("The run belongs to another network", file=file, why=str(error).splitlines()[0]) from None
    for name, value in tensors.items():
        if name.startswith("average/"):
            key = name.removeprefix("average/")
            if key in average:
                average[key].copy_(value)
            else:
                average[key] = value
    if optimiser is not None:
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            if name.startswith("optimiser/"):
                _, number, key = name.split("/")
                state.setdefault(int(number), {})[key] = value
        for number, group_param in enumerate(p for g in optimiser.param_groups for p in g["params"]):
            for key, value in state.get(number, {}).items():
                if value.shape == group_param.shape and group_param.dim() == 5:
                    state[number][key] = value.contiguous(memory_format=torch.channels_last_3d)
        optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    return progress
