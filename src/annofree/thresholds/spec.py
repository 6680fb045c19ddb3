"""Thresholds from text (`"healthy-quantile:0.99"`) and from their own dictionaries."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from importlib import import_module
from typing import Any

from annofree.errors import SettingsError
from annofree.thresholds.base import Threshold

#: Kind to the module and class that implement it, and the form that `parse` reads.
KINDS: dict[str, tuple[str, str, str]] = {
    "fixed": ("annofree.thresholds.fixed", "Fixed", "fixed:2.0"),
    "healthy-quantile": ("annofree.thresholds.healthy", "HealthyQuantile", "healthy-quantile:0.99"),
    "conformal": ("annofree.thresholds.conformal", "Conformal", "conformal:2ml@0.2"),
    "otsu": ("annofree.thresholds.otsu", "Otsu", "otsu"),
    "mad": ("annofree.thresholds.mad", "Mad", "mad:3"),
    "oracle": ("annofree.thresholds.oracle", "Oracle", "oracle"),
    "learned": ("annofree.thresholds.learned", "Learned", "learned"),
}

_MAIN = {"fixed": "value", "healthy-quantile": "quantile", "otsu": "classes", "mad": "k", "oracle": "region"}
_READ: dict[str, Callable[[str], Any]] = {"classes": int, "min_scans": int, "tier": str, "region": str, "source": str}


def parse(text: str) -> Threshold:
    """A threshold from its short form; options follow after commas (`"otsu:3"`, `"fixed:0.5,tier=T0"`).

    Raises:
        SettingsError: Unknown rule or option (the nearest known one is named), or a value that cannot be read.

    Example:
        >>> parse("fixed:2.0").value
        2.0
        >>> print(parse("conformal:2ml@0.2"))
        not fitted (conformal, at most 2 ml false positive in 80 % of healthy people; tier T0)
    """
    kind, _, rest = text.strip().partition(":")
    kind = kind.strip().lower().replace("_", "-")
    form = _entry(kind)[2]
    if kind == "learned" and rest:  # learned:FILE.json
        from annofree.thresholds.learned import Learned

        return Learned.load(rest.strip())
    values: dict[str, Any] = {}
    for position, part in enumerate(p.strip() for p in rest.split(",") if p.strip()):
        key, equals, value = (word.strip() for word in part.partition("="))
        if equals:
            values[key] = _read(key, value, text, form)
        elif position == 0 and kind == "conformal":
            match = re.fullmatch(r"([\d.eE+-]+)\s*ml\s*@\s*([\d.eE+-]+)", part)
            if not match:
                raise SettingsError(f"'{text}' cannot be read as a threshold", fix=f"Write it like '{form}'")
            values["max_ml"] = _read("max_ml", match[1], text, form)
            values["alpha"] = _read("alpha", match[2], text, form)
        elif position == 0:
            values[_MAIN[kind]] = _read(_MAIN[kind], part, text, form)
        else:
            raise SettingsError(f"'{part}' in '{text}' is not an option", fix="Write options as name=value")
    return _make(kind, values)


def from_dict(values: Mapping[str, Any]) -> Threshold:
    """The inverse of `Threshold.to_dict`.

    Raises:
        SettingsError: The dictionary does not describe a threshold.
    """
    rest = dict(values)
    return _make(str(rest.pop("kind", "")), rest)


def _entry(kind: str) -> tuple[str, str, str]:
    if kind not in KINDS:
        near = difflib.get_close_matches(kind, KINDS, n=1, cutoff=0.4)
        forms = ", ".join(entry[2] for entry in KINDS.values())
        raise SettingsError(
            f"'{kind}' is not a threshold" + (f"; did you mean '{near[0]}'?" if near else ""),
            fix=f"Write one like: {forms}",
        )
    return KINDS[kind]


def _make(kind: str, values: Mapping[str, Any]) -> Threshold:
    module, name, form = _entry(kind)
    rule: type[Threshold] = getattr(import_module(module), name)
    known = [f.name for f in fields(rule)]
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}"
            raise SettingsError(f"'{key}' is not an option of the threshold '{kind}'; {hint}")
    needed = [f.name for f in fields(rule) if f.default is MISSING and f.default_factory is MISSING]
    missing = [name for name in needed if name not in values]
    if missing:
        raise SettingsError(f"The threshold '{kind}' lacks {' and '.join(missing)}", fix=f"Write it like '{form}'")
    return rule(**values)


def _read(key: str, value: str, text: str, form: str) -> Any:
    try:
        return _READ.get(key, float)(value)
    except ValueError:
        raise SettingsError(
            f"'{text}' cannot be read as a threshold", why=f"'{value}' is not a number", fix=f"Write it like '{form}'"
        ) from None
