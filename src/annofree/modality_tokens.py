"""Names of MRI sequences cut into words, each with what it says; the rule for whole names is in `annofree.modality`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace

from annofree.modality_words import (
    AGENT,
    AGENT_BEGINS,
    AGENT_FREE,
    ATOMS,
    BASES,
    CONTRAST,
    ENTITY,
    GRADIENT,
    LETTERS,
    LINKS,
    NAMES_TOO,
    NEGATORS,
    NEUTRAL,
    NONE_BEHIND,
    OTHER,
    PLAIN,
    REGISTERED,
    SPELT,
    SPOKEN_ENTITIES,
    SUSPECT,
    TECHNICAL,
    VISIT_SECOND,
    WITH,
)


@dataclass(frozen=True)
class Word:
    """A word of a name.

    Attributes:
        text: The word, or the words that say one thing together.
        kind: base, contrast, plain, negator, link, other, neutral, id or unknown.
        start: Where in the name it begins; words of one compound begin alike.
        base: T1, T2 or FLAIR, where it names one.
        ignored: It says nothing, whatever words like it say elsewhere.
    """

    text: str
    kind: str
    start: int
    base: str | None = None
    ignored: bool = False


def words_of(stem: str, skipped: int = 0) -> list[Word]:
    """The words of a name from a character on, left to right; what neighbours say together is one word."""
    return _joined(_cut(stem, skipped))


def _cut(stem: str, skipped: int) -> list[Word]:
    """The words with their kinds, each by itself; BIDS entities count by their meaning."""
    found: list[Word] = []
    text = unicodedata.normalize("NFC", stem)  # composed letters: places in the text hold for names of one form
    text = text if len(text) == len(stem) else stem
    for part in re.finditer(r"[^_]+", text[skipped:]):
        start, chunk = skipped + part.start(), part.group()
        entity = ENTITY.fullmatch(chunk)
        if entity and not _is_subtraction(entity, found) and not _names_a_base(entity):
            found += _entity(entity[1].lower(), entity[2].lower(), start)
        else:
            chunk = re.sub(r"\(([-+])\)", r"\1  ", chunk)
            for match in re.finditer(r"[^-. ,;()\[\]{}&+]+|\+", chunk):
                spoken = _kinds(match.group().lower(), start + match.start())
                before = chunk[: match.start()]
                hyphen = before.endswith(" -") or (before == "-" and part.start() > 0)
                found += _signed(spoken, chunk[match.end() :], hyphen) if AGENT.fullmatch(spoken[-1].text) else spoken
    return found


def _signed(spoken: list[Word], behind: str, hyphen: bool) -> list[Word]:
    """A word for contrast agent with the sign behind it (`C-`, `T1C-`, `Gd+ T1`), or with a hyphen in front of it."""
    sign = re.match(r"([-+])($|[ .,;)])", behind)
    if sign is not None:
        text, kind = ("cplus", "contrast") if sign[1] == "+" else ("cminus", "plain")
        return [*spoken[:-1], replace(spoken[-1], text=text, kind=kind)]
    if hyphen:  # a minus, or a hyphen put carelessly
        return [replace(spoken[0], text=f"-{spoken[0].text}", kind="unknown"), *spoken[1:]]
    return spoken


def _names_a_base(entity: re.Match[str]) -> bool:
    """`CE-T1w` is no entity, but contrast and T1."""
    return entity[1].lower() == "ce" and any(word.kind == "base" for word in _kinds(entity[2].lower(), 0))


def _is_subtraction(entity: re.Match[str], before: list[Word]) -> bool:
    return entity[1].lower() == "sub" and any(word.kind == "base" for word in before)


def _entity(key: str, value: str, start: int) -> list[Word]:
    whole = f"{key}-{value}"
    if key == "ce":
        kind = "plain" if re.fullmatch(r"no(ne|contrast)?|pre.*|without|0|n/?a|native", value) else "contrast"
        return [Word("unenhanced" if kind == "plain" else whole, kind, start)]
    if key in ("inv", "mt") or whole in ("part-phase", "part-real", "part-imag"):
        return [Word(whole, "other", start)]
    if key in SPOKEN_ENTITIES:
        inner = [word for part in re.split(r"[-. ]+", value) for word in _kinds(part, start)]
        meant = ("contrast", "plain", "negator", "base", "other")
        kept = [w for w in inner if w.kind in meant or SUSPECT.search(w.text)]
        return _joined(kept) or [Word(whole, "neutral", start, ignored=True)]
    return [Word(whole, "id" if key in ("sub", "ses") else "neutral", start, ignored=True)]


def _kinds(word: str, start: int) -> list[Word]:
    """What one word without separators says; a compound such as `t1wce` says several things."""
    word = re.sub(r"^(wip)?[sv]?(?=t[12]w)|^wip(?=flair)", "", word.replace("*", "star"))  # Philips: WIP, sT1W, vT1W
    bare = word.rstrip("0123456789")
    kind = _kind_of(word) or ("contrast" if bare in CONTRAST else "plain" if AGENT_FREE.fullmatch(word) else None)
    if kind is not None:
        return [Word(word, kind, start, BASES.get(word))]
    for text, suffix in ((word, ""), (bare, "digits")):
        atoms = _split(text)
        if atoms and not (suffix and BASES.get(atoms[-1])):
            spelt = [SPELT.get(atom, atom) for atom in atoms]
            return [Word(a, _kind_of(a) or "neutral", start, BASES.get(a)) for a in spelt]
    if any(letter.isdigit() for letter in word):
        return [Word(word, "neutral" if TECHNICAL.fullmatch(word) else "id", start)]
    return [Word(word, "contrast" if AGENT_BEGINS.fullmatch(word) else "unknown", start)]


def _kind_of(word: str) -> str | None:
    kinds = {"base": BASES, "contrast": CONTRAST, "plain": PLAIN, "negator": NEGATORS, "other": OTHER, "link": LINKS}
    return next((kind for kind, words in kinds.items() if word in words), "neutral" if word in NEUTRAL else None)


def _split(word: str) -> list[str] | None:
    """A compound's atoms, or None; a single letter follows a base (or `c` comes before one)."""

    def rest(at: int, before: tuple[str, ...]) -> list[str] | None:
        if at == len(word):
            return []
        for atom in ATOMS:
            if not word.startswith(atom, at):
                continue
            if atom in LETTERS:
                after_base = bool(before) and (before[-1] in BASES or before[-1] == "w")
                leads = atom == "c" and not before and word.startswith(tuple(BASES), 1)
                if not (leads or after_base) or (atom == "f" and before[-1] != "t2"):
                    continue
            if atom == "2" and not (before and word.startswith(tuple(BASES), at + 1)):
                continue
            tail = rest(at + len(atom), (*before, atom))
            if tail is not None:
                return [atom, *tail]
        return None

    atoms = rest(0, ())
    if not atoms or any(atom in BASES for atom in atoms):
        return atoms or None
    meaningful = [atom for atom in atoms if _kind_of(atom) in ("contrast", "plain", "negator")]
    return atoms if len(meaningful) == len(atoms) > 1 and max(map(len, atoms)) > 2 else None


