"""How far a "no", a "possibly" or a "history of" reaches, and which place belongs to which finding of a sentence."""

from __future__ import annotations

import re
from collections.abc import Sequence

from annofree.reports.findings import Certainty, Cue, Place, Span
from annofree.reports.lexicon import Item, Lexicon

# Ends the reach of a negation or doubt that stands before: a new clause, a verb, a new subject after a comma.
_WALL = re.compile(
    r"[;；，:：。]"
    r"|,\s*(?:and\s+|but\s+|with\s+)?(?:a|an|the|there|it|this|these|its)\b"
    r"|\b(?:is|are|was|were|has|have|shows?|showed|demonstrates?|reveals?|revealed|measures?|involves?)\b",
    re.IGNORECASE,
)
# Ends the reach of a negation or doubt that stands behind.
_WALL_BEHIND = re.compile(
    r"[;；，:：。]|,\s*(?:and\s+|but\s+|with\s+)?(?!(?:or|nor|which|that)\b)(?=\w+\s+(?:is|are|was|were)\b)",
    re.IGNORECASE,
)
_ENUMERATION = re.compile(r"[\s,、/]*(?:\b(?:and|or|nor)\b|[及和与或])?[\s,、/]*(?:\w+\s+){0,2}\Z", re.IGNORECASE)
_DEFINITE = re.compile(
    r"(?:\b(?:the|this|these|those|its|said|of|her|his|their)|该|此|上述|原)\s*(?:\w+[\s\-]+){0,2}\Z", re.IGNORECASE
)
# "No MRI evidence of": what is denied is what follows, although "of" stands before it.
_EVIDENCE = re.compile(
    r"\s*(?:[\w\-]+\s+){0,3}?(?:(?:evid\w*|signs?|features?|suggestions?|indications?|findings?|hints?|suspicion|proof|concern|stigmata)"
    r"\s+(?:of|for|to\s+suggest|suggest\w*|suspicious\s+for|that\s+suggests?|indicat\w+|consistent\s+with)"
    r"|(?:foc(?:us|i)|areas?|regions?|zones?|development|appearance|occurrence|emergence)\s+of(?!\s+(?:the|this|that|its|his|her)\b))\b",
    re.IGNORECASE,
)
# "No bleeding, left frontal mass", "negative for bleeding with a mass": a list that denies ends in "or" and names no
# side or size, and what an article brings in is there.
_ANOTHER = re.compile(
    r",\s*(?:(?!(?:or|nor)\b)[\w\-]+\s+){0,3}?(?:(?:left|right|bilateral)\b|\d+(?:[.,]\d+)?[\s\-]*[cm]m\b)"
    r"(?:(?!\b(?:or|nor)\b)[^.,;:])*\Z|\bwith\s+an?\b",
    re.IGNORECASE,
)
_OR = re.compile(r"[^.;:\n]{0,60}\b(?:or|nor)\b", re.IGNORECASE)
# "No haemorrhage, a mass, or an infarct": "or" closes the list, and its articles bring in nothing; but not in
# "no haemorrhage, a mass, likely glioma or lymphoma", where it is between names or traits of the mass.
_NO_ITEM = (
    r"(?:either|likely|prob\w+|possib\w+|presum\w+|perhaps|maybe|susp\w+|suggest\w+|favou?r\w*|measur\w+|about|approx\w*"
    r"|no|not|without|has|have|shows?|stable|unchanged|solid|\w*cystic|necrotic|benign|malignant|primary|secondary|is|are|was|were)\b"
)
_LISTED = re.compile(
    rf"(?:,\s*(?:(?!{_NO_ITEM})[^\W\d]\w*\s+){{0,3}}(?!{_NO_ITEM})[^\W\d]\w*)*,?\s+(?:or|nor)\b", re.IGNORECASE
)
_LIST_ENDS = re.compile(r"\b(?:or|nor)\s+(?:\w+\s+){0,3}\Z", re.IGNORECASE)
_LIST_ARTICLE = re.compile(r",\s*an?\b", re.IGNORECASE)
# At the beginning of a clause, before its noun: "Resolved left frontal lesion.", "Unlikely residual tumour."
_GONE = re.compile(
    r"(?:(?:\A|[.;:,\n(]|\b(?:now|the|an?|of|with|interval|previously|highly|very"
    r"|(?<!not )(?<!not yet )(?<!never )(?:completely|fully)))\s*)\b(resolved|unlikely)"
    r"(?:\s+(?!(?:and|or|but|with|in|on|at|by|after)\b)[\w\-]+){0,3}\s+\Z",
    re.IGNORECASE,
)
# "Not present in 2019", "not seen on the prior study": new, and there today.
_AT_THAT_TIME = re.compile(
    r"\s*(?:previously|before|earlier|(?:on|in|at|by|until)\s+(?:(?:the|an?|any|his|her)\s+)?(?:(?:most\s+)?recent\s+)?"
    r"(?:prior|previous|earlier|old|last|baseline|outside|initial|\d|(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)))",
    re.IGNORECASE,
)
_PLACED = re.compile(r"\w\s+(?:with)?in(?:side)?\b|\w\s+(?:around|surrounding|near|adjacent)\b", re.IGNORECASE)
_ARTICLE = re.compile(
    r"\b(?:the|this|these|those|its|said|of|her|his|their)\b(?:(?!\b(?:and|or|nor|suggest\w*|indicat\w+)\b)[^.,;:])*\Z",
    re.IGNORECASE,
)
# "No evidence of progression of the tumour": what is denied is a change of something that is there.
_CHANGE_OF = re.compile(
    r"\b(?:progression|growth|transformation|enlargement|dedifferentiation|(?:increase|change)\s+in(?:\s+the)?\s+size)\s+of\b"
    r"(?:(?!\b(?:and|or|nor)\b)[^.,;:])*\Z",
    re.IGNORECASE,
)
# "Mass: none", "Tumor (yes/no): no", "Number of lesions: 0", "Mass ☒ no": an answer that denies the word before it.
_ANSWER = re.compile(
    r"(?:[ \t]*\([^()\n]{1,20}\)|[ \t]+(?:present|seen|identified|count|number))?"
    r"(?:[ \t]*(?:[:：=–—?？(（-]|[☑☒✓✔]|[\[(][xX✓✔][\])]))+[ \t]*"
    r"(?:(?:no|none)(?:[ \t]+(?:seen|identified|present|detected|evident))?|nil|absent|negative|neg|n|n/a|"
    r"not[ \t]+applicable|not[ \t]+(?:seen|present|identified|detected)|0|无|否|未见)"
    r"[ \t]*(?=[.,;)\]](?!\d)|[。；，\n]|\Z)",
    re.IGNORECASE,
)
# "? left frontal tumour" asks; in "tumour? Left frontal mass" the question ends with its mark.
_ASKED = re.compile(r"(?:(?<![\w)])[?？][ \t]*|[?？])(?:\w+[ \t]+){0,3}\Z")
# In "edema around the mass is not seen" the mass is not what is not seen.
PART_OF = re.compile(
    r"[\s,]*\b(?:of|in|within|inside|around|surrounding|from|by|near|about|along|at|on|adjacent\s+to|due\s+to|to)\b"
    r"(?:\s+(?:the|this|a|an|that|its))?(?:[\s\-]+(?!(?:is|are|was|were|and|or|with|but)\b)[\w']+){0,6}[\s\-]*\Z",
    re.IGNORECASE,
)
# Between what is denied and the word behind it that denies: where it lies, and the verb's first part.
_TO_VERB = re.compile(
    r"(?:\s*(?:,\s*)?(?:(?:seen|noted|described|located)\s+)?\b(?:in|of|within|at|on|along|involving|previously|seen|noted|described)\b[^,;:.]{0,70}?)?"
    r"[\s,]*(?:\w+\s+){0,2}\Z",
    re.IGNORECASE,
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
    if (gone := _GONE.search(text, max(items[0].start - 40, trigger.start - 80, 0), trigger.start)) is not None:
        return Certainty.ABSENT, [Cue("absent", Span(*gone.span(1)))]
    if (answer := _answer(text, trigger, triggers, items[-1].end)) is not None:
        return Certainty.ABSENT, [Cue("absent", answer)]
    for item in items:
        if item.category not in ("negation", "uncertainty"):
            continue
        if any(other.start <= item.start and item.end <= other.end for other in apparent):
            continue
        if item.form == "after" and _AT_THAT_TIME.match(text, item.end):
            continue
        ahead = item.form != "after"
        reach = _reaches if ahead else reaches_back
        if not reach(text, item, trigger, walls, triggers):
            continue
        cues.append(Cue("asked" if item.form == "asked" else item.key, Span(item.start, item.end)))
        if item.category == "negation":
            return Certainty.ABSENT, cues
        level = Certainty(item.key)
        doubt = level if doubt is None or level.weight < doubt.weight else doubt
    asked = _ASKED.search(text, max(0, trigger.start - 40), trigger.start) or _DOUBTFUL_MARK.match(text, trigger.end)
    if asked:
        doubt = Certainty.POSSIBLE
        cues.append(Cue("?", Span(asked.start(), asked.end())))
    return doubt or Certainty.PRESENT, cues


def _reaches(text: str, cue: Item, trigger: Item, walls: Sequence[Item], triggers: Sequence[Item]) -> bool:
    if cue.end > trigger.start:
        return False
    gap = text[cue.end : trigger.start]
    if _LISTED.match(text, trigger.end) or _LIST_ENDS.search(gap):
        gap = _LIST_ARTICLE.sub(lambda article: " " * len(article[0]), gap)
    if _WALL.search(gap) or any(cue.end <= wall.start < trigger.start for wall in walls):
        return False
    if (another := _ANOTHER.search(gap)) is not None and not _OR.match(text, trigger.end):
        listed = range(cue.end, cue.end + another.start())
        if any(kind.start in listed for kind in triggers):
            return False
    if cue.category != "negation":
        return True
    if _CHANGE_OF.search(gap[-120:]):
        return False
    between = any(cue.end <= kind.start < trigger.start and kind.key != "tumour" for kind in triggers)
    of = _EVIDENCE.match(gap) or text[cue.start : cue.end].lower().endswith((" of", " for"))
    if of and not between and not _PLACED.search(gap):
        return True
    # "no edema around the mass": a mass with an article was there before; only a "no" right before it takes it away
    return not (len(gap) > 6 and _ARTICLE.search(gap))


def reaches_back(text: str, cue: Item, trigger: Item, walls: Sequence[Item], triggers: Sequence[Item]) -> bool:
    """Whether a word that stands behind its findings ("is not seen", "was removed") speaks of one.

    It speaks of what its clause is about, not of what that surrounds or lies in, and of the whole list.
    """
    walls = [wall for wall in walls if text[wall.start : wall.end].lower() != "which"]
    ahead = [
        other
        for other in triggers
        if other.end <= cue.start
        and not _WALL_BEHIND.search(text[other.end : cue.start])
        and not any(other.end <= wall.start < cue.start for wall in walls)
    ]
    if trigger not in ahead:
        return False
    about = len(ahead) - 1
    while about > 0 and PART_OF.match(text[ahead[about - 1].end : ahead[about].start]):
        about -= 1
    if not _TO_VERB.match(text[ahead[about].end : cue.start]):
        return False
    first = about
    while first > 0 and _ENUMERATION.match(text[ahead[first - 1].end : ahead[first].start]):
        first -= 1
    return trigger in ahead[first : about + 1]


def _answer(text: str, trigger: Item, triggers: Sequence[Item], last: int) -> Span | None:
    """The answer that denies a word of a form, or the list in which it stands: "mass, infarct, hemorrhage: none"."""
    end = trigger.end
    for other in (*(item for item in triggers if item.start >= trigger.end), None):
        if (found := _ANSWER.match(text, end, last + 60)) is not None:
            return Span(end, found.end())
        if other is None or not _ENUMERATION.match(text[end : other.start]):
            return None
        end = other.end
    return None


def is_definite(text: str, trigger: Item, since: int = 0) -> bool:
    """Whether an article or a demonstrative stands before the word: "the lesion", "within the frontal mass"."""
    return bool(_DEFINITE.search(text[max(since, trigger.start - 40) : trigger.start]))


# The patient, or who comes along: "a 38-year-old mother with", "brought by her son", "father of two".
_NO_RELATIVE = re.compile(r"(?:\b(?:old|y/?o|by|per)|\b(?:by|per)\s+(?:the|his|her|their)|岁的?)\s*\Z", re.IGNORECASE)
_ONE_WITH = re.compile(r"(?:\A|[.;:]\s*|\bis\s+)an?\s+\w+\s+with\b", re.IGNORECASE)
_WITH_CHILDREN = re.compile(r"\s+of\s+(?:an?|one|two|three|four|five|\d+)\b", re.IGNORECASE)
# Before a lesion that was not spoken of yet, "a new enhancing mass", and before one that is none of those before.
_NEW = re.compile(r"\b(?:an?|new|separate)\s+(?:[\w\-]+[\s\-]+){0,3}\Z", re.IGNORECASE)
_ANOTHER_ONE = re.compile(
    r"(?:(?<!the )\b(?:another|second|third|fourth|further|additional)\s+(?:[\w\-]+[\s\-]+){0,3}|另[^,，;；。]{0,6})\Z",
    re.IGNORECASE,
)
_WITHIN = re.compile(r"\s+(?:(?:with)?in|of)\s+(?:the\s+)?", re.IGNORECASE)
_IS_REACHED = re.compile(r"[受被]")  # "the insula is reached by the tumour": the place does not name the tumour


def is_new(text: str, trigger: Item, since: int = 0, *, another: bool = False) -> bool:
    """Whether the words before it bring in a lesion: "a mass", "another lesion"; with `another` only the latter."""
    before = text[max(since, trigger.start - 40) : trigger.start]
    return bool(_ANOTHER_ONE.search(before) or (not another and _NEW.search(before)))


def is_the_patient(text: str, kin: Item) -> bool:
    """Whether a relative's word names the patient, or who came along."""
    before = text[: kin.start]
    one = any(found.end() > kin.end > found.start() for found in _ONE_WITH.finditer(text))
    return bool(one or _NO_RELATIVE.search(before) or _WITH_CHILDREN.match(text, kin.end))


def names_extension(text: str, kind: Item, reaches: Sequence[Item]) -> bool | None:
    """Whether it reads "tumor extension" or "extension of tumor" (True), "tumor extends" (False), or neither (None)."""
    near = [reach for reach in reaches if 0 <= reach.start - kind.end < 3 or 0 <= kind.start - reach.end < 10]
    return any(text[reach.start : reach.end].lower().endswith(("ion", "ment")) for reach in near) if near else None


def naming(text: str, kind: Item, places: Sequence[Place], reaches: Sequence[Item]) -> list[Place]:
    """The brain places, short of where it reaches, that say which it is: "left temporal mass", "mass in the insula"."""
    inside = _WITHIN.match(text, kind.end)

    def names(place: Place) -> bool:
        if place.span.end <= kind.start:
            return not _IS_REACHED.search(text, place.span.end, kind.start)
        return inside is not None and _modifies(text[inside.end() : max(inside.end(), place.span.start)])

    own = (p for p in places if p.role == "brain" and not any(reach.end <= p.span.start for reach in reaches))
    return [place for place in own if names(place)]


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


#: Characters between "lesion" and the word that explains it ("ischaemic lesion", "lesion, likely an infarct").
_EXPLAINS_WITHIN = 60
# Between a lesion and another disease: words that say that the one is the other, or lies beside it or in it.
_IS_THAT = re.compile(
    r"(?i)consistent|compatible|in (?:keeping|line)|represent|reflect|likely|probab|suggest|favou?r|due to|typical"
    r"|characteristic|diagnos|suspicious|\b(?:is|are) an?\b|[:=?]|考虑|提示|符合"
)
_COMPANY = (
    r"(?i)\b(?:within|adjacent|near|beside|around|along|margin|surrounding|containing|underlying|separate|additional|residual|recurrent|new"
    r"|in\s+an?)\b|[伴并内旁周]"
)
# Before a lesion what "and" or a semicolon joins is another disease, and a mass is none that it comes with.
_COMPANY_BEFORE = rf"{_COMPANY}|[;；]|(?i:\band\s+(?:\w+\s+){{0,4}}\Z)"
_COMPANY_BEHIND = rf"{_COMPANY}|\b(?:with|associated)\b|\band\s+(?:\w+\s+){{0,2}}\Z"


def is_called(text: str, kind: Item, other: Item) -> bool:
    """Whether the words between a lesion and another disease say that it is that, and not what lies beside or in it."""
    first = other.start < kind.start
    between = text[min(kind.end, other.end) : max(kind.start, other.start)]
    if _IS_THAT.search(between.rpartition(";")[2] if first else between):
        return True
    company = re.search(_COMPANY_BEFORE if first else _COMPANY_BEHIND, between)
    came_with = kind.key == "mass" and re.search(r"(?i)\bwith\s+an?\b", between)
    return len(between) <= _EXPLAINS_WITHIN and not (company or came_with)
