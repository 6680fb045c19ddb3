"""Report text -> findings: the rules, one sentence after the other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from annofree.reports.assembly import assemble, names_another, same_lesion
from annofree.reports.findings import Certainty, Cue, Finding, Place, Reading, Section, Sentence, Side, Size, Span
from annofree.reports.laterality import places_in
from annofree.reports.lexicon import Item, Lexicon
from annofree.reports.scope import (
    beside,
    certainty_of,
    is_called,
    is_definite,
    is_new,
    is_the_patient,
    names_extension,
    naming,
    owners_of,
    reaches_back,
)
from annofree.reports.sizes import size_owner, sizes_in
from annofree.reports.text import language_of, sentences_of, without_unticked

_LESION = ("tumour", "lesion", "signal")
_UNREAD = (Section.EXAMINATION, Section.TECHNIQUE)
_CLAUSE_END = re.compile(r"[,，;；]")
# Behind where a lesion is not the sentence goes on about the lesion: ", in the left lobe", "and lies in the left lobe".
_GOES_ON = re.compile(
    r"[;；,，]\s*(?!or|nor)|\band\s+(?:is|are|was|were|has|lies|sits|arises|occupies|remains|appears)\b", re.IGNORECASE
)
#: Characters between a denial and the reach that it denies ("without any definite sign of extension").
_DENIES_WITHIN = 30
# Between "resection of" and a lesion that is there after it.
_LEFT_BEHIND = re.compile(
    r"\b(?:with|now|new|residual|recurr\w*|remain\w*|show\w*|reveal\w*|demonstrat\w*)\b", re.IGNORECASE
)
# "Near total resection of the glioma without residual enhancement": nothing is left of it.
_NOTHING_LEFT = re.compile(r"\b(?:no|without)\s+(?:\w+\s+){0,3}?(?:residu\w+|remnant|recurr\w+)", re.IGNORECASE)
# "Status post craniotomy with residual tumour", "history of glioma, now with a mass": what is there after all that.
_SINCE = re.compile(
    r"\b(?:now|shows|reveals|demonstrates|(?:with|and)\s+(?:(?:an?|the|some|small|large|increasing)\s+){0,2}"
    r"(?:residual|recurrent|remaining|persistent|new|progressive|growing|enlarging)|biops(?:y|ies)\s+of)\s",
    re.IGNORECASE,
)
# "Mother had a glioma", "glioma in his father"; not "mother reports", nor "MRI for the father shows".
_SUFFERS = re.compile(
    r"(?:(?:\s*[,(][^.;:()]{0,40}[,)])?(?:\s+(?:of\s+(?:the|this|our)\s+patient|also|both|recently|reportedly|and\s+\w+))*"
    r"[\s:：']*(?:s\b|\b(?:(?:was|were|is|being)\s+)?(?:had|has|have|with|who|died|dead|deceased|passed|diagnosed|suffer\w*"
    r"|treated|operated|history)\b|[患因死有得脑曾])"
    r"(?:(?!\b(?:shows?|showed|reveal\w*|demonstrat\w*|seen|found|notic\w+"
    r"|report(?:s|ed)(?!\s+to\b)|states?|stated|describ\w+|complain\w*)\b)[^.;,，；。])*|\s*[:：][^.;；。]*)\Z",
    re.IGNORECASE,
)
_OF_KIN = re.compile(
    r"\s+(?:in|of)\s+(?:(?:an?|the|his|her|their|patient'?s|maternal|paternal|older|younger)\s+)*\Z", re.IGNORECASE
)
# What says that a place behind one that a lesion spares is the lesion's again: "in the frontal lobe", "的右额叶".
_LIES_IN = re.compile(r"[,\s]*\b(?:with)?in\b|的", re.IGNORECASE)
_LENGTH = re.compile(r"(?i)[\s\-]+(?:(?:by|to|and)\s+(?:\w+\s+){1,2})?(?:mm|cm|milli|centi)")  # "two by three cm"
_SECOND = re.compile(r"\s*,?\s*(?:and|及|和)\s*(?:an?|another)\s*\Z", re.IGNORECASE)


@dataclass
class _Memory:
    """What earlier sentences leave behind for later ones."""

    findings: list[Finding] = field(default_factory=list)
    elsewhere: bool = False  # the examination spoken of is not of the brain
    topic_outside: bool = False  # the lesion spoken of lies outside the brain
    lesion_side: Side | None = None
    last_lesion: Finding | None = None

    def note_study(self, item: Item) -> None:
        self.elsewhere = item.key == "elsewhere"
        self.topic_outside = False


def read_report(text: str, id: str = "", lexicon: Lexicon | None = None) -> Reading:
    """Read one report.

    It is English or Chinese, with or without headings; of a text in another language nothing is read.

    Example:
        >>> reading = read_report("Mass in the right frontal lobe, 41 x 60 x 38 mm. Midline shift to the left.")
        >>> reading.side.value, reading.regions, reading.tumour.value
        ('right', ('frontal',), 'present')
    """
    lexicon = lexicon or Lexicon.load()
    language = language_of(text, lexicon.other_languages, lexicon.english_words)
    if language == "other":  # "kein Tumor" has one English word, and that is no finding
        return assemble(id, text, language, (), (), lexicon)
    plain = without_unticked(lexicon.plain(text))  # length unchanged, so that every span holds in the text itself
    sentences = sentences_of(plain, lexicon.sections)
    items = lexicon.scan(plain)
    memory = _Memory()
    position = 0
    for index, sentence in enumerate(sentences):
        while position < len(items) and items[position].start < sentence.span.start:
            position += 1
        first = position
        while position < len(items) and items[position].end <= sentence.span.end:
            position += 1
        _SentenceReader(plain, index, sentence, items[first:position], lexicon, memory).read()
    return assemble(id, text, language, sentences, tuple(memory.findings), lexicon)


class _SentenceReader:
    """Reads one sentence and adds its findings to the memory."""

    def __init__(
        self, text: str, index: int, sentence: Sentence, items: Sequence[Item], lexicon: Lexicon, memory: _Memory
    ) -> None:
        self.text, self.index, self.sentence = text, index, sentence
        self.items = [item for item in items if item.category != "several" or not _LENGTH.match(text, item.end)]
        self.lexicon, self.memory = lexicon, memory
        self.studies = [item for item in items if item.category == "study"]
        self.breaks = [item for item in items if item.category == "breaks"]
        self.extends = any(item.category == "extends" for item in items)

    def read(self) -> None:
        if self.sentence.section in _UNREAD:
            for study in self.studies:
                self.memory.note_study(study)
            return
        places, lonely, side_cues = places_in(self.text, self.items, self.lexicon, self.memory.lesion_side)
        places = [place for place in places if not self._spared(place, places)]
        every_kind = [item for item in self.items if item.category == "kind"]
        certainties = {id(kind): certainty_of(self.text, kind, self.items) for kind in every_kind}
        kinds = [kind for kind in every_kind if not self._only_describes(kind, every_kind, certainties)]
        found = sizes_in(self.text, self.sentence.span.start, self.sentence.span.end)
        if not kinds:
            for study in self.studies:
                self.memory.note_study(study)
            self._continue_lesion(places, self._of_lesion_before(found, places, kinds), side_cues)
            return
        if not any(self.lexicon.roles[kind.key] in _LESION for kind in kinds):
            # "It measures 4 cm and is surrounded by edema": the size is not the edema's
            own = self._of_lesion_before(found, places, kinds)
            self._continue_lesion((), own, ())
            found = [size for size in found if size not in own]
        owners = owners_of(self.text, places, kinds, self.breaks, self.lexicon)
        own_places = [
            [place for place, owner in zip(places, owners, strict=True) if owner == number]
            for number in range(len(kinds))
        ]
        self._give_lonely_sides(lonely, kinds, own_places)
        sizes: dict[int, list[Size]] = {}  # "lesions in the frontal (12 mm) and the occipital lobe (8 mm)"
        for size in found:
            sizes.setdefault(size_owner(self.text, size, kinds, self.lexicon, sizes), []).append(size)
        if self.studies and all(study.key == "elsewhere" for study in self.studies):
            self.memory.elsewhere = True
        for number, kind in enumerate(kinds):
            for study in self.studies:
                if study.start < kind.start and not any(study.start < other.start for other in kinds[:number]):
                    self.memory.note_study(study)
            certainty, cues = certainties[id(kind)]
            finding = self._finding(kind, certainty, own_places[number])
            for each in self._one_a_size(finding, sizes.get(number, [])):
                self._add(
                    replace(
                        each,
                        explained=self._explanation(number, kinds, own_places, certainties),
                        cues=(
                            *cues,
                            *self._history_cues(kind),
                            *(cue for cue in side_cues if any(place.side for place in each.places)),
                        ),
                    )
                )
        for study in self.studies:
            if study.start > kinds[-1].start:
                self.memory.note_study(study)

    def _one_a_size(self, finding: Finding, sizes: Sequence[Size]) -> list[Finding]:
        """The finding with its size; one a place where as many lesions as places have a size each."""
        if len(sizes) < 2:
            return [replace(finding, size=sizes[0] if sizes else None)]
        many = finding.several or re.search(r"(?:[^si]s|foci)\Z", finding.span.of(self.text), re.IGNORECASE)
        between = self.text[sizes[0].span.end : sizes[-1].span.start]
        if (many or re.search(r"\band\s+(?:an?|another)\b", between)) and len(sizes) == len(finding.places):
            pairs = zip(finding.places, sizes, strict=True)
            return [replace(finding, places=(place,), size=size, several=False) for place, size in pairs]
        second = _SECOND.match(self.text, sizes[0].span.end, sizes[1].span.start) is not None
        several = bool(many) or second or len(finding.places) > 1
        largest = max(sizes, key=lambda size: max(size.diameters_mm)) if many else sizes[0]
        return [replace(finding, size=largest, several=several)]

    def _spared(self, place: Place, places: Sequence[Place]) -> bool:
        """Whether the sentence says that a lesion does not reach there: "without involvement of the insula".

        What is named behind such a place by "in" is where the lesion lies, unless that was said before.
        """
        ends = [item for item in self.items if item.category in ("breaks", "extends", "kind")]
        for item in self._sparing():
            spared = [other.span for other in places] + [Span(i.start, i.end) for i in self.items if i.key == "midline"]
            between = [other for other in spared if item.end <= other.start < place.span.start]
            lies = any(_LIES_IN.match(self.text, other.end, place.span.start) for other in between)
            told = any(other.span.end <= item.start for other in places)
            if (
                item.end <= place.span.start
                and not any(item.end <= end.start < place.span.start for end in ends)
                and not _GOES_ON.search(self.text, item.end, place.span.start)
                and (told or not lies)
            ):
                return True
        return False

    def _sparing(self) -> list[Item]:
        """The words that say where a lesion is not: "sparing", and a denied reach ("without evidence of invasion")."""
        denials = [item for item in self.items if item.category == "negation" and item.form == "before"]
        walls = [item for item in self.items if item.category in ("breaks", "kind")]
        denied = [
            reach
            for reach in self.items
            if reach.category == "extends"
            for no in denials
            if 0 <= reach.start - no.end <= _DENIES_WITHIN
            and not re.search(r"[,;:.，；：。]", self.text[no.end : reach.start])
            and not any(no.end <= wall.start < reach.start for wall in walls)
        ]
        return [item for item in self.items if item.category == "spares"] + denied

    def _only_describes(
        self, kind: Item, kinds: Sequence[Item], certainties: dict[int, tuple[Certainty, list[Cue]]]
    ) -> bool:
        """A signal word is an adjective when the sentence named a finding before, or names one in its clause."""
        if self.lexicon.roles[kind.key] != "signal":
            return False
        for other in kinds:
            role = self.lexicon.roles[other.key]
            names = (
                role in ("tumour", "lesion")
                or other.key in ("oedema", "necrosis")
                or (role == "other" and other.start < kind.start)
            )
            if not names or certainties[id(other)][0] is Certainty.ABSENT:
                continue
            if other.start < kind.start or not _CLAUSE_END.search(self.text, kind.end, other.start):
                return True
        return False

    def _finding(self, kind: Item, certainty: Certainty, places: Sequence[Place]) -> Finding:
        role = self.lexicon.roles[kind.key]
        lesion = role in _LESION
        previous = self.memory.last_lesion
        anaphora = lesion and previous is not None and self._goes_on(kind, places, previous)
        brain = any(place.role == "brain" for place in places)
        outside = bool(places) and all(place.role == "outside" for place in places)
        outside = outside or (not brain and (self.memory.elsewhere or self.sentence.section is Section.ELSEWHERE))
        outside = outside or (lesion and not places and self.memory.topic_outside)
        return Finding(
            kind=kind.key,
            role=role,
            certainty=certainty,
            span=Span(kind.start, kind.end),
            sentence=self.index,
            section=self.sentence.section,
            places=tuple(places),
            change=next((item.key for item in self.items if item.category == "change"), None) if lesion else None,
            anaphora=anaphora,
            another=lesion and is_new(self.text, kind, self.sentence.span.start, another=True),
            extends=anaphora and self.extends and brain,
            several=lesion
            and any(item.category == "several" and 0 <= kind.start - item.end < 60 for item in self.items),
            historical=self.sentence.section in (Section.HISTORY, Section.PLAN) or bool(self._history_cues(kind)),
            outside=outside,
        )

    def _goes_on(self, kind: Item, places: Sequence[Place], last: Finding) -> bool:
        """Whether it speaks of the last lesion: "the mass", "tumor extension"; not where it names another one."""
        reaches = [item for item in self.items if item.category == "extends"]
        named = naming(self.text, kind, places, reaches)
        noun, start = names_extension(self.text, kind, reaches), self.sentence.span.start
        if noun or is_definite(self.text, kind, start):
            return not names_another(named, last, self.memory.findings, self.lexicon)
        return noun is False and not is_new(self.text, kind, start) and same_lesion(named, last.places, self.lexicon)

    def _history_cues(self, kind: Item) -> list[Cue]:
        return [Cue("past", Span(item.start, item.end)) for item in self.items if self._tells_the_past(item, kind)]

    def _tells_the_past(self, item: Item, kind: Item) -> bool:
        if item.category == "removed" and item.form == "after":
            kinds = [other for other in self.items if other.category == "kind"]
            return reaches_back(self.text, item, kind, self.breaks, kinds)
        if item.category == "apparent" and "resection" in self.text[item.start : item.end].lower():
            return (
                item.end <= kind.start and _NOTHING_LEFT.search(self.text, kind.end, self.sentence.span.end) is not None
            )
        if item.category == "kin" and is_the_patient(self.text, item):
            return False
        if item.category == "kin" and item.start >= kind.end:
            return _OF_KIN.fullmatch(self.text, kind.end, item.start) is not None
        if item.category not in ("history", "kin", "prior", "removed") or item.end > kind.start:
            return False
        if any(item.end <= wall.start < kind.start for wall in self.breaks):
            return False
        if item.category == "kin":
            return _SUFFERS.match(self.text, item.end, kind.start) is not None
        if item.category == "prior":  # "the previously seen mass is unchanged" is there today
            return not any(other.category == "present" for other in self.items)
        if item.category == "history":
            return not _SINCE.search(self.text, item.end, kind.end)
        return not _LEFT_BEHIND.search(self.text, item.end, kind.start)

    def _give_lonely_sides(self, lonely: Sequence[Place], kinds: Sequence[Item], own_places: list[list[Place]]) -> None:
        """A side that no region claimed is the lesion's when it stands beside it: "left-sided mass"."""
        for number, kind in enumerate(kinds):
            if self.lexicon.roles[kind.key] in _LESION and not own_places[number]:
                own_places[number] = [place for place in lonely if beside(self.text, place.span, kind)]

    def _explanation(
        self,
        number: int,
        kinds: Sequence[Item],
        own_places: Sequence[Sequence[Place]],
        certainties: dict[int, tuple[Certainty, list[Cue]]],
    ) -> str | None:
        """The other disease that a "lesion" or a signal is, when the sentence says so."""
        kind, roles = kinds[number], self.lexicon.roles
        doubted = certainties[id(kind)][0] is Certainty.POSSIBLE  # "haemorrhage, an underlying mass cannot be excluded"
        tumour = any(
            roles[other.key] == "tumour" and certainties[id(other)][0] is not Certainty.ABSENT for other in kinds
        )
        if doubted or tumour or roles[kind.key] not in ("lesion", "signal"):
            return None
        for index, other in enumerate(kinds):
            apart = bool(own_places[index]) and bool(own_places[number])
            denied = certainties[id(other)][0] is Certainty.ABSENT
            signal = roles[kind.key] == "signal"
            if (
                roles[other.key] == "other"
                and not apart
                and not denied
                and (signal or is_called(self.text, kind, other))
            ):
                return other.key
        regions = {place.region for place in own_places[number] if place.role == "brain"}
        return "white_matter_disease" if roles[kind.key] == "signal" and regions == {"white_matter"} else None

    def _of_lesion_before(self, sizes: Sequence[Size], places: Sequence[Place], kinds: Sequence[Item]) -> list[Size]:
        """Sizes that go on about the lesion of an earlier sentence.

        Neither those of a finding named before them, nor those of another thing: "the third ventricle measures 11 mm".
        """
        others = [place for place in places if place.role != "brain" or self.lexicon.regions[place.region].midline]
        on = [item for item in self.items if item.category == "continues"]
        it = [item for item in on if self.text[item.start : item.end].lower() == "it"]
        return [
            size
            for size in sizes
            if any(item.start < size.span.start or not kinds for item in on)
            and not any(kind.end <= size.span.start for kind in kinds)
            and not any(
                place.span.end <= size.span.start and not any(item.start < place.span.start for item in it)
                for place in others
            )
        ]

    def _continue_lesion(self, places: Sequence[Place], sizes: Sequence[Size], cues: Sequence[Cue]) -> None:
        """Read "It measures 4 cm and crosses to the left": no finding of its own, it goes on about the last lesion."""
        last = self.memory.last_lesion
        if last is None or not any(item.category in ("continues", "extends") for item in self.items):
            return
        brain = tuple(place for place in places if place.role == "brain")
        if any(item.category == "negation" for item in self.items) and not (sizes and not brain):
            return
        if brain or sizes:
            self._add(
                replace(
                    last,
                    span=self.sentence.span,
                    sentence=self.index,
                    section=self.sentence.section,
                    places=brain,
                    size=sizes[0] if sizes else None,
                    anaphora=True,
                    extends=self.extends and bool(brain),
                    cues=tuple(cues),
                )
            )

    def _add(self, finding: Finding) -> None:
        self.memory.findings.append(finding)
        if finding.role not in _LESION:
            return
        self.memory.last_lesion = finding
        if finding.places:
            self.memory.topic_outside = finding.outside
        if finding.is_lesion and not finding.anaphora:
            sides = {place.side for place in finding.places} & {Side.LEFT, Side.RIGHT}
            self.memory.lesion_side = next(iter(sides)) if len(sides) == 1 else self.memory.lesion_side
