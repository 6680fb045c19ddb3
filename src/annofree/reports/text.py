"""Sections and sentences of a report, each with its characters."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from annofree.reports.findings import Section, Sentence, Span

# A heading: at the start, on a new line or after a full stop or comma; up to 45 characters, then a colon.
_HEADING = re.compile(
    r"(?:^|(?<=[\n。；;.,，]))[ \t\u3000]*【?"
    r"([A-Za-z\u4e00-\u9fff][A-Za-z\u4e00-\u9fff /&\-]{0,44}?)】?[ \t]*(?:[:：]|(?<=】))"
)
_HEADING_LINE = re.compile(r"(?m)^[ \t]*[【\[]?([A-Za-z\u4e00-\u9fff][A-Za-z\u4e00-\u9fff /&\-]{1,44})[】\]]?[ \t]*$")
_WITH_POINT = ("Dr", "Mr", "Ms", "Mrs", "vs", r"e\.g", r"i\.e", "approx", "ca", "max", "min", "fig", "Gen")
_ABBREVIATIONS = "".join(rf"(?<!\b{word})" for word in _WITH_POINT)
_SENTENCE_END = re.compile(
    # a full stop that is no decimal point
    rf"{_ABBREVIATIONS}\.(?=[\s,，)]|$|[A-Z][a-z]|[\u4e00-\u9fff])(?![\s]*(?:mm|cm)\b)"
    r"|[!?。！？]+"
    r"|\n[ \t]*(?=\n)"  # an empty line
    # a new item, a capital or a Chinese line
    r"|\n(?=[ \t]*(?:[-*•·]|\d{1,2}[.)、]|[A-Z][a-z]|[A-Z ]{4,}:|[\u4e00-\u9fff]|【))"
)
# A sentence longer than this is no sentence but a table or a list without full stops; it is cut at a comma or a space.
_LONGEST_SENTENCE = 500
_PAUSE = re.compile(r"[,，、;；\s]")
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_WORTH = re.compile(r"[A-Za-z\u4e00-\u9fff]{2}")


def language_of(text: str) -> str:
    """Return "zh" when at least a tenth of the visible characters are Chinese, else "en"."""
    visible = len(text) - text.count(" ")
    return "zh" if visible and len(_CHINESE.findall(text)) >= 0.1 * visible else "en"


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
    cuts = {0, len(text)} | {start for start, _ in sections} | {match.end() for match in _SENTENCE_END.finditer(text)}
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