@dataclass(frozen=True)
class _Place:
    """A word among its neighbours.

    Attributes:
        words: All words.
        at: Its index.
        found: What the words before it were taken for.
    """

    words: list[Word]
    at: int
    found: list[Word]

    @property
    def word(self) -> Word:
        return self.words[self.at]

    @property
    def text(self) -> str:
        return self.word.text

    @property
    def behind(self) -> Word:
        """The next word; behind the last one, a word of no kind."""
        return self.words[self.at + 1] if self.at + 1 < len(self.words) else Word("", "", -1)

    @property
    def before(self) -> Word:
        """What the word before was taken for; before the first one, a word of no kind."""
        return self.found[-1] if self.found else Word("", "", -1)

    @property
    def base_found(self) -> bool:
        return any(word.kind == "base" for word in self.found)

    def taken(self, kind: str, base: str | None = None) -> _Taken:
        """The word alone as one of a kind."""
        return [Word(self.text, kind, self.word.start, base)], 1

    def together(self, kind: str, base: str | None = None, *, ignored: bool = False) -> _Taken:
        """The word and the next one as one word of a kind."""
        return [Word(f"{self.text} {self.behind.text}", kind, self.word.start, base, ignored)], 2


_Taken = tuple[list[Word], int]
"""What a word is taken for, and how many words that uses up."""


def _joined(words: list[Word]) -> list[Word]:
    """Words whose neighbours decide their meaning, by the first rule that speaks; others stay as they are."""
    found: list[Word] = []
    at = 0
    while at < len(words):
        place = _Place(words, at, found)
        taken, used = next(filter(None, (rule(place) for rule in _RULES)), ([place.word], 1))
        found, at = [*found, *taken], at + used
    return found


