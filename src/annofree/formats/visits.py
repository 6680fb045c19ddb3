"""What names say of the visit: before or after a treatment, the first or a later one, its number, when it was."""

from __future__ import annotations

import re

#: Words for the visit's number or the time since the first, in front of a number or behind it.
_UNITS = r"days?|w(?:ee)?ks?|mo(?:n(?:th)?)?s?|mths?|y(?:ea)?rs?"
_MONTH, _DAY = r"(?:0[1-9]|1[0-2])", r"(?:0[1-9]|[12]\d|3[01])"
_VISIT = re.compile(
    r"(?<![a-z0-9])(?:(?P<stage>pre|post|intra)[-_ ]?"
    r"(?P<event>op(?:erati(?:ve|on))?|treatment|surgery|rt|radiotherapy|chemo|biopsy|resection)(?![a-z])"
    r"|(?P<which>baseline|bl|initial|(?:follow[-_ ]?up|fup?)(?:[-_ ]?\d{1,2})?)(?![a-z0-9])"
    rf"|(?:(?:tp|time[-_ ]?point|visit|ses|session|exam|study|{_UNITS})[-_ ]?|[vmwdy])(?P<number>\d+)(?![a-z0-9])"
    rf"|(?P<since>\d+)(?:[-_ ]?(?:{_UNITS})|[mwy])(?![a-z0-9])"
    rf"|(?P<date>(?:19|20)\d\d(?P<a>[-._]?){_MONTH}(?P=a){_DAY}|{_DAY}(?P<b>[-._]?){_DAY}(?P=b)(?:19|20)\d\d(?!\d))"
    rf"|(?P<month>(?:19|20)\d\d[-.]{_MONTH})(?![-.]?\d))",
    flags=re.IGNORECASE,
)
_DATES = frozenset({"date", "month"})
#: The first visit, in words.
_FIRST = frozenset({"baseline", "bl", "initial", "pre"})


def visits_in(text: str) -> dict[str, set[str]]:
    """What a name says of its visit, by the kind of saying.

    Example:
        >>> visits_in("P1_v02_T1"), visits_in("T1_6mo"), visits_in("T1_1mm")
        ({'whenv': {'2'}}, {'whenm': {'6'}}, {})
    """
    found: dict[str, set[str]] = {}
    for match in _VISIT.finditer(text):
        groups = match.groupdict()
        kind = next(kind for kind, word in groups.items() if word)
        word = re.sub(r"[\W_]|(?<!\d)0+(?=\d)", "", groups[kind]).lower()
        if kind in ("number", "since"):
            unit = re.sub(r"[\W\d_]", "", match[0]).lower()
            kind = f"when{unit[: 2 if unit[0] == 's' else 1]}"  # `v1` and `visit1`, `12m` and `month12`
        elif kind == "stage":
            kind += match["event"][:2].lower()
        found.setdefault(kind, set()).add(re.sub(r"^fup?(?=\d|$)", "followup", word))
    return found


def visit_of(text: str) -> str:
    """The one visit that a name speaks of, in its own word; empty where it speaks of none or of several."""
    words = [match[0] for match in _VISIT.finditer(text)]
    return words[0] if len(words) == 1 else ""


def without_visits(text: str) -> str:
    """A name without what it says of its visit."""
    return _VISIT.sub("", text)


def later_visit(text: str) -> bool:
    """Whether a name speaks of a visit that is not the first, which a name without a visit may mean as well."""
    return any(not words <= _FIRST for words in visits_in(text).values())


def another_visit(own: dict[str, set[str]], theirs: dict[str, set[str]]) -> bool:
    """Whether two names that say this of their visits (`visits_in`) say different ones."""
    shared = own.keys() & theirs.keys()
    in_words = own.keys() - _DATES and theirs.keys() - _DATES  # `preop` and `followup`: each says its own
    first = {*_FIRST, "0"} >= set().union(*own.values(), *theirs.values())  # one visit
    return not first and (any(own[kind].isdisjoint(theirs[kind]) for kind in shared) or bool(in_words and not shared))
