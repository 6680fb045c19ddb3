"""Reading a fitted network: its ONNX form, or one made on the spot for folders from before there was one."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

from annofree.errors import InputError
from annofree.extras import explained
from annofree.formats.network_folder import MODEL, mixed, read_config, require_one_network
from annofree.inference.network import OnnxNetwork


def load_network(folder: str | PathLike[str], *, device: str = "auto") -> tuple[OnnxNetwork, dict[str, Any]]:
    """The network in a folder, ready to predict on a device of `PROVIDERS`, and the config beside it.

    A folder without `model.onnx` was written before there was one: the file's content is made in memory where torch is
    installed (`python -m annofree.inference.export FOLDER` writes it for good).

    Raises:
        InputError: A file is missing, or cannot be read.
        OptionalDependency: There is no `model.onnx`, and no torch to make it with.
    """
    source = Path(folder)
    if not (source / "config.yaml").is_file():
        raise InputError(
            "Not a network folder", file=source, why="config.yaml is missing", fix="Give a folder written by a fit"
        )
    config = read_config(source)
    if (source / MODEL).is_file():
        require_one_network(source, config)
        network = OnnxNetwork(source / MODEL, source, device=device)
        stated = {name: value for name, value in config["network"].items() if hasattr(network.settings, name)}
        different = [name for name, value in stated.items() if _plain(getattr(network.settings, name)) != _plain(value)]
        if different or not stated:
            raise mixed(source, f"{MODEL} and config.yaml state different networks ({', '.join(different[:3])})")
        return network, config
    with explained(f"The model in {source} was fitted before there was a {MODEL}: making it"):
        from annofree.inference.export import onnx_of
        from annofree.networks.store import load_network as load_module

        content = onnx_of(load_module(source)[0])
    return OnnxNetwork(content, source, device=device), config


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
