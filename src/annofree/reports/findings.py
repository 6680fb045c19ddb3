"""What a report says: findings, places, sizes, lesions, each with the characters it was read from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Side(StrEnum):
    """A side of the patient, never of the picture."""

    LEFT = "left"
    RIGHT = "right"
    BILATERAL = "bilateral"
    MIDLINE = "midline"

    @property
    def opposite(self) -> Side:
        """Left for right and right for left; itself otherwise."""
        return {Side.LEFT: Side.RIGHT, Side.RIGHT: Side.LEFT}.get(self, self)


def joint_side(sides: Iterable[Side | None]) -> Side | None:
    """The side of several things together; None when there is none or nothing says."""
    named = set(sides) - {None}
    if named >= {Side.LEFT, Side.RIGHT} or Side.BILATERAL in named:
        return Side.BILATERAL
    return next(iter(named & {Side.LEFT, Side.RIGHT} or named), None)


class Certainty(StrEnum):
    """How sure the reader of the scan is, strongest first."""

    PRESENT = "present"
    LIKELY = "likely"
    POSSIBLE = "possible"
    ABSENT = "absent"

    @property
    def weight(self) -> float:
        """1, 0.75, 0.5 or 0: an order to sort by and a factor for soft maps, not a measured probability."""
        return {"present": 1.0, "likely": 0.75, "possible": 0.5, "absent": 0.0}[self.value]


class Section(StrEnum):
    """The part of the report a sentence stands in."""

    TECHNIQUE = "technique"
    HISTORY = "history"
    EXAMINATION = "examination"
    FINDINGS = "findings"
    IMPRESSION = "impression"
    PLAN = "plan"
    ELSEWHERE = "elsewhere"

    @property
    def speaks_of_today(self) -> bool:
        """Whether a finding in this section is a finding of this scan."""
        return self in (Section.FINDINGS, Section.IMPRESSION)


@dataclass(frozen=True, slots=True)
class Span:
    """Characters `start` to `end` (exclusive) of the report's text."""

    start: int
    end: int

    def of(self, text: str) -> str:
        """The characters themselves."""
        return text[self.start : self.end]


@dataclass(frozen=True, slots=True)
class Cue:
    """A word that decided something: a negation, a doubt, a side, a comparison."""

    means: str
    span: Span


@dataclass(frozen=True, slots=True)
class Place:
    """A region with its side.

    Attributes:
        region: key in the lexicon ("frontal", "hippocampus") or of a structure or a part outside the brain.
        side: side of the patient; None when the report does not say.
        stated: False when the side was taken over from another word of the sentence or from the lesion before.
        role: "brain", "structure" (ventricles, sulci: pressed on, not tumour) or "outside" (face, spine, trunk).
        span: the region's own characters.
    """

    region: str
    side: Side | None
    stated: bool
    role: str
    span: Span


@dataclass(frozen=True, slots=True)
class Size:
    """One to three diameters in millimetres, in the order of the text."""

    diameters_mm: tuple[float, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of the report."""

    span: Span
    section: Section


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing the report says is there, may be there or is not there.

    Attributes:
        kind: key in the lexicon's `kinds` ("tumour", "oedema", "mass_effect", "normal" ...).
        role: the kind's role: tumour, lesion, signal, part, effect, other, normal.
        certainty: present, likely, possible or absent.
        span: the characters that name it.
        sentence: index into `Reading.sentences`.
        section: the section of that sentence.
        places: where; empty when the report does not say.
        size: diameters, when given.
        change: new, larger, smaller, stable, resolved, or None.
        anaphora: True for "the lesion": speaks of one that was named before.
        extends: True for "the mass extends into ...": its places are added to the lesion it speaks of.
        several: True when the words are of more than one ("multiple lesions").
        historical: True when it is told of the past, or in a section that is not about this scan.
        outside: True when it lies outside the brain.
        explained: kind that explains it away ("infarct" in "old ischaemic lesion"), or None.
        cues: the words that decided all this.
        another: True for "a second lesion": none of those before it, though it may lie in the same region.
    """

    kind: str
    role: str
    certainty: Certainty
    span: Span
    sentence: int
    section: Section
    places: tuple[Place, ...] = ()
    size: Size | None = None
    change: str | None = None
    anaphora: bool = False
    extends: bool = False
    several: bool = False
    historical: bool = False
    outside: bool = False
    explained: str | None = None
    cues: tuple[Cue, ...] = ()
    another: bool = False

    @property
    def is_lesion(self) -> bool:
        """Whether this makes a brain lesion of today, sure or not."""
        return (
            self.role in ("tumour", "lesion", "signal")
            and self.certainty is not Certainty.ABSENT
            and not (self.historical or self.outside or self.explained)
        )


@dataclass(frozen=True, slots=True)
class ReportedLesion:
    """One lesion, put together from every finding that speaks of it.

    Attributes:
        places: where, finest words only ("fine beats coarse").
        side: side of the whole lesion, None when nothing says.
        certainty: of its surest finding.
        size: the largest reported size.
        several: the report speaks of more than one in these places.
        findings: indices into `Reading.findings`.
    """

    places: tuple[Place, ...]
    side: Side | None
    certainty: Certainty
    size: Size | None
    several: bool
    findings: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything read from one report.

    Attributes:
        id: the report's id.
        text: the text, untouched; every span counts in it.
        language: "en", "zh", or "other", which is not read.
        sentences: in order.
        findings: in order of the text.
        lesions: the brain lesions of today.
        oedema: places of oedema, on the side of a lesion.
        nothing_here: brain places the report calls normal or free of disease.
        flags: "not understood" (no known word: another language, an unreadable text), "no side", "no region",
            "contradictory side", "uncertain", "history only", ...
        reader: "rules", or the name of the language model that proposed the findings.
    """

    id: str
    text: str
    language: str
    sentences: tuple[Sentence, ...]
    findings: tuple[Finding, ...]
    lesions: tuple[ReportedLesion, ...]
    oedema: tuple[Place, ...]
    nothing_here: tuple[Place, ...]
    flags: tuple[str, ...]
    reader: str = "rules"

    @property
    def tumour(self) -> Certainty:
        """Is there a brain lesion that the report does not explain otherwise? The surest lesion's certainty."""
        return max((lesion.certainty for lesion in self.lesions), key=lambda c: c.weight, default=Certainty.ABSENT)

    @property
    def understood(self) -> bool:
        """Whether any finding was read, be it a normal one; without any, that no tumour was read says nothing."""
        return bool(self.findings)

    @property
    def side(self) -> Side | None:
        """The side of all lesions together; None when there is none or nothing says."""
        return joint_side(lesion.side for lesion in self.lesions)

    @property
    def regions(self) -> tuple[str, ...]:
        """Keys of the lesions' regions, in the order of the text, each once."""
        return tuple(dict.fromkeys(place.region for lesion in self.lesions for place in lesion.places))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self) | {
            "tumour": self.tumour if self.understood else None,
            "side": self.side,
            "regions": self.regions,
        }
