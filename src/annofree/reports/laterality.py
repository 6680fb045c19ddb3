"""Sides: which side word belongs to which region, and which belongs to no lesion at all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from annofree.reports.findings import Cue, Place, Side, Span
from annofree.reports.lexicon import Item, Lexicon

# Between a side and its region only adjectives may stand: "right medial frontal", "左侧大片".
_ADJECTIVES = re.compile(
    r"[\s\-]*(?:(?!(?:is|are|was|were|with|in|on|of|and|or|to|at|from|but|the|than|has|have)\b)[A-Za-z']+[\s\-]+){0,3}\Z"
)
_ADJECTIVES_ZH = re.compile(r"[\s\-]*[大片部的之]*\Z")
# Between two regions of one list: commas, "and", "part of the", "to a lesser extent".
_LIST = re.compile(
    r"(?:[\s,、/&()+\-]|\b(?:and|or|as|well|both|lobes?|regions?|areas?|parts?|portions?|of|the|a|adjacent|partially|partly|also|in|into|to|lesser|extent|extending|"
    r"involves?|involving|including|anterior|posterior|medial|lateral|middle|superior|inferior|deep|junction|gyrus|cortex|some|small|nearby|mainly|affecting|"
    r"associated|brain|mesial|mid|upper|lower|that)\b|[及和与至以、并累涉的叶部区向延伸内外上下前后深])*\Z",
    re.IGNORECASE,
)
_JOINED_SIDES = re.compile(
    r"\s*(?:and|or|/|&|、|和|及|,|[<>]|(?:greater|more|worse)\s+than)?\s*(?:(?:the|an?)\b)?"
    r"(?:\s*\d+(?:\.\d+)?[\s\-]*[cm]m\b)?\s*\Z",
    re.IGNORECASE,
)
_BESIDE = re.compile(
    r"[\s\-]*(?:lobe|region|cerebral|hemispheric|convexity|brain|adjacent|叶|部|区)?s?[\s\-]*\Z", re.IGNORECASE
)
_LATERAL = (Side.LEFT, Side.RIGHT, Side.BILATERAL)


@dataclass(frozen=True, slots=True)
class _SideWord:
    side: Side
    start: int
    end: int


def places_in(
    text: str, items: Sequence[Item], lexicon: Lexicon, lesion_side: Side | None
) -> tuple[list[Place], list[Place], list[Cue]]:
    """Places of one sentence with their sides.

    `lesion_side` is that of the lesions named so far, what "contralateral" is measured against.

    Returns:
        Places of regions and of parts outside the brain; side-only places (a side no region claimed); cues of the
        side words used.
    """
    sides = _side_words(text, items, lesion_side)
    anatomy = [item for item in items if item.category in ("region", "structure", "outside")]
    regions = [item for item in anatomy if not _modifies_structure(text, item, anatomy)]
    claimed: dict[int, Side] = {}
    free: list[_SideWord] = []
    for word in sides:
        following = next((index for index, item in enumerate(anatomy) if item.start >= word.end), None)
        if following is not None and _adjectives_only(text[word.end : anatomy[following].start]):
            claimed[id(anatomy[following])] = word.side
        else:
            free.append(word)
    resolved = _carry(text, regions, claimed, free, lexicon)
    places = []
    for item, side, stated in resolved:
        role = {"region": "brain"}.get(item.category, item.category)
        for region in item.regions or (item.key,):
            midline = role == "brain" and lexicon.regions[region].midline
            own = Side.MIDLINE if midline and id(item) not in claimed else side
            places.append(Place(region, own, stated, role, Span(item.start, item.end)))
    lonely = [Place("cerebrum", word.side, True, "brain", Span(word.start, word.end)) for word in free]
    if any(place.role == "brain" for place in places):
        lonely = []
    cues = [Cue(word.side.value, Span(word.start, word.end)) for word in sides]
    return places, [place for place in lonely if place.side in _LATERAL], cues


def _side_words(text: str, items: Sequence[Item], lesion_side: Side | None) -> list[_SideWord]:
    """Side words in order; neighbours joined ("left and right" is bilateral); directions of a shift left out."""
    shifts = any(item.category == "kind" and item.key == "mass_effect" for item in items)
    words: list[_SideWord] = []
    for index, item in enumerate(items):
        if item.category == "side" and item.end - item.start == 1 and text[item.start].isascii():
            side = Side(item.key) if _is_initial(text, item, items[index + 1 :]) else None
        elif item.category == "side":
            side = _resolve(item.key, lesion_side)
        elif item.category == "direction":
            later = (other for other in items[index + 1 :] if other.category in ("region", "structure", "outside"))
            following = next(later, None)
            beside = following is not None and _adjectives_only(text[item.end : following.start])
            side = Side(item.key) if beside or not shifts else None
            said = text[item.start : item.end].lower()
            if " to " in said.strip() and not said.startswith("to"):
                side = None  # "right to left": a direction and nothing else
        else:
            continue
        if side is None:
            continue
        last = words[-1] if words else None
        other = last is not None and last.side is not side and {last.side, side} <= set(_LATERAL)
        if last and other and _JOINED_SIDES.match(text[last.end : item.start]):
            words[-1] = _SideWord(Side.BILATERAL, last.start, item.end)
        else:
            words.append(_SideWord(side, item.start, item.end))
    return words


def _is_initial(text: str, letter: Item, later: Sequence[Item]) -> bool:
    """Whether a lone "L" or "R" is a side: a capital right before a region, as in "(L) frontal"."""
    following = next((item for item in later if item.category in ("region", "structure", "outside")), None)
    gap = text[letter.end : following.start] if following else "-"
    return text[letter.start].isupper() and bool(re.fullmatch(r"[.)]?[ \t]+", gap))


def _resolve(key: str, lesion_side: Side | None) -> Side | None:
    if key == "ipsilateral":
        return lesion_side
    if key == "contralateral":
        return lesion_side.opposite if lesion_side else None
    return Side(key)


def _adjectives_only(gap: str) -> bool:
    return bool(_ADJECTIVES.match(gap) or _ADJECTIVES_ZH.match(gap)) and len(gap) < 60


def _modifies_structure(text: str, item: Item, anatomy: Sequence[Item]) -> bool:
    """In "right frontotemporal sulci", "frontal bone" the region tells where the sulci are, not where a lesion is."""
    if item.category != "region":
        return False
    following = next((other for other in anatomy if other.start >= item.end), None)
    if following is None or following.category == "region" or item.key == "brain":
        return False
    return bool(_BESIDE.match(text[item.end : following.start]))


def _carry(
    text: str, regions: Sequence[Item], claimed: dict[int, Side], free: Sequence[_SideWord], lexicon: Lexicon
) -> list[tuple[Item, Side | None, bool]]:
    """Give every region its side: its own, its list's, one behind it ("of the left hemisphere"), or an earlier one."""
    sides: list[Side | None] = [
        Side.BILATERAL if text[item.start : item.start + 2].lower() == "bi" else claimed.get(id(item))
        for item in regions
    ]
    stated = [side is not None for side in sides]
    for index in range(1, len(regions)):  # "right frontal, temporal and parietal lobes": forwards through the list
        before, item = regions[index - 1], regions[index]
        open_ = sides[index] is None and sides[index - 1] is not None and before.category == item.category
        if open_ and _LIST.match(text[before.end : item.start]):
            sides[index], stated[index] = sides[index - 1], True
    # "frontal and parietal lobes of the left hemisphere": backwards from the wide region
    for index in range(len(regions) - 2, -1, -1):
        item, after = regions[index], regions[index + 1]
        whole = after.category == "region" and after.key in ("cerebrum", "brain")
        wide = whole or (stated[index + 1] and not claimed.get(id(after)))
        open_ = sides[index] is None and item.category == "region" and sides[index + 1] is not None
        if open_ and wide and _LIST.match(text[item.end : after.start]):
            sides[index], stated[index] = sides[index + 1], True
    for word in free:  # "frontal lobe on the right", "frontal lobes bilaterally", "on the left, the frontal lobe"
        if word.side is Side.MIDLINE:
            continue
        lone = [i for i, item in enumerate(regions) if sides[i] is None and item.category != "structure"]
        preceding = [i for i in lone if regions[i].end <= word.start]
        for index in preceding or (i for i in lone if regions[i].start >= word.end):
            sides[index], stated[index] = word.side, True
    lateral = [(i, side) for i, side in enumerate(sides) if side in _LATERAL and regions[i].category == "region"]
    for index, item in enumerate(regions):  # last resort: the nearest sided region before, else after, in the sentence
        midline = all(lexicon.regions[key].midline for key in item.regions)
        if sides[index] is None and lateral and item.category == "region" and not midline:
            earlier = [side for i, side in lateral if i < index]
            sides[index] = earlier[-1] if earlier else lateral[0][1]
    return list(zip(regions, sides, stated, strict=True))
