"""Refiners from text (`"components:26,min_ml=0.5,keep=largest"`), from their own dictionaries, and in a row."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

from annofree.errors import InputError, SettingsError
from annofree.refine.base import Mask, RefineContext, Refiner

#: Kind to the module and class that implement it, and the setting that the first word after the colon means.
KINDS: dict[str, tuple[str, str, str]] = {
    "components": ("annofree.refine.components", "KeepComponents", "connectivity"),
    "eroded-brain": ("annofree.refine.brain", "ErodedBrain", "mm"),
    "fill-holes": ("annofree.refine.holes", "FillHoles", "max_ml"),
    "half-height": ("annofree.refine.half_height", "HalfHeight", "share"),
    "median": ("annofree.refine.median", "Median", "size"),
    "morphology": ("annofree.refine.morphology", "Morphology", "operation"),
    "promptable": ("annofree.refine.promptable", "Promptable", "most"),
    "sam": ("annofree.refine.sam", "Sam", "folder"),
    "mirror": ("annofree.refine.mirror", "MirrorFilter", "share"),
    "appearance": ("annofree.refine.appearance", "Appearance", "reach_mm"),
    "random-walker": ("annofree.refine.walker", "RandomWalker", "edge"),
}
#: Names of older models and command lines.
FORMER_NAMES = {"twins": "mirror"}


def parse(text: str) -> Refiner:
    """A refiner from its short form.

    Raises:
        SettingsError: Unknown refiner or setting (the nearest known one is named), or an impossible value.

    Example:
        >>> print(parse("components:6,keep=largest"))
        components(connectivity=6, min_ml=0.0, keep=largest, by=volume)
    """
    kind, _, rest = text.strip().partition(":")
    kind = kind.strip().lower().replace("_", "-")
    main = _entry(kind)[2]
    values: dict[str, Any] = {}
    for position, part in enumerate(p.strip() for p in rest.split(",") if p.strip()):
        key, equals, value = (word.strip() for word in part.partition("="))
        if not equals and position:
            raise SettingsError(f"'{part}' in '{text}' is not a setting", fix="Write settings as name=value")
        values[key if equals else main] = _read(value if equals else part)
    return _make(kind, values)


def parse_chain(text: str) -> tuple[Refiner, ...]:
    """Refiners that follow each other, joined by `+`: `"eroded-brain:3 + components:6,keep=largest"`."""
    return tuple(parse(part) for part in text.split("+") if part.strip())


def from_dict(values: Mapping[str, Any]) -> Refiner:
    """The inverse of `Refiner.to_dict`.

    Raises:
        SettingsError: The dictionary does not describe a refiner.
    """
    rest = dict(values)
    return _make(str(rest.pop("kind", "")), rest)


def refine(mask: Mask, refiners: Iterable[Refiner], context: RefineContext) -> Mask:
    """Apply refiners one after the other.

    Raises:
        InputError: The mask is not on the grid of the scores.
    """
    if mask.shape != context.scores.shape:
        raise InputError(f"The mask has shape {mask.shape}, the score map {context.scores.shape}")
    for refiner in refiners:
        mask = refiner.apply(mask, context)
    return mask


def _entry(kind: str) -> tuple[str, str, str]:
    kind = FORMER_NAMES.get(kind, kind)
    if kind not in KINDS:
        near = difflib.get_close_matches(kind, KINDS, n=1, cutoff=0.4)
        raise SettingsError(
            f"'{kind}' is not a refiner" + (f"; did you mean '{near[0]}'?" if near else ""),
            fix=f"Use one of {', '.join(KINDS)}, for instance 'components:26,min_ml=0.5,keep=largest'",
        )
    return KINDS[kind]


def _make(kind: str, values: Mapping[str, Any]) -> Refiner:
    module, name, _ = _entry(kind)
    refiner: type[Refiner] = getattr(import_module(module), name)
    return refiner.from_mapping(dict(values))


def _read(text: str) -> Any:
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return {"true": True, "false": False, "none": None}.get(text.lower(), text)
