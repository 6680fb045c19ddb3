"""Diameters in a text, the volume they make likely, and which finding they belong to.

That is told by how the words stand, not by which word is nearest.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from annofree.reports.findings import Size, Span
from annofree.reports.lexicon import Item, Lexicon
from annofree.reports.scope import PART_OF

# A comma is a decimal sign too ("4,2 x 3,1 cm"), and a fraction may stand behind ("1½ cm", "1 1/2 cm") or alone.
_SPOKEN = {"half": 0.5, "one": 1.0, "two": 2.0, "three": 3.0, "four": 4.0, "five": 5.0, "six": 6.0}
_NUMBER = (
    r"(\d{1,3}(?:[.,]\d{1,4}|\s?[½¼¾]|\s[13]/[24])?|[.,]\d{1,2}|[½¼¾]"
    rf"|\b(?:half(?:\s+an?)?(?=\s*-?[cm](?:m|enti|illi))|(?:{'|'.join([*_SPOKEN][1:])})(?:\s+and\s+a\s+half)?)\b)"
)
_FRACTION = re.compile(r"(\d*)\s*(?:([13])/([24])|([½¼¾]))")
_UNIT = r"(mms?\b|cms?\b|mm|cm|millimet(?:er|re)s?|centimet(?:er|re)s?|毫米|厘米|公分|㎜|㎝)"
# "4.2 cm (AP) x 3.1 cm TR": the direction of a diameter, before or after its number.
_NAMED = (
    r"\b(?:AP|TV|TR|TRV|TRANS|CC|SI|ML|(?:antero-?posterior|transverse|(?:trans)?axial|cranio-?caudal|supero-?inferior|medio-?lateral|coronal|sagittal)"
    r"(?:ly)?|width|height|length)\b(?:\s+(?:plane|dimension|direction|diameter|extent|axis)s?\b)?"
)
_DIRECTION = (
    rf"(?:\s*[(（]?(?:\bin\s+)?(?:the\s+)?(?:{_NAMED}|\b(?:LR|RL|[TWLHD]|depth|left[- ]right)\b)[)）]?"
    r"|\s*[(（]?(?:前后|左右|上下|横)径?[)）]?)"
)
_AXIS = rf"{_DIRECTION}?"
_BY = (
    rf"(?:{_AXIS}\s*(?:[x×X*✕✖╳хХ＊﹡]|\bby\b|乘以?)\s*(?:approximately|approx\.?|about|~)?\s*{_AXIS}|{_DIRECTION}\s*(?:,\s*and|,|and)"
    rf"|{_AXIS}\s*(?:,\s*and|,|and|with)\s+(?:an?\s+)?{_NAMED}\s*(?:of|:|is)?)\s*"
)
_SIZE = re.compile(
    rf"(?<![\d.A-Za-z/]){_NUMBER}\s*-?{_UNIT}?{_BY}{_NUMBER}\s*-?{_UNIT}?(?:{_BY}{_NUMBER}{_AXIS}\s*-?{_UNIT}?)?{_AXIS}\s*"
    rf"(?:[(（\s]*{_UNIT}(?![A-Za-z]))?(?![\d/])"
    rf"|(?<![\d.,A-Za-z/\-]){_NUMBER}(?P<joint>[/-]){_NUMBER}(?P=joint){_NUMBER}\s*-?{_UNIT}(?![A-Za-z\d²³/])"
    rf"|(?<![\d.,A-Za-z/])(?:(?:between\s+{_NUMBER}\s+and|{_NUMBER}\s*(?:-|–|~|～|to|至))\s*)?"
    rf"(?P<others>(?:\d{{1,3}}(?:\.\d+)?(?:,\s+|、))*\d{{1,3}}(?:\.\d+)?,?\s*(?:\band|&|及|和)\s*)?"  # "12, 8 and 5 mm"
    rf"{_NUMBER}\s*-?{_UNIT}(?![A-Za-z\d²³/]|\s*(?:slice|thick|section|gap|层厚))",
    re.IGNORECASE,
)
# What was measured at another time: "previously 4.5 cm", "(was 45 mm)", "from 2.1 cm to ...".
_EARLIER = re.compile(
    r"(?:\b(?:previously|prior|formerly|initially|earlier|(?<!than )before|compared\s+(?:to|with)|versus|vs)\b"
    r"|[(,]\s*was\b|原|前次)[\s:.]*"
    r"(?:(?:it|they|this|measured|measuring|was|were|been|had|a|of|about|approximately|approx\.?|up to|at|on|the|size"
    r"|diameter|study|exam|examination|scan|mri|lesion|mass|tumou?r|约为?|大小|直径|为)[\s:]*)*\Z"
    r"|\bfrom\s+(?:about\s+|approximately\s+)?\Z"
    r"|\b(?:gr[eo]w\w*|increased|decreased|enlarged|shr[aiu]nk\w*|reduced)\s+(?:in\s+size\s+)?by\s+(?:about\s+)?\Z",
    re.IGNORECASE,
)
_EARLIER_BEHIND = re.compile(
    r"\s*(?:(?:->|→|=>)(?=[^.;\n]{0,20}\d)|(?:larger|smaller|bigger|longer|wider)\s+than\b)"
    r"|\s*(?:previously|formerly|before|earlier|at baseline|(?:on|in) (?:the )?(?:prior|previous))\b"
)
# A number behind these is no length: "SUV 3.2 and 12 mm", "image 14 and 16 mm".
_NO_LENGTH = re.compile(
    r"\b(?:suv(?:max|mean)?|images?|slices?|series|grade|score|level|ratio|index|adc|ki-?67|number|no)\b[\s.:=#]*(?:of\s+)?\Z",
    re.IGNORECASE,
)
# How far something lies from something else: "2 cm from the midline", "8 mm below the cortex".
_DISTANCE = re.compile(
    r"\s*(?:away|off|below|above|beneath|beyond|into|deep\s+to|from(?!\s+(?:\d|anterior|front|side|top|left|right|superior|medial))"
    r"|(?:anterior|posterior|lateral|medial|superior|inferior|caudal|cranial|dorsal|ventral)(?:ly)?\s+(?:to|of))\b",
    re.IGNORECASE,
)
_CHANGES = re.compile(
    r"grow|grew|increas|decreas|shr[aiu]nk|enlarg|reduc|regress|progress|smaller|larger", re.IGNORECASE
)
_LARGEST_MM = 200.0  # a head is about 200 mm long: larger numbers are no lesion
_READING_SD = 0.10  # one diameter, two readers: about 10 % (RECIST and RANO treat less than 20-25 % as no change)
_SHAPE_SD = 0.20  # lesions are no ellipsoids: log-sd of true volume over pi/6 abc


@dataclass(frozen=True, slots=True)
class VolumeRange:
    """A volume in millilitres with the range that holds it about 19 times in 20 under the stated assumptions."""

    low_ml: float
    expected_ml: float
    high_ml: float


def sizes_in(text: str, start: int = 0, end: int | None = None) -> list[Size]:
    """Every size of one to three diameters between two characters of `text`.

    A range ("3-4 cm") counts with its middle. Without a unit, "6x5x6" is not a size; slice thickness, a distance and
    what was measured at an earlier time are none either.
    """
    end = len(text) if end is None else end
    found = []
    for match in _SIZE.finditer(text, start, end):
        a, unit_a, b, unit_b, c, unit_c, unit_end, i, _, j, k, unit_joint, low, until, others, single, unit_single = (
            match.groups()
        )
        before = text[max(start, match.start() - 80) : match.start()]
        if single is not None:
            values = [_number(single)]
            if (other := low or until) is not None:
                grown = before.endswith("from ") and _CHANGES.search(before)  # "has grown from 11 to 22 mm"
                values = values if grown else [(_number(other) + values[0]) / 2]
                before = before.removesuffix("from ")
            values = [value * _millimetres(unit_single) for value in values]
        elif unit_joint is not None:
            values = [_number(number) * _millimetres(unit_joint) for number in (i, j, k)]
        else:
            unit = unit_c or unit_b or unit_end or unit_a
            if unit is None:
                continue
            own = [(a, unit_a or unit), (b, unit_b or unit), (c, unit_c or unit)]
            values = [_number(number) * _millimetres(name) for number, name in own if number is not None]
        begin = max(match.start(), match.end("others"))
        span = Span(begin, match.start() + len(match.group().rstrip()))
        elsewhere = _DISTANCE.match(text, span.end, end) or _EARLIER_BEHIND.match(text, span.end, end)
        if elsewhere or _EARLIER.search(before):
            continue
        for other in re.finditer(r"\d+(?:\.\d+)?", "" if _NO_LENGTH.search(before) else others or ""):
            at = match.start("others") + other.start()
            found.append(Size((_number(other[0]) * _millimetres(unit_single),), Span(at, at + len(other[0]))))
        if all(0 < value <= _LARGEST_MM for value in values):
            found.append(Size(tuple(round(value, 2) for value in values), span))
    return found


def _number(digits: str) -> float:
    """A number as it is written: "4.2", "4,2", ".8", "1½", "1 1/2", "half a", "two"."""
    first, *rest = digits.lower().split()
    if first in _SPOKEN:
        return _SPOKEN[first] + (0.5 if rest[-1:] == ["half"] else 0.0)
    if (fraction := _FRACTION.fullmatch(digits)) is None:
        return float(digits.replace(",", "."))
    whole, numerator, denominator, sign = fraction.groups()
    return float(whole or 0) + (unicodedata.numeric(sign) if sign else int(numerator) / int(denominator))


def _millimetres(unit: str) -> float:
    return 1.0 if unit.lower().startswith(("mm", "milli", "毫米", "㎜")) else 10.0


def volume_of(size: Size) -> VolumeRange:
    """Volume of the ellipsoid with these diameters, and how far off it may be.

    Three diameters: V = pi/6 abc. Two: the third is 0.6 to 1.2 times their geometric mean, 0.9 in the middle. One:
    taken as the largest; each other axis is 0.5 to 1 times it, 0.75 in the middle. The range joins the errors of
    reading (10 % a diameter), of shape (20 %) and of the axes not given, in the logarithm, at 1.96 standard
    deviations. These are stated assumptions; no measured lesion went into them.

    Example:
        >>> volume_of(Size((41.0, 60.0, 38.0), Span(0, 1))).expected_ml
        48.9
    """
    axes = list(size.diameters_mm)
    variance = _SHAPE_SD**2 + len(axes) * _READING_SD**2
    if len(axes) == 1:
        axes += [0.75 * axes[0]] * 2
        variance += 2 * (math.log(1 / 0.5) / 3.92) ** 2 + 2 * _READING_SD**2
    elif len(axes) == 2:
        axes.append(0.9 * math.sqrt(axes[0] * axes[1]))
        variance += (math.log(1.2 / 0.6) / 3.92) ** 2
    expected = math.pi / 6 * math.prod(axes) / 1000
    spread = math.exp(1.96 * math.sqrt(variance))
    return VolumeRange(_rounded(expected / spread), _rounded(expected), _rounded(expected * spread))


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")


_LESION = ("tumour", "lesion", "signal")
# Between a size and the noun it stands before: adjectives, "of", "area of"; no verb, no preposition, no new article.
_ADJECTIVES = re.compile(
    r"(?:[\s\-,/]*(?:(?!(?:is|are|was|were|with|without|in|on|at|to|from|by|but|has|have|had|shows?|showing|reveals?|the|a|an|this|"
    r"which|that|measur\w+|surround\w*|adjacent|along|near|within|involv\w+|extend\w*|causing|producing|exerting|demonstrat\w+)\b)"
    r"[A-Za-z']+[\s\-,/]*){0,6})\Z",
    re.IGNORECASE,
)
_ADJECTIVES_ZH = re.compile(r"[\s\-]*(?:大小)?的?(?![^。]*[伴并见呈示及和与周边缘内中])[\u4e00-\u9fff\s]{0,14}\Z")
_AND_THEN = re.compile(r"[,，]|\s*(?:and\b|[&+/])")  # "a lesion of 12 mm and a ..."
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
_FINITE = ("measure", "measures", "is", "was")
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
    if took is not None and (took["verb"] or "").lower() in _FINITE:  # "edema around the mass measures 6 cm"
        while len(before) > 1 and PART_OF.match(text[kinds[before[-2]].end : kinds[before[-1]].start]):
            before.pop()
        if before[-1] != last:
            return before[-1]
    if free and last not in lesions:
        company = _COMPANY.search(text[max(0, kinds[last].start - 40) : kinds[last].start])
        finite = took is not None and (took["verb"] or "").lower() in _FINITE
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
            closed = True  # "mass, 4 cm, enhancing": a comma or "and" behind the size ends what began before it
            continue
        if head is None and closed and _AND_THEN.match(text, position):
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
