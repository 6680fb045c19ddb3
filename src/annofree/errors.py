"""Errors that a user may see: one clear sentence saying what, which file, why and what to do next."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from functools import partial
from os import PathLike, fspath
from os.path import isfile


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that a misspelt one was meant to be; None where none is so like it, whatever its capitals."""
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), list(by_lower), n=1)
    return by_lower[near[0]] if near else None


def some(names: Sequence[str], most: int = 3) -> str:
    """The first few of some names, and how many more there are: "a, b, c and 4 more"; "none" where there are none."""
    return (", ".join(names[:most]) or "none") + (f" and {len(names) - most} more" if len(names) > most else "")


#: How Python tells an error of the system: "[Errno 2] No such file or directory: 'words.yaml'".
_OF_THE_SYSTEM = re.compile(r"\[(?:Errno|WinError) -?\d+\] ([^:<>]+)(?:: (?:b?'[^']*'|\"[^\"]*\"))?")


class AnnofreeError(Exception):
    """Base of every error meant for a user; the command line prints it without a traceback.

    Args:
        what: What went wrong, without a full stop.
        file: The file or folder concerned.
        why: The cause, as far as it is known.
        fix: What the user can do next.
    """

    def __init__(
        self, what: str, *, file: str | PathLike[str] | None = None, why: str | None = None, fix: str | None = None
    ) -> None:
        self.what = what
        self.file = None if file is None else fspath(file)
        plain = why and _OF_THE_SYSTEM.sub(lambda told: told[1][0].lower() + told[1][1:], why)
        self.why = plain and " ".join(plain.split())
        self.fix = fix
        super().__init__(str(self))

    def __reduce__(self) -> tuple[object, ...]:
        return partial(type(self), self.what, file=self.file, why=self.why, fix=self.fix), ()

    def __str__(self) -> str:
        text = self.what
        if self.file is not None and not re.search(rf"(?<![\w./-]){re.escape(self.file)}(?![\w/-])", text):
            text += f" ({self.file})"
        if self.why:
            text += f": {self.why}"
        text = text if text.endswith("?") else text.rstrip(".") + "."
        if self.fix:
            text += f" {self.fix.rstrip('.')}" + ("" if self.fix.endswith("?") else ".")
        return text


class InputError(AnnofreeError):
    """A file, folder or array that cannot be used as it is."""


def no_folder(path: str | PathLike[str], fix: str, of: str = "") -> InputError:
    """What to raise where a folder (of something) is needed and the path is none."""
    what = "A file was given where a folder is needed" if isfile(path) else "There is no such folder"
    return InputError(f"{what}{of and f' {of}'}", file=path, fix=fix)


class MissingSequence(InputError):
    """A sequence that the method needs is not part of the scan."""


class SettingsError(AnnofreeError):
    """A setting that does not exist or has an impossible value."""


class OutputError(AnnofreeError):
    """A result that cannot be written, or an output folder that holds somebody else's files."""


class LeakError(AnnofreeError):
    """Truth was read by something other than scoring."""


class OptionalDependency(AnnofreeError):
    """A feature needs an extra that is not installed."""
