"""Small files of plain numbers beside a model's weights: what it was measured to do, for these weights alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from annofree.errors import InputError
from annofree.formats.outfolder import atomic_write

FORM = 1

_T = TypeVar("_T")


def write_calibration(path: Path, told: Mapping[str, Any]) -> Path:
    """Put a calibration beside a model."""
    atomic_write(path, json.dumps({"form": FORM, **told}, indent=1) + "\n")
    return path


def read_calibration(path: Path, what: str, build: Callable[[dict[str, Any]], _T]) -> _T | None:
    """The calibration of a model folder; None where it has none, or one of other weights.

    Args:
        path: The file, in the model's folder.
        what: What it calibrates, for a message.
        build: Makes it from what the file holds.

    Raises:
        InputError: The file is damaged.
    """
    if not path.is_file():
        return None
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        known, weights = build(told), str(told["weights"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"A calibration of {what} cannot be read",
            file=path,
            why=f"{type(error).__name__}: {error}",
            fix="Calibrate the model again",
        ) from None
    return known if weights == weights_fingerprint(path.parent) else None


def rules_fingerprint(settings: Mapping[str, Any], rules: Mapping[str, Any]) -> str:
    """A fingerprint of what decides beside the weights: run settings, thresholds, refiners."""
    text = json.dumps([dict(settings), dict(rules)], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def weights_fingerprint(folder: str | Path) -> str:
    """A fingerprint of the networks in a model folder."""
    digest = hashlib.sha256()
    for path in sorted(Path(folder).rglob("*.safetensors")):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
