"""Several networks and their optimisers in one file, so that a bi-level run resumes with both levels in step."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from annofree.errors import InputError

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
    from safetensors.torch import save_file

    tensors: dict[str, Tensor] = {}
    for name, network in networks.items():
        tensors |= {f"network/{name}/{key}": value for key, value in network.state_dict().items()}
    for name, optimiser in optimisers.items():
        for number, values in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser/{name}/{number}/{key}": torch.as_tensor(v) for key, v in values.items()}
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / (_STATE + ".tmp")
    plain = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    save_file(plain, part, metadata={"progress": json.dumps(progress)})
    part.replace(folder / _STATE)


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
    from safetensors import safe_open

    file = folder / _STATE
    if not file.is_file():
        raise InputError("There is no bi-level run to resume", file=folder, fix="Start it without resuming")
    with safe_open(file, framework="pt") as source:
        progress: dict[str, Any] = json.loads(source.metadata()["progress"])
        tensors = {name: source.get_tensor(name) for name in source.keys()}  # noqa: SIM118
    for name, network in networks.items():
        start = f"network/{name}/"
        try:
            network.load_state_dict({k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)})
        except RuntimeError as error:
            why = str(error).splitlines()[0]
            raise InputError("The run belongs to other networks", file=file, why=why) from None
    for name, optimiser in optimisers.items():
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith(f"optimiser/{name}/"):
                _, _, number, entry = key.split("/")
                state.setdefault(int(number), {})[entry] = value
        optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    return progress
