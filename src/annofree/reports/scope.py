"""How far a "no", a "possibly" or a "history of" reaches."""

from __future__ import annotations

import re
from collections.abc import Sequence

from annofree.reports.findings import Certainty, Cue, Span
from annofree.reports.lexicon import Item

# Ends the reach of a negation or doubt that stands before: a new clause, a verb, a new subject after a comma.
_WALL = re.compile(
    r"[;；，:：。]"
    r"|,\s*(?:and\s+|but\s+|with\s+)?(?:a|an|the|there|it|this|these|its)\b"
    r"|\b(?:is|are|was|were|has|have|shows?|showed|demonstrates?|reveals?|revealed|measures?|involves?)\b",
    re.IGNORECASE,
)
# Ends the reach of a negation or doubt that stands behind.
_WALL_BEHIND = re.compile(
    r"[;；，:：。]|,\s*(?:and\s+|but\s+|with\s+)?(?!(?:or|nor)\b)(?=\w+\s+(?:is|are|was|were)\b)", re.IGNORECASE
)
_ENUMERATION = re.compile(r"[\s,、/]*(?:\b(?:and|or|nor)\b|[及和与或])?[\s,、/]*(?:\w+\s+){0,2}\Z", re.IGNORECASE)
_DEFINITE = re.compile(
    r"(?:\b(?:the|this|these|those|its|said|of|her|his|their)|该|此|上述|原)\s*(?:\w+[\s\-]+){0,2}\Z", re.IGNORECASE
)
_DOUBTFUL_MARK = re.compile(r"[^.。;；,，:：\n?？]{0,40}[?？]")


def certainty_of(text: str, trigger: Item, items: Sequence[Item]) -> tuple[Certainty, list[Cue]]:
    """How sure the report is of the finding named by `trigger`, and by which words.

    `items` are all words of its sentence, in order.
    """
    walls = [item for item in items if item.category == "breaks"]
    apparent = [item for item in items if item.category == "apparent"]
    triggers = [item for item in items if item.category == "kind"]
    cues: list[Cue] = []
    doubt: Certainty | None = None
    for item in items:
        if item.category not in ("negation", "uncertainty"):
            continue
        if any(other.start <= item.start and item.end <= other.end for other in apparent):
            continue
        ahead = item.form == "before"
        if not (_reaches(text, item, trigger, walls) if ahead else _reaches_back(text, item, trigger, walls, triggers)):
            continue
        cues.append(Cue(item.key, Span(item.start, item.end)))
        if item.category == "negation":
            return Certainty.ABSENT, cues
        level = Certainty(item.key)
        doubt = level if doubt is None or level.weight < doubt.weight else doubt
    if _DOUBTFUL_MARK.match(text, trigger.end):
        doubt = Certainty.POSSIBLE
    return doubt or Certainty.PRESENT, cues


def _reaches(text: str, cue: Item, trigger: Item, walls: Sequence[Item]) -> bool:
    if cue.end > trigger.start:
        return False
    gap = text[cue.end : trigger.start]
    if _WALL.search(gap) or any(cue.end <= wall.start < trigger.start for wall in walls):
        return False
    # "no edema around the mass": a mass with an article was there before; only a "no" right before it takes it away
    return not (cue.category == "negation" and len(gap) > 6 and is_definite(text, trigger, cue.end))


def _reaches_back(text: str, cue: Item, trigger: Item, walls: Sequence[Item], triggers: Sequence[Item]) -> bool:
    if cue.start < trigger.end:
        return False
    if _WALL_BEHIND.search(text[trigger.end : cue.start]) or any(
        trigger.end <= wall.start < cue.start for wall in walls
    ):
        return False
    between = [other for other in triggers if trigger.end <= other.start and other.end <= cue.start]
    ends = [trigger.end, *(other.end for other in between)]
    return all(_ENUMERATION.match(text[end : other.start]) for end, other in zip(ends, between, strict=False))


def is_definite(text: str, trigger: Item, since: int = 0) -> bool:
    """Whether an article or a demonstrative stands before the word: "the lesion", "within the frontal mass"."""
    return bool(_DEFINITE.search(text[max(since, trigger.start - 40) : trigger.start]))
