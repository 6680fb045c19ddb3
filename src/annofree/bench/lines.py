"""A YAML file that knows on which line each value stands, so that an error can say it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annofree.errors import AnnofreeError, InputError

Place = tuple[str | int, ...]


@dataclass(frozen=True)
class Lines:
    """What a YAML file says, and where.

    Attributes:
        path: The file.
        content: Plain values.
        numbers: Line, from 1, of each key or list entry, by its place such as ("methods", 0, "fit").
    """

    path: Path
    content: Any
    numbers: dict[Place, int]

    @classmethod
    def read(cls, path: str | Path) -> Lines:
        """Read a file. Raises `InputError`: there is none, or it is no YAML."""
        import yaml

        file = Path(path)
        try:
            text = file.read_text(encoding="utf-8")
            root = yaml.compose(text, Loader=yaml.SafeLoader)
            content = yaml.safe_load(text)
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is no text"
            raise InputError("A plan cannot be read", file=file, why=why, fix="Check the path") from None
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            where = f"{file}, line {mark.line + 1}" if mark is not None else str(file)
            raise InputError("A plan is no YAML", file=where, why=str(getattr(error, "problem", error))) from None
        numbers: dict[Place, int] = {(): 1}
        _walk(root, (), numbers)
        return cls(file, content, numbers)

    def error(self, place: Place, what: str, *, fix: str | None = None) -> InputError:
        """An error about what stands at a place, or at the nearest one around it."""
        while place not in self.numbers:
            place = place[:-1]
        return InputError(what, file=f"{self.path}, line {self.numbers[place]}", fix=fix)

    @contextmanager
    def at(self, *place: str | int) -> Iterator[None]:
        """Let an error of the block say that it is about what stands at a place."""
        try:
            yield
        except AnnofreeError as error:
            raise self.error(place, str(error).rstrip(".")) from None


def _walk(node: Any, place: Place, numbers: dict[Place, int]) -> None:
    import yaml

    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*place, str(key.value))
            numbers[inner] = key.start_mark.line + 1
            _walk(value, inner, numbers)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            numbers[(*place, number)] = value.start_mark.line + 1
            _walk(value, (*place, number), numbers)
