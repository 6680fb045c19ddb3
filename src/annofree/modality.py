"""MRI sequences, and the rule by which names speak of them.

A name is cut into words. One word is the base (T1, T2, FLAIR); contrast words qualify it wherever they stand beside
it; planes, techniques and processing words say nothing. A word after the base that is not known, two bases, or a
contrast word that may belong to an id could change the meaning: then the name is doubtful, and whoever reads it asks.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from annofree.errors import InputError
from annofree.modality_words import (
    AGENT,
    AGENT_BEGINS,
    AGENT_FREE,
    ATOMS,
    BASES,
    COMPONENTS,
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
    TAILED,
    TECHNICAL,
    UNIFORM,
    VISIT_OF_ID,
    VISIT_SECOND,
    WITH,
)


class Modality(StrEnum):
    """An MRI sequence."""

    T1 = "T1"
    T1C = "T1C"
    T2 = "T2"
    FLAIR = "FLAIR"

    @classmethod
    def parse(cls, text: str) -> Modality:
        """The sequence that a word or a few words mean (`t1ce`, `T2w`, `T1 post contrast`, ...).

        Raises:
            InputError: The words are no known spelling.
        """
        found = read_words(text)
        if found.sequence is None or found.start > len(text) - len(text.lstrip()):
            raise InputError(
                f"'{text}' is not a sequence that annofree knows",
                why=found.doubt,
                fix="Use one of T1, T1C (with contrast), T2, FLAIR",
            )
        return found.sequence

    @classmethod
    def guess(cls, filename: str) -> Modality | None:
        """The sequence that a file name speaks of, or None where it does not tell or is doubtful."""
        return read_words(
            re.sub(r"\.(nii|gz|npy|mha|mhd|nrrd|nhdr|mgz|mgh|png)\b", "", Path(filename).name, flags=re.I)
        ).sequence


@dataclass(frozen=True)
class NameReading:
    """What the words of a name say.

    Attributes:
        sequence: The sequence, or None where no word tells or the words leave a doubt.
        doubt: Why it is doubtful; None where it is not.
        possible: The sequences that a doubtful name may mean.
        other: It is known to be something else (a map, diffusion, a subtraction ...).
        start: Where in the text the words about the sequence begin; before it stands the case.
        trailing_id: What looks like an id behind the sequence.
        remark: What a reader of the result should know.
    """

    sequence: Modality | None = None
    doubt: str | None = None
    possible: tuple[Modality, ...] = ()
    other: bool = False
    start: int = 0
    trailing_id: str = ""
    remark: str | None = None


@dataclass(frozen=True)
class _Word:
    text: str
    kind: str  # base, contrast, plain, negator, link, other, neutral, id, unknown
    start: int
    base: Modality | None = None
    ignored: bool = False


def read_words(stem: str, *, known_case: str = "") -> NameReading:
    """Read a name without its ending.

    `known_case`, what is known to be the case at its beginning (the folder's name), is not read.

    Example:
        >>> read_words("P01_ax_t1_fs_post").sequence
        <Modality.T1C: 'T1C'>
        >>> read_words("T1_xyz").doubt
        "the word 'xyz' is not known and could change the meaning of T1"
    """
    stem = UNIFORM.sub(r"\1T1w  ", stem)
    skipped = len(known_case) if known_case and stem.startswith(known_case) else 0
    words = _joined(list(_words(stem, skipped)))
    spoken = [i for i, word in enumerate(words) if word.kind == "base"]
    if not spoken:
        if tailed := next((word for word in words if word.kind == "id" and TAILED.fullmatch(word.text)), None):
            why = f"the word '{tailed.text}' begins like a sequence and is not known"
            return NameReading(None, why, _possible({_base(tailed.text[:2])}), start=tailed.start)
        return NameReading(other=any(word.kind == "other" for word in words), start=len(stem))
    last = spoken[-1]
    apart = [
        w.kind in ("id", "unknown") or (w.kind == "contrast" and w.text[-1].isdigit()) or w.text in VISIT_OF_ID
        for w in words
    ]  # KM7: an id
    first = max((at + 1 for at in range(last) if apart[at]), default=0)
    before, role, after = words[:first], words[first : last + 1], words[last + 1 :]
    start = next((word.start for word in role if word.kind != "neutral" and not word.ignored), words[last].start)
    start = min(start, words[first].start)
    said = [word for word in (*role, *after) if word.kind not in ("neutral", "id")]
    bases = [word for word in said if word.kind == "base"]
    possible = _possible({word.base for word in bases if word.base})
    ids = (word for word in after if word.kind == "id" and not word.ignored and _like_an_id(word.text))
    trailing = next((stem[word.start : word.start + len(word.text)] for word in ids), "")

    def doubtful(why: str, *extra: Modality | None) -> NameReading:
        wide = _possible({*possible, *extra})
        return NameReading(None, why, wide, start=start, trailing_id=trailing)

    if any(word.kind == "other" or word.text in COMPONENTS for word in said):
        return NameReading(other=True, start=start, trailing_id=trailing)
    strange = next((w for w in after if w.kind in ("unknown", "link", "negator")), None)
    strange = strange or next((w for w in before if SUSPECT.search(w.text)), None)
    if strange is not None and strange.text.startswith("-"):
        return doubtful(f"'{strange.text}' may be a minus (no contrast agent) or a hyphen (with contrast agent)")
    if strange is not None:
        return doubtful(f"the word '{strange.text}' is not known and could change the meaning of {bases[-1].base}")
    for word in before:
        if word.kind in ("contrast", "plain") and not word.ignored:
            return doubtful(f"'{word.text}' may be part of the patient's id or say that contrast was given")
        if word.kind == "base":
            return doubtful(f"'{word.text}' and '{bases[-1].text}' stand apart in it", word.base)
    registered = any(word.text in REGISTERED for word in words[words.index(bases[0]) : last])
    return _decide(said, bases, registered, doubtful, NameReading(start=start, trailing_id=trailing))


def read_contrast(text: str) -> bool | None:
    """Whether a text says that contrast agent was given; None where it says nothing of it, or both.

    Example:
        >>> read_contrast("ax t1 +C"), read_contrast("ax t1 no contrast"), read_contrast("ax t1 post op")
        (True, False, None)
    """
    contrast, plain = _agent(_joined(list(_words(text, 0))))
    return None if contrast == plain else contrast


def _agent(words: list[_Word]) -> tuple[bool, bool]:
    """Whether words say that contrast agent was given, and whether they say that it was not."""
    contrast = any(word.kind == "contrast" for word in words)
    kinds = [word.kind for word in words if not (contrast and word.text.startswith("nativ"))]  # native: also a space
    return contrast, "negator" in kinds or "plain" in kinds


def _decide(
    said: list[_Word],
    bases: list[_Word],
    registered: bool,
    doubtful: Callable[[str], NameReading],
    found: NameReading,
) -> NameReading:
    kinds = [word.base for word in bases]
    remark = None
    if set(kinds) == {Modality.T1, Modality.FLAIR}:
        together = abs(said.index(bases[0]) - said.index(bases[-1])) < len(bases)
        if kinds[0] is not Modality.T1 or not together or registered:
            return doubtful("it names both FLAIR and T1")
        remark, kinds = "a T1-weighted FLAIR is taken as T1", [Modality.T1]
    elif set(kinds) == {Modality.T1, Modality.T2} or len(set(kinds)) > 2:
        return doubtful(f"it names {' and '.join(sorted({str(kind) for kind in kinds}))}")
    base = Modality.FLAIR if Modality.FLAIR in kinds else kinds[0]
    contrast, plain = _agent(said)
    if contrast and plain:
        return doubtful("it says both with and without contrast")
    if base is Modality.T1:
        return replace(found, sequence=Modality.T1C if contrast else Modality.T1, remark=remark)
    if contrast:
        remark = f"a {base} after contrast is taken as {base}"
    return replace(found, sequence=base, remark=remark)


def _possible(kinds: set[Modality | None]) -> tuple[Modality, ...]:
    wide = {kind for kind in kinds if kind} | ({Modality.T1C} if Modality.T1 in kinds else set())
    wide |= {Modality.FLAIR} if Modality.T2 in kinds else set()
    return tuple(kind for kind in Modality if kind in wide)


def _like_an_id(text: str) -> bool:
    return sum(letter.isdigit() for letter in text) >= 2 or (any(c.isdigit() for c in text) and text[0].isalpha())


def _words(stem: str, skipped: int) -> list[_Word]:
    """The words of a name with their kinds, left to right; BIDS entities count by their meaning."""
    found: list[_Word] = []
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
                if AGENT.fullmatch(spoken[-1].text):
                    before = chunk[: match.start()]
                    sign = re.match(r"([-+])($|[ .,;)])", chunk[match.end() :])  # `C-`, `T1C-`, `Gd+ T1`
                    if sign is not None:
                        text, kind = ("cplus", "contrast") if sign[1] == "+" else ("cminus", "plain")
                        spoken[-1] = replace(spoken[-1], text=text, kind=kind)
                    # a minus, or a hyphen put carelessly
                    elif before.endswith(" -") or (before == "-" and part.start()):
                        spoken[0] = replace(spoken[0], text=f"-{spoken[0].text}", kind="unknown")
                found += spoken
    return found


def _names_a_base(entity: re.Match[str]) -> bool:
    """`CE-T1w` is no entity, but contrast and T1."""
    return entity[1].lower() == "ce" and any(word.kind == "base" for word in _kinds(entity[2].lower(), 0))


def _is_subtraction(entity: re.Match[str], before: list[_Word]) -> bool:
    return entity[1].lower() == "sub" and any(word.kind == "base" for word in before)


def _entity(key: str, value: str, start: int) -> list[_Word]:
    whole = f"{key}-{value}"
    if key == "ce":
        kind = "plain" if re.fullmatch(r"no(ne|contrast)?|pre.*|without|0|n/?a|native", value) else "contrast"
        return [_Word("unenhanced" if kind == "plain" else whole, kind, start)]
    if key in ("inv", "mt") or whole in ("part-phase", "part-real", "part-imag"):
        return [_Word(whole, "other", start)]
    if key in SPOKEN_ENTITIES:
        inner = [word for part in re.split(r"[-. ]+", value) for word in _kinds(part, start)]
        meant = ("contrast", "plain", "negator", "base", "other")
        kept = [w for w in inner if w.kind in meant or SUSPECT.search(w.text)]
        return _joined(kept) or [_Word(whole, "neutral", start, ignored=True)]
    return [_Word(whole, "id" if key in ("sub", "ses") else "neutral", start, ignored=True)]


def _kinds(word: str, start: int) -> list[_Word]:
    """What one word without separators says; a compound such as `t1wce` says several things."""
    word = re.sub(r"^(wip)?[sv]?(?=t[12]w)|^wip(?=flair)", "", word.replace("*", "star"))  # Philips: WIP, sT1W, vT1W
    bare = word.rstrip("0123456789")
    kind = _kind_of(word) or ("contrast" if bare in CONTRAST else "plain" if AGENT_FREE.fullmatch(word) else None)
    if kind is not None:
        return [_Word(word, kind, start, _base(word))]
    for text, suffix in ((word, ""), (bare, "digits")):
        atoms = _split(text)
        if atoms and not (suffix and BASES.get(atoms[-1])):
            spelt = [SPELT.get(atom, atom) for atom in atoms]
            return [_Word(a, _kind_of(a) or "neutral", start, _base(a)) for a in spelt]
    if any(letter.isdigit() for letter in word):
        return [_Word(word, "neutral" if TECHNICAL.fullmatch(word) else "id", start)]
    return [_Word(word, "contrast" if AGENT_BEGINS.fullmatch(word) else "unknown", start)]


def _base(word: str) -> Modality | None:
    return Modality(BASES[word]) if word in BASES else None


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


def _joined(words: list[_Word]) -> list[_Word]:
    """Words whose neighbours decide their meaning: 'dark fluid', 'post op', 'without contrast', 'to T1', 'T1 c'."""
    found: list[_Word] = []
    at = 0
    while at < len(words):
        word, following = words[at], words[at + 1] if at + 1 < len(words) else None
        text, second = word.text, following.text if following else ""
        before = found[-1] if found else None
        step = 1
        said = following is not None and (second == "c" or following.kind == "contrast")
        start = following.start if following is not None else -1
        said = said and not any(w.kind == "base" and w.start == start for w in words[at + 2 :])  # no part of `CT1`
        attenuated = text == "fluid" and second.startswith("attenuat")
        if attenuated or (text, second) in (("dark", "fluid"), ("da", "fl"), ("mp", "rage")):
            found.append(_Word(f"{text} {second}", "base", word.start, Modality.T1 if text == "mp" else Modality.FLAIR))
            step = 2
        elif text in NAMES_TOO and not (said or any(w.kind == "base" for w in found)):
            found.append(_Word(text, "unknown", word.start))
        elif text in GRADIENT and {w.base for w in words} - {None} == {Modality.T2}:
            found.append(_Word(text, "other", word.start))
        # r2s is FSL's reorient2std, as HD-GLIO writes it; else a map
        elif text in ("inversion", "recovery") or (text == "r2s" and second in REGISTERED | {"bet"}):
            found.append(_Word(text, "neutral", word.start))
        elif text in ("pre", "post") and second in VISIT_SECOND:
            found.append(_Word(f"{text} {second}", "neutral", word.start, ignored=True))
            step = 2
        elif (
            (word.kind == "negator" and text != "pre" and following is not None and following.kind == "contrast")
            or (text == "pre" and following is not None and following.kind == "contrast" and second != "post")
            or (
                word.kind == "contrast"
                and second in NONE_BEHIND
                and not any(w.text.startswith("breath") for w in words[at + 2 : at + 3])  # `Gd free breathing`
            )
        ):
            found.append(_Word(f"{text} {second}", "plain", word.start))
            step = 2
        elif text == "pre":
            found.append(_Word(text, "plain", word.start))
        elif text in WITH and following is not None and (following.kind == "contrast" or second == "c"):
            found.append(_Word(second, "contrast", word.start))
            step = 2
        elif text == "+" and before is not None and before.kind in ("base", "contrast", "neutral"):
            found.append(_Word("+", "contrast", word.start))
        elif text == "fl":
            alone = not any(w.kind == "base" for w in words)
            found.append(_Word(text, "base" if alone else "neutral", word.start, Modality.FLAIR if alone else None))
        elif (
            (word.kind == "link" and following is not None and following.kind == "base" and before is not None)
            # `Patient_2_T1` is a patient, `flair_2_T1` and `reg2T1` are registered.
            and (text != "2" or before.text in REGISTERED or any(w.kind == "base" for w in found))
        ):
            found.append(_Word(f"{text} {second}", "neutral", word.start, ignored=True))
            step = 2
            while at + step < len(words) and words[at + step].start == following.start:
                step += 1  # the rest of the compound qualifies the target
        # `T1_PC` is rather T1 post contrast than phase contrast, and `T1_c1` contrast, a coil or a control
        elif (text == "pc" or re.fullmatch(r"c\d", text)) and before is not None and before.base is Modality.T1:
            found.append(_Word(text, "unknown", word.start))
        elif text in ("c", "n") and before is not None and (before.kind == "base" or before.text in ("w", "weighted")):
            found.append(_Word(text, "contrast" if text == "c" else "plain", word.start))
        elif text in ("tirm", "stir"):
            flair = any(w.base is Modality.FLAIR or w.text in ("dark", "da") for w in words)
            found.append(_Word(text, "neutral" if flair else "unknown", word.start))
        elif word.kind == "link" and following is not None and following.kind in ("neutral", "id") and text != "2":
            found.append(_Word(text, "neutral", word.start))
        elif word.kind == "link" and text == "2":
            found.append(_Word(text, "id", word.start))
        else:
            found.append(word)
        at += step
    return found
