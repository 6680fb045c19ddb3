"""Values of DICOM elements by name, plain ones without pydicom's understanding, which takes most of its time.

An element that is missing, damaged or of another form than asked for counts as absent; no data set has no elements.
"""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def tag(name: str) -> Any:
    """The number of an element."""
    from pydicom.tag import Tag

    return Tag(name)


def get(dataset: Any, name: str) -> Any:
    """The value as pydicom understands it, which takes it most of its time."""
    if dataset is None:
        return None
    try:
        return dataset.get(name)
    except Exception:  # a value that does not parse counts as absent
        return None


def _plain(dataset: Any, name: str) -> str | None:
    """A text or number that stands in plain ASCII in the file, as it stands there; "" where there is none.

    None for anything else, which is left to pydicom.
    """
    raw = None if dataset is None else dataset.get_item(tag(name))
    if raw is None:
        return ""
    value = raw.value
    if not isinstance(value, bytes):
        return None
    if raw.VR == "US" and len(value) == 2:
        return str(int.from_bytes(value, "little" if raw.is_little_endian else "big"))
    if raw.VR not in _PLAIN or not value.isascii() or b"\x1b" in value:
        return None  # an escape begins letters of another alphabet
    return value.decode("ascii").strip(" \0")


#: Kinds of elements (value representations) that are text.
_PLAIN = frozenset(("AE", "CS", "DA", "DS", "IS", "LO", "PN", "SH", "TM", "UI"))


def text(dataset: Any, name: str) -> str:
    """A text; "" where there is none."""
    plain = _plain(dataset, name)
    if plain is not None:
        return plain
    value = get(dataset, name)
    return "" if value is None else str(value).strip()


def texts(dataset: Any, name: str) -> tuple[str, ...]:
    """The parts of a text of several."""
    plain = _plain(dataset, name)
    if plain is not None:
        return tuple(part.strip() for part in plain.split("\\")) if plain else ()
    value = get(dataset, name)
    if value is None or value == "":
        return ()
    parts = [value] if isinstance(value, str) else value
    return tuple(str(part).strip() for part in parts)


def floats(dataset: Any, name: str) -> tuple[float, ...]:
    """Every number of an element; none where one is no number, or absurd."""
    plain = _plain(dataset, name)
    value: Any = get(dataset, name) if plain is None else plain
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        value = value.split("\\")
    parts = value if hasattr(value, "__iter__") else [value]
    try:
        found = tuple(float(part) for part in parts)
    except (TypeError, ValueError):
        return ()
    return found if all(abs(number) < 1e12 for number in found) else ()  # false for NaN too


def upper(dataset: Any, name: str) -> tuple[str, ...]:
    """The parts of a text in capitals."""
    return tuple(part.upper() for part in texts(dataset, name))


def image_type(dataset: Any, name: str) -> tuple[str, ...]:
    """An image type; enhanced files say that a picture shows the phase in an element of its own."""
    part = upper(dataset, "ComplexImageComponent")
    return (*upper(dataset, name), *(word for word in part if word not in ("MAGNITUDE", "MIXED")))


def number(dataset: Any, name: str, absent: float | None = None) -> float | None:
    """The first number of an element."""
    return next(iter(floats(dataset, name)), absent)


def whole(dataset: Any, name: str) -> int | None:
    """The same without its fraction."""
    found = number(dataset, name)
    return None if found is None else int(found)


def pair(dataset: Any, name: str) -> tuple[float, ...] | None:
    """Two positive numbers; None for anything else."""
    numbers = floats(dataset, name)
    return numbers if len(numbers) == 2 and min(numbers) > 0 else None


def triple(dataset: Any, name: str) -> tuple[float, ...] | None:
    """Three numbers; None for anything else."""
    numbers = floats(dataset, name)
    return numbers if len(numbers) == 3 else None


def orientation(dataset: Any, name: str) -> tuple[float, ...] | None:
    """Six direction cosines of two unit vectors at a right angle; None for anything else."""
    numbers = floats(dataset, name)
    if len(numbers) != 6:
        return None
    row, column = numbers[:3], numbers[3:]
    lengths = [sum(x * x for x in vector) ** 0.5 for vector in (row, column)]
    across = sum(a * b for a, b in zip(row, column, strict=True))
    if any(abs(length - 1) > 0.02 for length in lengths) or abs(across) > 0.02:
        return None
    return numbers
