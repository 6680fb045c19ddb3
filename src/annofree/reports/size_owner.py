"""Which finding a size belongs to: by how the words stand, not by which word is nearest."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from annofree.reports.findings import Size
from annofree.reports.lexicon import Item, Lexicon

_LESION = ("tumour", "lesion", "signal")
# Between a size and the noun it stands before: adjectives, "of", "area of"; no verb, no preposition, no new article.
_ADJECTIVES = re.compile(
    r"(?:[\s\-,/]*(?:(?!(?:is|are|was|were|with|without|in|on|at|to|from|by|but|has|have|had|shows?|showing|reveals?|the|a|an|this|"
    r"which|that|measur\w+|surround\w*|adjacent|along|near|within|involv\w+|extend\w*|causing|producing|exerting|demonstrat\w+)\b)"
    r"[A-Za-z']+[\s\-,/]*){0,6})\Z",
    re.IGNORECASE,
)
_ADJECTIVES_ZH = re.compile(r"[\s\-]*(?:大小)?的?(?![^。]*[伴并见呈示及和与周边缘内中])[\u4e00-\u9fff\s]{0,14}\Z")
_AND = re.compile(r"\s*(?:,\s*)?(?:and|or|but)\b")  # "peripherally enhancing and centrally necrotic mass"
# A noun that makes a part a thing with a size of its own: "enhancing component measuring 2 cm".
_NOUN_OF_PART = re.compile(
    r"\b(?:component|portion|part|area|focus|foci|nodule|region|core|rim|zone|wall)s?\b|[成部]分|区"
)
_LABEL = re.compile(r"\s*[(（][^()（）]{1,30}[)）]")  # "4 x 3 cm (AP x TR) mass"
# A word of a part that describes the noun behind it: "enhancing mass", "necrotic lesion".
_DESCRIBES = re.compile(r"(?:ing|ic|ed|ous)\Z", re.IGNORECASE)
# Words that hand a size to the noun behind it, not to the one before: "with a 2 cm enhancing component".
_OPENS = re.compile(
    r"(?:\b(?:an?|with|of|and|by|the|has|have|shows?|containing|no)|[见有伴及])\s*(?:\w+\s+)?(?:approximately\s+|about\s+|~\s*|约\s*)?\Z",
    re.IGNORECASE,
)
_TAKES = re.compile(  # "midline shift of 5 mm", "edema measuring 8 cm", "mass, 4 cm": the size follows its noun
    r"(?P<comma>\s*[,，(（:：;]?)\s*(?P<verb>measures?|measured|is|are|was|were)?[\s\w()~≈<>:：约为达长短最大小宽厚直径范围]{0,40}\Z",
    re.IGNORECASE,
)
_COMPANY = re.compile(  # "mass with surrounding edema measures": what measures is the mass
    r"(?:\b(?:with|and|plus)|[伴并及和与]|[,，][^,，]{0,6}周[围边])\s*(?:(?!the\b)\w+\s+){0,4}\Z", re.IGNORECASE
)
_WALL = re.compile(r"[;；。]")


def size_owner(text: str, size: Size, kinds: Sequence[Item], lexicon: Lexicon, taken: Collection[int] = ()) -> int:
    """Index of the finding a size belongs to.

    A size before a noun belongs to that noun, whatever adjectives stand between ("4 cm ring-enhancing, necrotic mass"
    is the mass's). A size behind belongs to what is measured: the subject, not its company ("mass with surrounding
    edema measures 4 cm"). `kinds` are the findings' words of its sentence, in order, at least one; those in `taken`
    have a size already.
    """
    start, end = size.span.start, size.span.end
    if (label := _LABEL.match(text, end)) is not None:
        end = label.end()
    head = _head_behind(text, end, kinds, lexicon)
    if head is not None and lexicon.roles[kinds[head].key] in _LESION and head not in taken:
        return head
    before = [i for i, kind in enumerate(kinds) if kind.end <= start and not _WALL.search(text, kind.end, start)]
    lesions = [i for i in before if lexicon.roles[kinds[i].key] in _LESION]
    free = [i for i in lesions if i not in taken]
    effect = head is not None and lexicon.roles[kinds[head].key] == "effect"
    if head is not None and (not free or effect or _OPENS.search(text[max(0, start - 40) : start])):
        return head
    if not before:
        return _nearest(size, kinds, lexicon)
    last = before[-1]
    took = _TAKES.match(text[kinds[last].end : start])
    if free and last not in lesions:
        company = _COMPANY.search(text[max(0, kinds[last].start - 40) : kinds[last].start])
        finite = took is not None and (took["verb"] or "").lower() in ("measure", "measures", "is", "was")
        between = text[kinds[last].start : start]
        described = kinds[last].key in ("enhancement", "necrosis") and not _NOUN_OF_PART.search(between)
        if took is None or took["comma"].strip(" (（") or (company is not None and (finite or described)):
            return free[-1]
    if took is not None or not lesions:
        return last
    return (free or lesions)[-1]


def _head_behind(text: str, position: int, kinds: Sequence[Item], lexicon: Lexicon) -> int | None:
    """The noun that the words behind a size lead to; None where a verb or a preposition comes first."""
    head, closed = None, False
    for index, kind in enumerate(kinds):
        if kind.start < position:
            closed = True  # "mass, 4 cm, enhancing": a comma behind the size ends what began before it
            continue
        if head is None and closed and text[position] in ",，":
            break
        if head is not None and (joined := _AND.match(text, position)) is not None:
            position = joined.end()
        gap = text[position : kind.start]
        acts = lexicon.roles[kind.key] == "effect" and text[kind.start : kind.end].lower().endswith("ing")
        if acts or len(gap) > 70 or not (_ADJECTIVES.match(gap) or _ADJECTIVES_ZH.match(gap)):
            break
        head, position = index, kind.end
        describes = lexicon.roles[kind.key] in ("part", "other", "signal") and (
            _DESCRIBES.search(text[kind.start : kind.end]) or "\u4e00" <= text[kind.start] <= "\u9fff"
        )
        if not describes:
            break
    return head


def _nearest(size: Size, kinds: Sequence[Item], lexicon: Lexicon) -> int:
    """The nearest finding; a lesion counts as half as far, a part of one as twice."""
    factors = {"tumour": 0.5, "lesion": 0.5, "signal": 0.5, "part": 2.0, "normal": 2.0}

    def distance(index: int) -> float:
        kind = kinds[index]
        gap = max(kind.start - size.span.end, size.span.start - kind.end, 0)
        return gap * factors.get(lexicon.roles[kind.key], 1.0)

    return min(range(len(kinds)), key=distance)
