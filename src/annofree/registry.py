"""One kind of table for everything that has a name: methods, networks, thresholds, refiners.

A table is plain data and loads a class when it is used; names that do not exist are answered with the nearest that do.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any, ClassVar, Generic, Self, TypeVar

from annofree.errors import InputError, SettingsError, nearest
from annofree.settings import Settings

V = TypeVar("V")


def named(table: Mapping[str, V], name: str, what: str) -> V:
    """What a table has under a name. Raises `InputError`: nothing; the nearest name and all others are told."""
    if name not in table:
        near = nearest(name, table)
        hint = f"; did you mean '{near}'?" if near else ""
        raise InputError(f"There is no {what} '{name}'{hint}", fix=f"Choose among {', '.join(table)}")
    return table[name]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One named class, not loaded yet.

    Attributes:
        name: Name on the command line, in Python and in files.
        module: Module that holds the class.
        cls: Class name.
        form: How it is written on the command line, as an example.
    """

    name: str
    module: str
    cls: str
    form: str = ""

    @classmethod
    def at(cls, place: str, **values: Any) -> Self:
        """A row whose class stands at `place`, "module:Class" as in an entry point."""
        module, _, name = place.partition(":")
        return cls(module=module, cls=name, **values)

    def load(self) -> Any:
        """The class."""
        return getattr(import_module(self.module), self.cls)


R = TypeVar("R", bound=Row)
T = TypeVar("T")


class Registry(Mapping[str, R], Generic[R, T]):
    """Rows by name, in order.

    Args:
        what: What a row is, in words ("threshold").
        rows: The rows that come with the package.
        found: Gives the rows that other packages bring; asked once, when it first matters.
        former: Names of older files and command lines, and what they are called now.
        gone: Names of older files that mean nothing any more, and why.
        number: The row that a bare number was most likely meant for.
    """

    def __init__(
        self,
        what: str,
        rows: Iterable[R],
        found: Callable[[], Iterable[R]] = tuple,
        former: Mapping[str, str] | None = None,
        gone: Mapping[str, str] | None = None,
        number: str | None = None,
    ) -> None:
        self.what = what
        self.gone = dict(gone or {})
        self._number = number
        self._former = dict(former or {})
        self._rows = {row.name: row for row in rows}
        self._found: Callable[[], Iterable[R]] | None = found

    def __getitem__(self, name: str) -> R:
        """The row of a name. Raises `SettingsError`: nothing has that name; the nearest is named."""
        return self._row(name)

    def _row(self, name: str, words: Iterable[str] = ()) -> R:
        """The row of a name; `words` are what else may be said in its place, for the sentence of a refusal."""
        name = self._former.get(name, name)
        if name not in self._rows:
            self._find()
        if name not in self._rows:
            near = nearest(name, [*words, *self._rows])
            if name in self.gone:
                raise SettingsError(f"There is no {self.what} '{name}' any more", why=self.gone[name])
            forms = ", ".join(dict.fromkeys([*words, *(row.form or row.name for row in self._rows.values())]))
            if self._number is not None and not isinstance(read_value(name), str):
                fix = f"Write '{self._number}:{name}' for a number of your own, or use one of: {forms}"
            else:
                fix = f"Use one of: {forms}"
            raise SettingsError(
                f"There is no {self.what} '{name}'" + (f"; did you mean '{near}'?" if near else ""), fix=fix
            )
        return self._rows[name]

    def __contains__(self, name: object) -> bool:
        self._find()
        return name in self._rows

    def __iter__(self) -> Iterator[str]:
        self._find()
        return iter(self._rows)

    def __len__(self) -> int:
        self._find()
        return len(self._rows)

    def _find(self) -> None:
        found, self._found = self._found, None
        for row in found() if found else ():
            self._rows.setdefault(row.name, row)

    def parse(self, text: str, words: Iterable[str] = ()) -> T:
        """An object from its short form, `"kind:main setting,name=value"`; the caller takes `words` besides.

        Raises:
            SettingsError: The kind or a setting is unknown (the nearest is named), or a value is impossible.
        """
        name, _, rest = text.strip().partition(":")
        row = self._row(name.strip().lower().replace("_", "-"), words)
        try:
            made: T = row.load().from_text(rest)
            return made
        except SettingsError as error:
            fix = error.fix or (f"Write it like '{row.form}'" if row.form else None)
            raise SettingsError(f"'{text}': {error.what}", file=error.file, why=error.why, fix=fix) from None

    def from_dict(self, values: Mapping[str, Any]) -> T:
        """The inverse of `Kind.to_dict`; what was written down before a setting existed does what it did then.

        Raises:
            SettingsError: The mapping does not describe one.
        """
        rest = dict(values)
        kind = self[str(rest.pop("kind", ""))].load()
        made: T = kind(**{**kind.later, **rest})
        return made


def callable_room(name: str, function: Callable[..., Any]) -> None:
    """Let a module be called: `annofree.methods()` lists what `annofree.methods` holds."""

    class Room(ModuleType):
        def __call__(self, *args: Any, **keywords: Any) -> Any:
            return function(*args, **keywords)

    sys.modules[name].__class__ = Room


class Kind(Settings):
    """Settings that have a name in a registry, and a short form: `kind:main setting,name=value`."""

    kind: ClassVar[str]
    #: Settings that may be given without their names, in order.
    main: ClassVar[tuple[str, ...]] = ()
    #: Settings that came later, each with the value that does what was done before; for descriptions without them.
    later: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, *main: Any, **values: Any) -> None:
        if len(main) > len(self.main):
            raise SettingsError(f"'{self.kind}' takes {len(self.main)} values without a name, not {len(main)}")
        super().__init__(**dict(zip(self.main, main, strict=False)), **values)

    @classmethod
    def from_text(cls, text: str) -> Self:
        """From what follows the colon of the short form. Raises `SettingsError`: it cannot be read."""
        values: dict[str, Any] = {}
        for position, part in enumerate(p.strip() for p in text.split(",") if p.strip()):
            key, equals, value = (word.strip() for word in part.partition("="))
            if equals:
                values[key] = read_value(value)
            elif position == 0 and cls.main:
                values |= cls.main_from_text(part)
            else:
                raise SettingsError(f"'{part}' is not a setting", fix="Write settings as name=value")
        return cls(**values)

    @classmethod
    def main_from_text(cls, text: str) -> dict[str, Any]:
        """The settings that stand right after the colon."""
        return {cls.main[0]: read_value(text)}

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able description that `Registry.from_dict` turns back into an equal object."""
        return {"kind": self.kind, **self.model_dump(mode="json")}


def read_value(text: str) -> Any:
    """A number, true, false or none where the text is one, else the text."""
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return {"true": True, "false": False, "none": None}.get(text.lower(), text)