def _two_word_base(place: _Place) -> _Taken | None:
    """`dark fluid`, `fluid attenuated`, `mp rage`."""
    pair = place.text, place.behind.text
    if pair == ("mp", "rage"):
        return place.together("base", "T1")
    flair = pair in (("dark", "fluid"), ("da", "fl")) or (pair[0] == "fluid" and pair[1].startswith("attenuat"))
    return place.together("base", "FLAIR") if flair else None


def _patients_name(place: _Place) -> _Taken | None:
    """`Kein_T1`: a negator in front of no word for contrast agent."""
    behind = place.behind
    of_base = any(w.kind == "base" and w.start == behind.start for w in place.words[place.at + 2 :])  # a part of `CT1`
    agent = (behind.text == "c" or behind.kind == "contrast") and not of_base
    return place.taken("unknown") if place.text in NAMES_TOO and not (agent or place.base_found) else None


def _technique(place: _Place) -> _Taken | None:
    """Gradient echoes, inversion recovery, and `fl`, which is FLAIR where nothing else is named."""
    text, bases = place.text, {word.base for word in place.words} - {None}
    if text in GRADIENT and bases == {"T2"}:
        return place.taken("other")
    # r2s is FSL's reorient2std, as HD-GLIO writes it; else a map
    if text in ("inversion", "recovery") or (text == "r2s" and place.behind.text in REGISTERED | {"bet"}):
        return place.taken("neutral")
    if text == "fl":
        alone = not any(word.kind == "base" for word in place.words)
        return place.taken("base", "FLAIR") if alone else place.taken("neutral")
    if text in ("tirm", "stir"):
        flair = "FLAIR" in bases or any(word.text in ("dark", "da") for word in place.words)
        return place.taken("neutral" if flair else "unknown")
    return None


def _visit(place: _Place) -> _Taken | None:
    """`post op`."""
    of_visit = place.text in ("pre", "post") and place.behind.text in VISIT_SECOND
    return place.together("neutral", ignored=True) if of_visit else None


def _agent(place: _Place) -> _Taken | None:
    """`without contrast`, `Gd free`, `pre`; `with c`, `T1+`."""
    text, behind = place.text, place.behind
    agent = behind.kind == "contrast"
    denied = agent and (behind.text != "post" if text == "pre" else place.word.kind == "negator")
    breath = any(word.text.startswith("breath") for word in place.words[place.at + 2 : place.at + 3])
    if denied or (place.word.kind == "contrast" and behind.text in NONE_BEHIND and not breath):  # `Gd free breathing`
        return place.together("plain")
    if text == "pre":
        return place.taken("plain")
    if text in WITH and (agent or behind.text == "c"):
        return [Word(behind.text, "contrast", place.word.start)], 2
    return place.taken("contrast") if text == "+" and place.before.kind in ("base", "contrast", "neutral") else None


def _link(place: _Place) -> _Taken | None:
    """`flair to T1`: the sequence behind is the target of a registration, and so is the rest of its compound."""
    if place.word.kind != "link":
        return None
    behind, two = place.behind, place.text == "2"
    # `Patient_2_T1` is a patient, `flair_2_T1` and `reg2T1` are registered
    registered = place.before.text in REGISTERED or place.base_found if two else bool(place.found)
    if behind.kind == "base" and registered:
        taken, used = place.together("neutral", ignored=True)
        rest = place.words[place.at + used :]
        return taken, used + next((n for n, word in enumerate(rest) if word.start != behind.start), len(rest))
    if two:
        return place.taken("id")
    return place.taken("neutral") if behind.kind in ("neutral", "id") else None


def _letters_behind(place: _Place) -> _Taken | None:
    """`T1 c`, `T1 n`; `T1_PC` is rather T1 post contrast than phase contrast, `T1_c1` contrast, a coil or a control."""
    text, before = place.text, place.before
    if (text == "pc" or re.fullmatch(r"c\d", text)) and before.base == "T1":
        return place.taken("unknown")
    if text in ("c", "n") and (before.kind == "base" or before.text in ("w", "weighted")):
        return place.taken("contrast" if text == "c" else "plain")
    return None


_RULES: tuple[Callable[[_Place], _Taken | None], ...] = (
    _two_word_base,
    _patients_name,
    _technique,
    _visit,
    _agent,
    _link,
    _letters_behind,
)
