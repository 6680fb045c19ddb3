"""A fitted model on disk: a configuration and a card that people can read, beside weights that hold no code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from annofree.errors import InputError, nearest, no_folder
from annofree.settings import plain_yaml

CARD = "card.json"
CONFIG = "config.yaml"
#: Form of a model folder; folders without a number are of the first.
FORM = 2


def read_model(folder: str | Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The configuration and the card of a model folder.

    Raises:
        InputError: The folder is no model folder, or was written by a newer version.
    """
    import yaml

    folder = Path(folder)
    if not folder.is_dir():
        raise no_folder(folder, "Give the folder that 'annofree fit ... -o FOLDER' wrote", "of a model")
    wanted = {"method": str, "settings": dict, "thresholds": dict, "refiners": dict}
    known = (*wanted, "form", "tier")
    try:
        config = plain_yaml((folder / CONFIG).read_text(encoding="utf-8"))
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        if not isinstance(config, dict) or "method" not in config:
            raise ValueError("no method is named in it")
        for key, kind in wanted.items():
            if not isinstance(config.get(key), kind):
                raise ValueError(f"its {CONFIG} has no usable '{key}'")
        for key in config.keys() - set(known):
            near = nearest(str(key), known)
            raise ValueError(f"its {CONFIG} has an unknown key '{key}'" + (f"; did you mean '{near}'?" if near else ""))
        if not isinstance(card, dict):
            raise ValueError(f"its {CARD} is no table")
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InputError(
            "This is not a model folder",
            file=folder,
            why=_reason(error),
            fix="Give the folder that 'annofree fit ... -o FOLDER' wrote",
        ) from None
    form = config.setdefault("form", 1)
    if not isinstance(form, int) or form > FORM:
        raise InputError(
            "The model was written by a newer version", file=folder, fix="Install that version of annofree"
        )
    return config, card


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename:
        return f"{Path(error.filename).name}: {error.strerror}"
    return str(error).splitlines()[0]
