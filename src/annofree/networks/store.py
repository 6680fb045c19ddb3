"""Networks on disk: half-precision safetensors beside a readable config; no pickle."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn

from annofree.errors import InputError
from annofree.formats.network_folder import read_config
from annofree.formats.outfolder import atomic_path, atomic_write
from annofree.networks.build import build, parse

#: Memory formats in which convolutions are fastest, by the weights' dimensions (2-D and 3-D).
_FASTEST = {4: torch.channels_last, 5: torch.channels_last_3d}


def save_network(network: nn.Module, folder: str | PathLike[str], *, extra: dict[str, Any] | None = None) -> Path:
    """Write ``model.safetensors`` (fp16) and ``config.yaml`` of a network that :func:`annofree.networks.build` built.

    `extra` has further entries of the config beside ``network``, for instance ``spacing_mm``. Returns the folder.
    """
    from safetensors.torch import save_file

    out = Path(folder)
    tensors = {
        name: (value.half() if value.is_floating_point() else value).detach().cpu().contiguous()
        for name, value in network.state_dict().items()
    }
    config = {"network": network.settings.model_dump(mode="json"), **(extra or {})}  # type: ignore[union-attr, operator]
    atomic_write(out / "config.yaml", yaml.safe_dump(config, sort_keys=False))
    with atomic_path(out / "model.safetensors") as part:
        save_file(tensors, part)
    return out


def load_network(folder: str | PathLike[str]) -> tuple[nn.Module, dict[str, Any]]:
    """Read what :func:`save_network` wrote.

    Returns:
        The network, float32 and ready to predict, and the whole config.

    Raises:
        InputError: A file is missing, or the weights do not fit the config.
    """
    from safetensors.torch import load_file

    source = Path(folder)
    for name in ("config.yaml", "model.safetensors"):
        if not (source / name).is_file():
            raise InputError(
                "Not a network folder", file=source, why=f"{name} is missing", fix="Give a folder written by a fit"
            )
    config = read_config(source)
    network = build(parse(config["network"]))
    try:
        network.load_state_dict({k: v.float() for k, v in load_file(source / "model.safetensors").items()})
    except Exception as error:  # torch and safetensors raise classes of their own on foreign and on damaged files
        why = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:160]
        fix = "Copy the model folder again, or fit anew"
        raise InputError(
            "The weights do not fit the config", file=source / "model.safetensors", why=why, fix=fix
        ) from None
    for parameter in network.parameters():
        if parameter.ndim in _FASTEST:
            parameter.data = parameter.data.contiguous(memory_format=_FASTEST[parameter.ndim])
    return network.eval(), config
