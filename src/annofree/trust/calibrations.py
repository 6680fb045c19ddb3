"""Small files of plain numbers beside a model's weights: what it was measured to do, for these weights alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Self

from annofree.errors import InputError
from annofree.formats.network_folder import text_hash
from annofree.formats.outfolder import write_json

FORM = 1


class Calibration:
    """What dataclasses of such numbers have in common; a field `weights` holds `weights_fingerprint` of the model."""

    #: The file's name, and what it calibrates, for a message.
    file: ClassVar[str]
    what: ClassVar[str]

    def write(self, folder: str | Path) -> Path:
        """Put the calibration beside the model, in six digits."""
        path = Path(folder) / self.file
        told = _short(asdict(self))  # type: ignore[call-overload]
        write_json(path, {"form": FORM, **told})
        return path

    @classmethod
    def read(cls, folder: str | Path) -> Self | None:
        """The calibration of a model folder; None where it has none, or one of other weights.

        Raises:
            InputError: The file is damaged.
        """
        path = Path(folder) / cls.file
        if not path.is_file():
            return None
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            own = {name: told[name] for name in cls.__dataclass_fields__}  # type: ignore[attr-defined]
            known = cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in own.items()})
            known.try_out()
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            why = f"{type(error).__name__}: {error}"
            fix = "Calibrate the model again"
            raise InputError(f"A calibration of {cls.what} cannot be read", file=path, why=why, fix=fix) from None
        return known if own["weights"] == weights_fingerprint(path.parent) else None

    def try_out(self) -> None:
        """Use it once, so that what cannot be used fails where it is read."""
        raise NotImplementedError


def _short(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _short(one) for name, one in value.items()}
    if isinstance(value, tuple | list):
        return [_short(one) for one in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def rules_fingerprint(settings: Mapping[str, Any], rules: Mapping[str, Any]) -> str:
    """A fingerprint of what decides beside the weights: run settings, thresholds, refiners."""
    return text_hash(dict(settings), dict(rules))


def weights_fingerprint(folder: str | Path) -> str:
    """A fingerprint of the networks in a model folder."""
    digest = hashlib.sha256()
    for path in sorted(Path(folder).rglob("*.safetensors")):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
