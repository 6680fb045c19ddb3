"""Every setting of a method in words: name, unit, default, meaning, read from its settings class."""

from __future__ import annotations

import inspect
import re
import types
import typing
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from annofree.methods.registry import method_class

#: Units by the end of a setting's name, as the whole package writes them.
_UNITS = {
    "mm": "mm",
    "ml": "ml",
    "vox": "voxels",
    "s": "s",
    "gib": "GiB",
    "mb": "MB",
    "steps": "steps",
    "epochs": "epochs",
    "rounds": "rounds",
    "batch": "samples",
    "batches": "batches",
    "share": "0 to 1",
    "fraction": "0 to 1",
    "quantile": "0 to 1",
    "sd": "standard deviations",
    "degrees": "degrees",
}
_PLAIN = {int: "whole number", float: "number", str: "text", bool: "true or false", type(None): "none", dict: "mapping"}
_ENTRY = re.compile(r"^(\w+(?:, \w+)*):\s*(.*)$")


@dataclass(frozen=True)
class SettingInfo:
    """One setting.

    Attributes:
        name: As `--set NAME=VALUE` and Python take it; a dot leads into a group of settings.
        kind: What it takes, in words.
        unit: Its unit, or "".
        default: As text.
        meaning: One sentence.
    """

    name: str
    kind: str
    unit: str
    default: str
    meaning: str


def settings_of(method: str) -> list[SettingInfo]:
    """All settings of a method, in the order in which they are written.

    Raises:
        SettingsError: There is no such method.
    """
    return list(_rows(method_class(method).settings_class, ""))


def _rows(model: type[BaseModel], prefix: str) -> typing.Iterator[SettingInfo]:
    meanings = _meanings(model)
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _rows(inner, f"{prefix}{name}.")
            continue
        yield SettingInfo(
            prefix + name,
            _kind(inner),
            next((unit for end, unit in _UNITS.items() if f"_{name}".endswith(f"_{end}")), ""),
            _default(field),
            field.description or meanings.get(name, ""),
        )


def _meanings(model: type[BaseModel]) -> dict[str, str]:
    """What the docstrings' "Attributes" say, a derived class before its bases."""
    found: dict[str, str] = {}
    for cls in model.__mro__:
        lines = inspect.cleandoc(cls.__doc__ or "").splitlines() if issubclass(cls, BaseModel) else []
        inside, last = False, None
        for line in lines:
            if not line.startswith(" "):
                inside = line.strip() == "Attributes:"
            elif inside and (entry := _ENTRY.match(line.strip())) and len(line) - len(line.lstrip()) == 4:
                last = [name for name in entry.group(1).split(", ") if name not in found]
                found.update(dict.fromkeys(last, entry.group(2)))
            elif inside and last:
                found.update({name: f"{found[name]} {line.strip()}".strip() for name in last})
    return found


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be given"
    value: Any = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, Enum):
        value = value.value
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else f"{value}"


def _kind(annotation: Any) -> str:
    """What a type takes, in words: "whole number or none", "one of fast, default, best"."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _kind(inner[0])
    if origin is Literal:
        return f"one of {', '.join(map(str, inner))}"
    if origin in (typing.Union, types.UnionType):
        kinds = [_kind(part) for part in inner]
        return " or ".join(dict.fromkeys(kinds))
    if origin in (tuple, list, set, frozenset):
        parts = list(dict.fromkeys(_kind(part) for part in inner if part is not Ellipsis))
        return f"list of {' and '.join(parts)}s" if parts else "list"
    if origin is not None:
        return _PLAIN.get(origin, str(origin))
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return f"one of {', '.join(str(member.value) for member in annotation)}"
    return _PLAIN.get(annotation, getattr(annotation, "__name__", str(annotation)).lower())
