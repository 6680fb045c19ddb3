"""What a label is where a name says it: segments of 3-D Slicer, nnU-Net's `dataset.json`, BIDS's label tables.

Numbers differ from program to program (nnU-Net's BraTS data sets have oedema 1 and core 2), names do not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from annofree.errors import InputError
from annofree.formats.label_sets import LabelSet
from annofree.formats.outfolder import read_table
from annofree.formats.tissue_maps import label_tables

_SURROUNDING = ("edema", "oedem", "snfh", "flair", "hyperintens", "surrounding")
_CORE = ("core", "necro", "ncr", "cyst")
_WHOLE = ("whole", "tumor", "tumour", "neoplasm", "lesion", "glioma", "metasta", "meningi", "infiltrat")
_NOT_ENHANCING = re.compile(r"non|\b(not?|without)\b|\bunenh")


def meaning_of(name: str) -> int | None:
    """1 core, 2 oedema or the tumour as a whole, 3 enhancing, 0 a resection cavity, which is no tumour; None unknown.

    Example:
        >>> [meaning_of(name) for name in ("NCR", "whole tumor", "GD-enhancing", "ventricles")]
        [1, 2, 3, None]
    """
    word = " ".join(re.split(r"[-_ ,/()]+", name.lower())).strip()
    if word == "rc" or "cavity" in word:
        return 0
    if any(part in word for part in _SURROUNDING) or word in ("ed", "wt"):
        return 2
    if word == "at" or "enhanc" in word or {"et", "ec", "ce"} & set(word.split()):
        return 1 if _NOT_ENHANCING.search(word) else 3
    if word in ("tc", "netc", "net") or any(part in word for part in _CORE):
        return 1
    return 2 if any(part in word for part in _WHOLE) else None


def is_surrounding(name: str) -> bool:
    """Whether a name says oedema, and not only tumour."""
    return name.lower() == "ed" or any(part in name.lower() for part in _SURROUNDING)


def meanings_of(names: Sequence[str], *, apart: bool) -> list[int | None]:
    """The meaning of each label of a set, as `meaning_of`; `apart` says that no voxel can have two of them.

    A tumour that is apart from an oedema beside it is not the whole of it, but its core.
    """
    found = [meaning_of(name) for name in names]
    if not (apart and any(map(is_surrounding, names))):
        return found
    return [1 if own == 2 and not is_surrounding(name) else own for name, own in zip(names, found, strict=True)]


def predicted_numbers(description: Mapping[str, Any]) -> dict[int, int]:
    """From the numbers of nnU-Net's answers to annofree's, by the names in its `dataset.json`.

    Regions that overlap (a label with a list of numbers) are written by nnU-Net one over the other, each with its
    number in `regions_class_order`. What no name tells belongs to the tumour.
    """
    names = [name for name in description["labels"] if name != "background"]
    apart = not any(isinstance(description["labels"][name], list) for name in names)
    if apart:
        theirs = [description["labels"][name] for name in names]
    else:
        theirs = description.get("regions_class_order", range(1, len(names) + 1))
    meanings = zip(theirs, meanings_of(names, apart=apart), strict=True)
    return {int(number): 2 if meaning is None else meaning for number, meaning in meanings}


def stated_set(source: Path) -> LabelSet | None:
    """The label set that a map's data set states; None where none tells.

    That is nnU-Net's `dataset.json` above `labelsTr`, or BIDS's table of a map's labels (`dseg.tsv`, `LabelMap` in its
    JSON). Labels without a region each are of the smallest region that holds them.

    Raises:
        InputError: Such a file cannot be read.
    """
    folder = source.absolute().parent
    above = folder.parent / "dataset.json"
    nnunet = [above] if folder.name.startswith("labels") and above.is_file() else []
    for file in (*nnunet, *label_tables(source)):
        try:
            labels = _labels_in(file)
            regions = dict(_regions(labels.items())) if file in nnunet or _is_table(labels) else {}
        except (OSError, ValueError, TypeError, AttributeError, RecursionError, InputError):
            fix = "Repair it, or give --labels"
            raise InputError(f"{file.name} cannot be read", file=file, fix=fix) from None
        if stated := _set_of(file.name, regions):
            return stated
    return None


def _is_table(labels: Mapping[Any, Any]) -> bool:
    """Whether one side of a mapping holds numbers up to 255, as a table of labels has; other tables lie beside maps."""
    sides = ({str(part) for part in side} for side in zip(*labels.items(), strict=True))
    return any(all(part.isdecimal() and int(part) <= 255 for part in side) for side in sides)


def _labels_in(file: Path) -> Mapping[Any, Any]:
    if file.suffix == ".tsv":
        return {row["index"]: row["name"] for row in read_table(file) if row.get("index") and row.get("name")}
    stated = json.loads(file.read_text(encoding="utf-8"))
    if file.name == "dataset.json":
        return stated.get("labels") or {}
    named = stated.get("LabelMap") if isinstance(stated, dict) else None
    return named if isinstance(named, dict) else {}


def _set_of(name: str, regions: Mapping[str, tuple[int, ...]]) -> LabelSet | None:
    apart = all(len(numbers) == 1 for numbers in regions.values())
    found = dict(zip(regions, meanings_of(list(regions), apart=apart), strict=True))
    if not found or None in found.values():
        return None  # `tumour_a`, `class 1`: the rules decide
    meaning: dict[int, int] = {}
    for region, numbers in sorted(regions.items(), key=lambda item: -len(item[1])):
        meaning |= dict.fromkeys(numbers, found[region] or 0)
    told = set(meaning.values())
    parts = ("WT", *(("TC",) if 1 in told else ()), *(("ET",) if 3 in told else ()))
    shown = ", ".join(f"{number} {_WORDS[own]}" for number, own in sorted(meaning.items()))
    return LabelSet(name, meaning, f"labels as {name} names them ({shown})", parts)


_WORDS = {0: "no tumour", 1: "core", 2: "oedema or tumour", 3: "enhancing"}


def _regions(stated: Iterable[tuple[str, Any]]) -> Iterable[tuple[str, tuple[int, ...]]]:
    """Names with their numbers: `{"core": 1}`, `{"core": [1, 3]}` and nnU-Net 1's `{"1": "core"}`; no background."""
    for key, value in stated:
        name, numbers = (value, key) if isinstance(value, str) else (key, value)
        held = tuple(int(number) for number in (numbers if isinstance(numbers, list) else [numbers]))
        if held == (0,) or str(name).lower() in ("background", "ignore"):
            continue
        if not 0 <= min(held) <= max(held) <= 255:
            raise ValueError("no number of a label map")
        yield str(name), held
