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

#: Name of the file in the folder of a run of the common loop.
STATE = "state.safetensors"
#: What the names of averaged weights begin with.
_AVERAGE = "average"


def save_state(
    file: Path,
    networks: Mapping[str, nn.Module],
    optimisers: Mapping[str, torch.optim.Optimizer],
    progress: Mapping[str, Any],
    average: Mapping[str, Tensor] | None = None,
) -> None:
    """Write weights, averaged weights and optimiser tensors at full precision, and the progress in the file's header.

    The file is written under a temporary name and renamed, so a killed run leaves the last whole checkpoint.
    Networks are bare modules, by what the names of their tensors begin with; so are optimisers, whose state tensors are
    kept by parameter number. The progress holds plain values (step, best score ...).
    """
    from safetensors.torch import save_file

    groups = {name: network.state_dict() for name, network in networks.items()} | {_AVERAGE: average or {}}
    for name, optimiser in optimisers.items():
        state = optimiser.state_dict()["state"]
        groups[name] = {f"{n}/{k}": torch.as_tensor(v) for n, values in state.items() for k, v in values.items()}
    tensors = {f"{group}/{name}": value for group, values in groups.items() for name, value in values.items()}
    contiguous = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    with atomic_path(file) as part:
        save_file(contiguous, part, metadata={"progress": json.dumps(progress)})


def load_state(
    file: Path,
    networks: Mapping[str, nn.Module],
    optimisers: Mapping[str, torch.optim.Optimizer] | None = None,
    average: dict[str, Tensor] | None = None,
) -> dict[str, Any]:
    """Restore what :func:`save_state` wrote, in place, averaged weights too; gives the progress.

    Without optimisers only weights are restored (to start a new run from them).

    Raises:
        InputError: There is no such file, or it belongs to other networks.
    """
    from safetensors import safe_open

    if not file.is_file():
        raise InputError("There is no run to resume", file=file.parent, fix="Start it without resuming")
    with safe_open(file, framework="pt") as source:
        progress: dict[str, Any] = json.loads(source.metadata()["progress"])
        tensors = {name: source.get_tensor(name) for name in source.keys()}  # noqa: SIM118

    def group(name: str) -> dict[str, Tensor]:
        return {n.removeprefix(f"{name}/"): t for n, t in tensors.items() if n.startswith(f"{name}/")}

    for name, network in networks.items():
        try:
            network.load_state_dict(group(name))
        except RuntimeError as error:
            raise InputError("The run belongs to another network", file=file, why=str(error).splitlines()[0]) from None
    if average is not None:
        for name, value in group(_AVERAGE).items():
            average[name] = average[name].copy_(value) if name in average else value
    for name, optimiser in (optimisers or {}).items():
        state: dict[int, dict[str, Tensor]] = {}
        parameters = [p for g in optimiser.param_groups for p in g["params"]]
        for entry, value in group(name).items():
            number, key = entry.split("/")
            if value.shape == parameters[int(number)].shape and value.dim() == 5:
                value = value.contiguous(memory_format=torch.channels_last_3d)
            state.setdefault(int(number), {})[key] = value
        optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    return progress
