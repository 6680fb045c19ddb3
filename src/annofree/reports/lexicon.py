"""The lexicon: one YAML file of words, compiled to one regular expression that reads a report in a single pass."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import permutations
from pathlib import Path
from typing import Any

from annofree.errors import InputError

_JOIN = re.compile(r"[\s\-~]+")
_EXCLUSIVE = ("side", "region", "structure", "outside", "kind")
_LANGUAGES = ("en", "zh")
# Words between those that deny or doubt, which leave them what they are: "cannot be entirely excluded", "not definitely
# seen", "no significant interval change", "without contrast enhancement".
_FILLERS = re.compile(
    r"\b(?:definite|definitive|entire|complete|ful|total|absolute|reliab|convincing|confident|conclusive)ly(?=\s+(?:exclude|rule))"
    r"|\b(?:definite|definitive|convincing|confident|conclusive|current)ly(?=\s+(?:seen|identified|visuali[sz]ed|detected))"
    r"|(?<=\bno\s)(?:(?:significant|interval|appreciable|substantial|definite|obvious|major|relevant|overall|further|clear)\s+)+"
    r"(?=(?:change|increase)\b)"
    r"|(?:(?<=\bwithout\s)|(?<=\bw/o\s))contrast(?=\s+(?:enhance|uptake))",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a word stands for: `category` ("region", "side", "kind" ...), `key` in it, `form` ("before", "after")."""

    category: str
    key: str
    form: str = ""
    regions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Item(Meaning):
    """A word of the lexicon found in a text, with its characters."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Region:
    """A region of the lexicon and how to find it in an atlas."""

    key: str
    parent: str | None
    lobes: tuple[str, ...]
    names: tuple[str, ...]
    midline: bool
    instead: str | None = None


@dataclass(frozen=True)
class Lexicon:
    """Words compiled for reading.

    Attributes:
        regions: region key -> `Region`.
        roles: kind key -> role.
        sections: heading in lower case -> section name.
        other_languages: words that tell a text in a language that is not read, and `english_words` one that is.
    """

    regions: Mapping[str, Region]
    roles: Mapping[str, str]
    sections: Mapping[str, str]
    other_languages: frozenset[str]
    english_words: frozenset[str]
    _meanings: Mapping[str, tuple[Meaning, ...]] = field(repr=False)
    _pattern: re.Pattern[str] = field(repr=False)
    _plain: Mapping[int, str] = field(repr=False)

    @classmethod
    def load(cls, file: Path | str | None = None) -> Lexicon:
        """The lexicon of `file`, or the one in the package; read and compiled once.

        Raises:
            InputError: the file is not a lexicon, or a term stands in two places.
        """
        return _load(str(file or Path(__file__).with_name("lexicon.yaml")))

    def plain(self, text: str) -> str:
        """The text in simplified characters and plain letters, words that say nothing as spaces; length unchanged."""
        return _FILLERS.sub(lambda match: " " * len(match.group()), text.translate(self._plain))

    def scan(self, text: str) -> list[Item]:
        """Every known word in `text`, longest first at each place, in order."""
        return [
            Item(meaning.category, meaning.key, meaning.form, meaning.regions, start=match.start(), end=match.end())
            for match in self._pattern.finditer(text)
            for meaning in self._look_up(match.group())
        ]

    def _look_up(self, word: str) -> tuple[Meaning, ...]:
        key = _JOIN.sub("", word.lower())
        for tail in ("", "s", "es"):
            if key.endswith(tail) and (found := self._meanings.get(key[: len(key) - len(tail)])):
                return found
        return ()

    def is_a(self, region: str, ancestor: str) -> bool:
        """Whether `region` is `ancestor` or lies in it."""
        current: str | None = region
        while current is not None:
            if current == ancestor:
                return True
            entry = self.regions.get(current)
            current = entry.parent if entry else None
        return False


@lru_cache(maxsize=8)
def _load(file: str) -> Lexicon:
    import yaml

    try:
        data = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
        regions = {
            key: Region(
                key,
                entry.get("parent"),
                tuple(entry.get("lobe", ())),
                tuple(entry.get("names", ())),
                bool(entry.get("midline")),
                entry.get("instead"),
            )
            for key, entry in data["regions"].items()
        }
        roles = {key: entry["role"] for key, entry in data["kinds"].items()}
        sections = {
            term: name
            for name, entry in data["sections"].items()
            for language in _LANGUAGES
            for term in entry.get(language, ())
        }
        terms = list(_terms(data))
    except OSError as error:
        raise _unreadable(file, str(error), "check the path") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise _unreadable(file, "it is no YAML" + (f", line {mark.line + 1}" if mark else "")) from None
    except KeyError as error:
        raise _unreadable(file, f"it has no {error}") from None
    except (TypeError, AttributeError, ValueError):
        raise _unreadable(file, "it is no table of words") from None
    for region in regions.values():
        if region.parent is not None and region.parent not in regions:
            raise InputError(f"region '{region.key}' has the unknown parent '{region.parent}'", file=file)
    by_language = {language: _trie(term for own, term, _ in terms if own == language) for language in _LANGUAGES}
    words = rf"(?<![a-z]){by_language['en']}(?:e?s)?(?![a-z])|{by_language['zh']}"
    plain = {wide: chr(wide - 0xFEE0) for wide in range(0xFF01, 0xFF5F) if chr(wide) not in "，：；？！（）"}
    pairs = "".join(data.get("traditional", "")).split()
    plain |= {ord(pair[0]): pair[1] for pair in pairs}
    other, english = (frozenset(str(data.get(key, "")).split()) for key in ("other_languages", "english_words"))
    pattern = re.compile(words, re.IGNORECASE)
    return Lexicon(regions, roles, sections, other, english, _meanings(terms, file), pattern, plain)


def _unreadable(file: str, why: str, fix: str = "") -> InputError:
    compare = f"compare it with the one in the package, {Path(__file__).with_name('lexicon.yaml')}"
    return InputError("the lexicon cannot be read", file=file, why=why, fix=fix or compare)


def _meanings(terms: Iterable[tuple[str, str, Meaning]], file: str) -> dict[str, tuple[Meaning, ...]]:
    """What each term stands for, by the term without gaps; two things that exclude each other are an error."""
    meanings: dict[str, tuple[Meaning, ...]] = {}
    for _, term, meaning in terms:
        key = _JOIN.sub("", term.lower())
        rivals = [other for other in meanings.get(key, ()) if {other.category, meaning.category} <= set(_EXCLUSIVE)]
        if rivals and rivals[0] != meaning:
            raise InputError(
                f"the term '{term}' stands for {rivals[0].category} '{rivals[0].key}' "
                f"and {meaning.category} '{meaning.key}'",
                file=file,
                fix="keep one of the two",
            )
        if meaning not in meanings.get(key, ()):
            meanings[key] = (*meanings.get(key, ()), meaning)
    return meanings


def _terms(data: Mapping[str, Any]) -> Iterator[tuple[str, str, Meaning]]:
    """Every (language, term, meaning) of the file, joined words included."""

    def words(entry: Mapping[str, Any], meaning: Meaning) -> Iterator[tuple[str, str, Meaning]]:
        for language in _LANGUAGES:
            for term in entry.get(language, ()):
                yield language, str(term), meaning

    blocks = ("sides", "directions", "structures", "outside", "studies", "kinds")
    for block, category in zip(blocks, ("side", "direction", "structure", "outside", "study", "kind"), strict=True):
        for key, entry in data[block].items():
            yield from words(entry, Meaning(category, key))
    for key, entry in data["regions"].items():
        yield from words(entry, Meaning("region", key, regions=(key,)))
    for key, entry in data["change"].items():
        yield from words(entry, Meaning("change", key))
    for block in (
        "ignored",
        "history",
        "kin",
        "prior",
        "present",
        "several",
        "continues",
        "extends",
        "spares",
        "breaks",
    ):
        yield from words(data.get(block, {}), Meaning(block, block))
    for form in ("before", "after"):
        yield from words(data.get("removed", {}).get(form, {}), Meaning("removed", "removed", form))
        yield from words(data["negation"][form], Meaning("negation", "absent", form))
        for level in ("likely", "possible"):
            yield from words(data["uncertainty"][level][form], Meaning("uncertainty", level, form))
    yield from words(data["uncertainty"].get("asked", {}), Meaning("uncertainty", "possible", "asked"))
    yield from words(data["negation"]["apparent"], Meaning("apparent", "apparent"))
    english, chinese = data["compounds"]["en"], data["compounds"]["zh"]
    for count in (1, 2, 3):
        for first in permutations(english["first"], count):
            for last, region in english["last"].items():
                parts = tuple(english["first"][part] for part in first)
                if region not in parts:
                    yield "en", "~".join((*first, last)), Meaning("region", region, regions=(*parts, region))
    for count in (2, 3, 4):
        for chain in permutations(chinese["part"], count):
            parts = tuple(chinese["part"][part] for part in chain)
            for end in chinese["end"]:
                yield "zh", "".join(chain) + end, Meaning("region", parts[-1], regions=parts)


def _trie(terms: Iterable[str]) -> str:
    """One regular expression for many terms, sharing their beginnings: time grows with the text, not with the list."""
    root: dict[str, Any] = {}
    for term in terms:
        node = root
        for char in re.sub(r"[\s\-]+", " ", term.lower()):
            node = node.setdefault(char, {})
        node[""] = {}

    def emit(node: dict[str, Any]) -> str:
        gaps = {" ": r"[\s\-]+", "~": r"[\s\-]*"}
        arms = [gaps.get(char, re.escape(char)) + emit(child) for char, child in node.items() if char]
        if not arms:
            return ""
        body = arms[0] if len(arms) == 1 and "" not in node else f"(?:{'|'.join(arms)})"
        return body + ("?" if "" in node else "")

    return emit(root)
