"""One answer to the question whether a scan belongs to what methods are made for: a number and a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Check:
    """A named check of a scan.

    Attributes:
        name: Such as "enhancement".
        number: What was measured.
        usual: The range of numbers that raises no warning.
        meaning: What the number is, with its unit.
        warning: What looks wrong and what to do, in a sentence; "" where nothing does.
    """

    name: str
    number: float
    usual: tuple[float, float]
    meaning: str
    warning: str = ""

    @classmethod
    def measured(cls, name: str, number: float, usual: tuple[float, float], meaning: str, warning: str) -> Check:
        """The check, with its warning where the number is not usual."""
        low, high = usual
        return cls(name, float(number), usual, meaning, "" if low <= number <= high else warning)

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        low, high = (None if abs(end) == float("inf") else end for end in self.usual)
        return {**asdict(self), "number": round(self.number, 4), "usual": [low, high]}


def warnings_of(checks: Iterable[Mapping[str, Any]]) -> list[str]:
    """The names of stored checks that warn."""
    return [str(one["name"]) for one in checks if one["warning"]]
