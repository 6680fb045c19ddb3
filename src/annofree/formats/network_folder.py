"""The folder of a fitted network: its config, and whether its files belong together."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from annofree.errors import InputError
from annofree.formats.outfolder import atomic_write
from annofree.settings import plain_yaml

MODEL, WEIGHTS = "model.onnx", "model.safetensors"
#: Entry of the config: SHA-256 of the weights that the ONNX form was made from.
WEIGHTS_HASH = "weights_sha256"


def read_config(source: Path) -> dict[str, Any]:
    """The `config.yaml` of a network's folder. Raises `InputError`: it is no table that names a network."""
    import yaml

    try:
        config = plain_yaml((source / "config.yaml").read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        why = str(error).splitlines()[0]
        raise InputError("A network's config cannot be read", file=source / "config.yaml", why=why) from None
    if not isinstance(config, dict) or not isinstance(config.get("network"), dict):
        why = "it names no network"
        raise InputError("A network's config cannot be used", file=source / "config.yaml", why=why)
    return config


def state_weights(source: Path) -> None:
    """Write into the config which weights `model.onnx` was made from, so that a mix of two networks is found."""
    import yaml

    config = read_config(source) | {WEIGHTS_HASH: file_hash(source / WEIGHTS)}
    atomic_write(source / "config.yaml", yaml.safe_dump(config, sort_keys=False))


def require_one_network(source: Path, config: dict[str, Any]) -> None:
    """Refuse by an `InputError` other weights than those that `model.onnx` was made from, where the config tells."""
    if WEIGHTS_HASH not in config:
        return
    if not (source / WEIGHTS).is_file():
        raise mixed(source, f"{WEIGHTS} is missing")
    if file_hash(source / WEIGHTS) != config[WEIGHTS_HASH]:
        raise mixed(source, f"{WEIGHTS} is damaged, or not what {MODEL} was made from")


def mixed(source: Path, why: str) -> InputError:
    """The error for files that do not belong together."""
    return InputError(
        "The files of a network do not belong together",
        file=source,
        why=why,
        fix="Copy the model folder again; after changing the weights run python -m annofree.inference.export FOLDER",
    )


def text_hash(*parts: Any) -> str:
    """A short hash of anything that JSON can hold."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def file_hash(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
