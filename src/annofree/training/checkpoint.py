"""Everything a run needs to go on, without pickle: tensors as safetensors, the rest as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from annofree.errors import InputError
from annofree.formats.outfolder import atomic_path

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
    tensors = {f"network/{name}": value for name, value in network.state_dict().items()}
    tensors |= {f"average/{name}": value for name, value in average.items()}
    write_tensors(folder / _STATE, tensors | optimiser_tensors(optimiser, "optimiser"), progress)


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
    file = folder / _STATE
    tensors, progress = read_tensors(file)
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
        state = optimiser_state(tensors, "optimiser")
        for number, group_param in enumerate(p for g in optimiser.param_groups for p in g["params"]):
            for key, value in state.get(number, {}).items():
                if value.shape == group_param.shape and group_param.dim() == 5:
                    state[number][key] = value.contiguous(memory_format=torch.channels_last_3d)
        optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    return progress


def write_tensors(file: Path, tensors: Mapping[str, Tensor], progress: Mapping[str, Any]) -> None:
    """Write tensors and plain values as one safetensors file, atomically."""
    from safetensors.torch import save_file

    contiguous = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    with atomic_path(file) as part:
        save_file(contiguous, part, metadata={"progress": json.dumps(progress)})


def read_tensors(file: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What :func:`write_tensors` wrote.

    Raises:
        InputError: There is no such file.
    """
    from safetensors import safe_open

    if not file.is_file():
        raise InputError("There is no run to resume", file=file.parent, fix="Start it without resuming")
    with safe_open(file, framework="pt") as source:
        progress: dict[str, Any] = json.loads(source.metadata()["progress"])
        return {name: source.get_tensor(name) for name in source.keys()}, progress  # noqa: SIM118


def optimiser_tensors(optimiser: torch.optim.Optimizer, prefix: str) -> dict[str, Tensor]:
    """The state of an optimiser as tensors named `prefix/<parameter>/<entry>`."""
    state = optimiser.state_dict()["state"]
    return {
        f"{prefix}/{number}/{key}": torch.as_tensor(v) for number, values in state.items() for key, v in values.items()
    }


def optimiser_state(tensors: Mapping[str, Tensor], prefix: str) -> dict[int, dict[str, Tensor]]:
    """The inverse of :func:`optimiser_tensors`."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith(f"{prefix}/"):
            number, key = name.removeprefix(f"{prefix}/").split("/")
            state.setdefault(int(number), {})[key] = value
    return state
