"""Text files in whatever encoding hospital systems write them: known for certain, or refused."""

from __future__ import annotations

import codecs
import unicodedata
from pathlib import Path

from annofree.errors import InputError

_MARKS = (  # the longer mark first: that of UTF-32 begins like that of UTF-16
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_PLAUSIBLE = 0.9  # share of the characters beyond ASCII that a right reading shows, at least
_LEAD = 0.05  # by which the best reading must beat the next
_SAMPLE = 20_000  # characters looked at; a report is shorter
_WESTERN = frozenset("×±µ°²³·–—‘’“”•…½¼¾®™©«»≤≥ÄÖÜäöüßáéíóúàèìòùâêîôûçñÅåØøÆæÉÀÈÇÑï")
# Punctuation, the frequent characters (level 1), the rare ones (level 2), as the two standards order them.
_DAILY = {
    "gb18030": ((0xA1A1, 0xA3FE, 1.0), (0xB0A1, 0xD7F9, 1.0), (0xD8A1, 0xF7FE, 0.8)),
    "big5": ((0xA140, 0xA3BF, 1.0), (0xA440, 0xC67E, 1.0), (0xC940, 0xF9D5, 0.8)),
}
_FIX = "Save it as plain text in UTF-8"


def read_text(path: Path, what: str = "report") -> str:
    """Read a text file: UTF-8, UTF-16 and UTF-32 with a mark; without one GB18030 (GBK), Big5, UTF-16, Windows-1252.

    `what` names it where it cannot be read.

    Raises:
        InputError: The file cannot be read, is no text, or could be read in more than one way.
    """
    try:
        return decode(path.read_bytes(), path, what)
    except OSError as error:
        raise InputError(f"The {what} cannot be read", file=path, why=error.strerror, fix="Check the path") from None


def decode(content: bytes, path: Path | None = None, what: str = "report") -> str:
    """Decode the bytes of a text file; see `read_text`."""
    for mark, name in _MARKS:
        if content.startswith(mark):
            return _strict(content, name, path)
    if content.startswith((b"%PDF", b"{\\rtf", b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise InputError(
            f"A {what} is no plain text", file=path, why="it is a PDF or a word processor's file", fix=_FIX
        )
    if b"\0" not in content:
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError:
            pass
    readings: list[tuple[float, str]] = []
    wide = ("utf-16-le", "utf-16-be") if len(content) % 2 == 0 else ()
    for name in wide if b"\0" in content else ("gb18030", "big5", "cp1252", *wide):
        try:
            text = content.decode(name)
        except UnicodeDecodeError:
            continue
        readings.append((_plausibility(text[:_SAMPLE], name), text))
    readings.sort(key=lambda reading: reading[0], reverse=True)
    clear = len(readings) == 1 or (len(readings) > 1 and readings[0][0] - readings[1][0] >= _LEAD)
    if not readings or readings[0][0] < _PLAUSIBLE or not clear:
        raise InputError(
            f"The encoding of a {what} is not clear", file=path, why="it is not UTF-8, and nothing else fits", fix=_FIX
        )
    return readings[0][1]


def _strict(content: bytes, name: str, path: Path | None) -> str:
    try:
        return content.decode(name)
    except UnicodeDecodeError as error:
        why = f"it says that it is {name.removesuffix('-sig').upper()}, and breaks off at byte {error.start}"
        raise InputError("A text is damaged", file=path, why=why, fix=_FIX) from None


def _plausibility(text: str, name: str) -> float:
    """Share of the characters beyond ASCII that are in daily use where this encoding is."""
    if any(unicodedata.category(char) in ("Cc", "Co", "Cn", "Cs") and char not in "\t\n\r\f\x0b\x1a" for char in text):
        return 0.0
    beyond = [char for char in text if char > "\x7f"]
    if name == "cp1252":
        # Chinese bytes read as Western letters stand in runs; Western letters stand alone among plain ones.
        good = sum(char in _WESTERN for char in beyond)
        return good / len(beyond) if len(beyond) < 0.15 * len(text) else 0.0
    if not beyond:
        return 1.0
    return sum(_daily(char, name) for char in beyond) / len(beyond)


def _daily(char: str, name: str) -> float:
    """1 for a frequent character of an encoding and its punctuation, 0.8 for a rare one, else 0."""
    if name.startswith("utf-16"):
        return 1.0 if char in _WESTERN else max(_daily(char, "gb18030"), _daily(char, "big5"))
    try:
        raw = char.encode("gb2312" if name == "gb18030" else "big5")
    except UnicodeEncodeError:
        return 0.0
    for low, high, share in _DAILY[name]:
        if len(raw) == 2 and low <= int.from_bytes(raw, "big") <= high:
            return share
    return 0.0
