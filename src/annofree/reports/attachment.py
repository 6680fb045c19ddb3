"""Which place belongs to which finding of a sentence."""

from __future__ import annotations

import re
from collections.abc import Sequence

from annofree.reports.findings import Place, Span
from annofree.reports.lexicon import Item, Lexicon

# Between a region and the finding it modifies only adjectives stand: "right frontal enhancing mass".
_MODIFIES = re.compile(
    r"[\s\-]*(?:(?!(?:is|are|was|were|with|in|on|of|and|or|to|at|from|by|but|the|has|have|shows?|showing|reveals?)\b)[A-Za-z']+[\s\-]+){0,3}\Z"
)
_MODIFIES_ZH = re.compile(r"[\s\-的区部叶内处]*[见有示可呈一大片状灶类圆形不规则团结节软组织]*\Z")
_CLAUSE_END = re.compile(r"[,，;；。]")
_LIST = re.compile(r"[\s,、/及和与]*(?:and|or)?\s*(?:the)?\s*")
_ADJECTIVAL = ("enhancement", "necrosis")


def owners_of(
    text: str, places: Sequence[Place], kinds: Sequence[Item], breaks: Sequence[Item], lexicon: Lexicon
) -> list[int | None]:
    """For each place the index of the finding it belongs to.

    A region belongs to the finding it stands right before ("right frontal mass"), else to the last one before it
    ("mass in the frontal lobe") unless a new clause has begun, else to the next. A structure belongs to what
    presses on it, never to a lesion.
    """
    owners: list[int | None] = []
    effects = [i for i, kind in enumerate(kinds) if lexicon.roles[kind.key] in ("effect", "normal")]
    for place in places:
        if place.role == "structure":
            ahead = (
                i
                for i in effects
                if kinds[i].start >= place.span.end and not _CLAUSE_END.search(text, place.span.end, kinds[i].start)
            )
            behind = (i for i in reversed(effects) if kinds[i].end <= place.span.start)
            owners.append(next(ahead, next(behind, None)))
            continue
        after = [i for i, kind in enumerate(kinds) if kind.start >= place.span.end]
        before = [i for i, kind in enumerate(kinds) if kind.end <= place.span.start]
        if after and _modifies(text[place.span.end : kinds[after[0]].start]):
            owners.append(_noun(text, after[0], kinds))
        else:
            here = [i for i in before if not _new_clause(text, kinds[i].end, place.span.start, breaks)]
            owners.append(next(reversed(here), next(iter(after), next(reversed(before), None))))
    # a list keeps together: "right frontal, temporal and insular lobe mass"
    for index in range(len(places) - 2, -1, -1):
        place, following = places[index], places[index + 1]
        gap = text[place.span.end : following.span.start]
        if "structure" not in (place.role, following.role) and _LIST.fullmatch(gap):
            owners[index] = owners[index + 1]
    return owners


def _new_clause(text: str, start: int, end: int, breaks: Sequence[Item]) -> bool:
    return bool(re.search(r"[;；]", text[start:end])) or any(start <= wall.start < end for wall in breaks)


def _modifies(gap: str) -> bool:
    return len(gap) < 50 and bool(_MODIFIES.match(gap) or _MODIFIES_ZH.match(gap))


def _noun(text: str, index: int, kinds: Sequence[Item]) -> int:
    """A finding that is only an adjective gives way to its noun: "right frontal enhancing mass"."""
    while (
        index + 1 < len(kinds)
        and kinds[index].key in _ADJECTIVAL
        and _modifies(text[kinds[index].end : kinds[index + 1].start])
    ):
        index += 1
    return index


def beside(text: str, side: Span, kind: Item) -> bool:
    """Whether a side word alone tells where `kind` is: "left-sided mass", "mass on the right"."""
    if side.end <= kind.start:
        return _modifies(text[side.end : kind.start])
    gap = text[kind.end : side.start]
    return len(gap) < 40 and not re.search(r"[;；,，:：。(]", gap)
