"""MRI sequences, and the rule by which names speak of them.

A name is cut into words. One word is the base (T1, T2, FLAIR); contrast words qualify it wherever they stand beside
it; planes, techniques and processing words say nothing. A word after the base that is not known, two bases, or a
contrast word that may belong to an id could change the meaning: then the name is doubtful, and whoever reads it asks.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from annofree.errors import InputError
from annofree.modality_tokens import Word, words_of
from annofree.modality_words import COMPONENTS, REGISTERED, SUSPECT, TAILED, UNIFORM, VISIT_OF_ID


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
    words = words_of(stem, skipped)
    spoken = [i for i, word in enumerate(words) if word.kind == "base"]
    if not spoken:
        if tailed := next((word for word in words if word.kind == "id" and TAILED.fullmatch(word.text)), None):
            why = f"the word '{tailed.text}' begins like a sequence and is not known"
            return NameReading(None, why, _possible({tailed.text[:2].upper()}), start=tailed.start)
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
    possible = _possible({word.base for word in bases})
    ids = (word for word in after if word.kind == "id" and not word.ignored and _like_an_id(word.text))
    trailing = next((stem[word.start : word.start + len(word.text)] for word in ids), "")

    def doubtful(why: str, *extra: str | None) -> NameReading:
        wide = _possible({*possible, *extra})
        return NameReading(None, why, wide, start=start, trailing_id=trailing)

    if any(word.kind == "other" or word.text in COMPONENTS for word in said):
        return NameReading(other=True, start=start, trailing_id=trailing)
    if (doubt := _doubt_around(before, after, bases[-1])) is not None:
        return doubtful(*doubt)
    registered = any(word.text in REGISTERED for word in words[words.index(bases[0]) : last])
    return _decide(said, bases, registered, doubtful, NameReading(start=start, trailing_id=trailing))


def _doubt_around(before: list[Word], after: list[Word], base: Word) -> tuple[str, str | None] | None:
    """Why the words before and after those of a sequence leave a doubt, and what else the name may mean then."""
    strange = next((w for w in after if w.kind in ("unknown", "link", "negator")), None)
    strange = strange or next((w for w in before if SUSPECT.search(w.text)), None)
    if strange is not None and strange.text.startswith("-"):
        return f"'{strange.text}' may be a minus (no contrast agent) or a hyphen (with contrast agent)", None
    if strange is not None:
        return f"the word '{strange.text}' is not known and could change the meaning of {base.base}", None
    for word in before:
        if word.kind in ("contrast", "plain") and not word.ignored:
            return f"'{word.text}' may be part of the patient's id or say that contrast was given", None
        if word.kind == "base":
            return f"'{word.text}' and '{base.text}' stand apart in it", word.base
    return None


def read_contrast(text: str) -> bool | None:
    """Whether a text says that contrast agent was given; None where it says nothing of it, or both.

    Example:
        >>> read_contrast("ax t1 +C"), read_contrast("ax t1 no contrast"), read_contrast("ax t1 post op")
        (True, False, None)
    """
    contrast, plain = _agent(words_of(text))
    return None if contrast == plain else contrast


def _agent(words: list[Word]) -> tuple[bool, bool]:
    """Whether words say that contrast agent was given, and whether they say that it was not."""
    contrast = any(word.kind == "contrast" for word in words)
    kinds = [word.kind for word in words if not (contrast and word.text.startswith("nativ"))]  # native: also a space
    return contrast, "negator" in kinds or "plain" in kinds


def _decide(
    said: list[Word],
    bases: list[Word],
    registered: bool,
    doubtful: Callable[[str], NameReading],
    found: NameReading,
) -> NameReading:
    kinds = [Modality(word.base) for word in bases if word.base]
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


def _possible(kinds: set[str | None]) -> tuple[Modality, ...]:
    wide = kinds | ({Modality.T1C} if Modality.T1 in kinds else set())
    wide |= {Modality.FLAIR} if Modality.T2 in kinds else set()
    return tuple(kind for kind in Modality if kind in wide)


def _like_an_id(text: str) -> bool:
    return sum(letter.isdigit() for letter in text) >= 2 or (any(c.isdigit() for c in text) and text[0].isalpha())
