"""Sections and sentences of a report, each with its characters."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise

from annofree.reports.findings import Section, Sentence, Span

# A heading: at the start, on a new line or after a full stop or comma; up to 45 characters, then a colon.
_HEADING = re.compile(
    r"(?:^|(?<=[\n。；;.,，?？!]))[ \t\u3000]*【?"
    r"([A-Za-z\u4e00-\u9fff][A-Za-z\u4e00-\u9fff /&\-]{0,44}?)】?[ \t]*(?:[:：]|(?<=】))"
)
_HEADING_LINE = re.compile(r"(?m)^[ \t]*[【\[]?([A-Za-z\u4e00-\u9fff][A-Za-z\u4e00-\u9fff /&\-]{1,44})[】\]]?[ \t]*$")
_WITH_POINT = ("Dr", "Mr", "Ms", "Mrs", "vs", r"e\.g", r"i\.e", "approx", "ca", "max", "min", "fig", "Gen")
_ABBREVIATIONS = "".join(rf"(?<!\b{word})" for word in _WITH_POINT)
# The fields of a form are one sentence with what they stand behind: "Mass. Side: left. Lobe: frontal. Size: 3 cm".
# But not one that only denies: "Mass. No oedema. Size: 3 cm" is of the mass.
_FIELD = re.compile(
    r"[ \t\n]*(?:side|laterality|lobe|locali[sz]ation|location|site|region|size|dimensions?|diameter)[ \t]*[:：]",
    re.IGNORECASE,
)
_DENIES = re.compile(
    r"\s*(?:(?:no|without|negative)\b|[未无])|.*(?::\s*no\b|\b(?:none|absent|normal|unremarkable)\b)",
    re.IGNORECASE | re.DOTALL,
)
_SENTENCE_END = re.compile(
    # a full stop that is no decimal point
    rf"{_ABBREVIATIONS}\.(?=[\s,，)]|$|[A-Z][a-z]|[\u4e00-\u9fff])(?![\s]*(?:mm|cm)\b)"
    r"|[!。！]+|[?？]+(?![?？]|[ \t]+[a-z(])"
    r"|\n[ \t]*(?=\n)"  # an empty line
    # a new item, a capital or a Chinese line
    r"|\n(?=[ \t]*(?:[-*•·]|\d{1,2}[.)、]|[A-Z][a-z]|[A-Z ]{4,}:|[\u4e00-\u9fff]|【))"
)
# A sentence longer than this is no sentence but a table or a list without full stops; it is cut at a comma or a space.
_LONGEST_SENTENCE = 500
_PAUSE = re.compile(r"[,，、;；\s]")
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_LATIN_WORD = re.compile(r"[A-Za-z\u00c0-\u024f\u1e00-\u1eff]+")
# Kana, Hangul, Cyrillic, Greek, Hebrew, Arabic, Indic and Thai letters: words of a language that is not read.
_OTHER_SCRIPT = re.compile(r"[\u0370-\u0fff\u3040-\u30ff\uac00-\ud7af]{2,}")
_BOX = re.compile(r"[☐□▢❏❑]|\[[ \t_]*\]|\([ \t_]+\)|(?P<ticked>[☑☒✓✔]|[\[(][xX✓✔][\])])")
_WORTH = re.compile(r"[A-Za-z\u4e00-\u9fff]{2}")


def language_of(text: str, other_languages: Collection[str] = (), english: Collection[str] = ()) -> str:
    """The language of a report.

    "zh" when at least a tenth of the visible characters are Chinese, "other" when words of another script, with accents
    or among `other_languages` outnumber those among `english`, else "en".
    """
    visible = len(text) - text.count(" ")
    chinese = len(_CHINESE.findall(text))
    scripts = _OTHER_SCRIPT.findall(text)
    if visible and chinese >= 0.1 * visible:
        return "other" if 10 * sum(map(len, scripts)) > chinese else "zh"
    words = [word.lower() for word in _LATIN_WORD.findall(text)]
    foreign = len(scripts) + sum(word in other_languages or not word.isascii() for word in words)
    return "other" if foreign > sum(word in english for word in words) else "en"


def without_unticked(text: str) -> str:
    """The text with the options of a form that are not ticked as spaces, length unchanged: "[ ] mass [x] infarct".

    A square stands as a box where something of the text is ticked, else it may be a bullet.
    """
    boxes = list(_BOX.finditer(text))
    if not boxes:
        return text
    ticked = any(box["ticked"] for box in boxes)
    out, start = [], 0
    for line in text.splitlines(keepends=True):
        end = start + len(line)
        own = [box for box in boxes if start <= box.start() < end]
        behind = bool(own) and not text[own[-1].end() : end].strip() and bool(text[start : own[0].start()].strip())
        edges = [start, *(box.end() for box in own)] if behind else [*(box.start() for box in own), end]
        cut = list(line)
        for (first, last), box in zip(pairwise(edges), own, strict=True):
            if not box["ticked"] and (ticked or box.group() != "□"):
                cut[first - start : last - start] = ["\n" if char == "\n" else " " for char in text[first:last]]
        out.append("".join(cut))
        start = end
    return "".join(out)


def sections_of(text: str, headings: Mapping[str, str]) -> list[tuple[int, Section]]:
    """Where each section's own words begin, in order; a text without headings is all findings.

    Unknown headings ("HEAD:") change nothing.
    """
    found: dict[int, Section] = {}
    for match in (*_HEADING.finditer(text), *_HEADING_LINE.finditer(text)):
        if name := _section_name(match.group(1), headings):
            found[match.end()] = Section(name)
    return [(0, Section.FINDINGS), *sorted(found.items())]


def _section_name(heading: str, headings: Mapping[str, str]) -> str | None:
    words = re.sub(r"\s+", " ", heading).strip().lower()
    return headings.get(words) or headings.get(words.rstrip("s"))


def sentences_of(text: str, headings: Mapping[str, str]) -> tuple[Sentence, ...]:
    """Sentences with their sections.

    A heading ends a sentence; a line break alone ends one only before a capital, a bullet or a Chinese line.
    """
    sections = sections_of(text, headings)
    cuts = {0, len(text)} | {start for start, _ in sections}
    for found in _SENTENCE_END.finditer(text):
        start = max(cut for cut in cuts if cut <= found.start())
        if not _FIELD.match(text, found.end()) or _DENIES.match(text, start, found.start()):
            cuts.add(found.end())
    edges = list(_shortened(text, sorted(cuts)))
    sentences = []
    position = 0
    for start, end in pairwise(edges):
        while position + 1 < len(sections) and sections[position + 1][0] <= start:
            position += 1
        if _WORTH.search(text, start, end):
            while start < end and (text[start].isspace() or text[start] in ",，"):
                start += 1
            sentences.append(Sentence(Span(start, end), sections[position][1]))
    return tuple(sentences)


def _shortened(text: str, edges: Sequence[int]) -> Iterator[int]:
    """The edges, with further ones inside sentences that are too long: reading a sentence is quadratic in its words."""
    yield edges[0]
    for start, end in pairwise(edges):
        position = start
        while end - position > _LONGEST_SENTENCE:
            pauses = [match.end() for match in _PAUSE.finditer(text, position, position + _LONGEST_SENTENCE)]
            position = pauses[-1] if pauses else position + _LONGEST_SENTENCE
            yield position
        yield end
