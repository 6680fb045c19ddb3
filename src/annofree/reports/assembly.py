"""Findings -> lesions, sides, flags: what the whole report says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from annofree.reports.findings import (
    Certainty,
    Finding,
    Place,
    Reading,
    ReportedLesion,
    Section,
    Sentence,
    Side,
    joint_side,
)
from annofree.reports.lexicon import Lexicon


def assemble(
    id: str,
    text: str,
    language: str,
    sentences: tuple[Sentence, ...],
    findings: tuple[Finding, ...],
    lexicon: Lexicon,
    reader: str = "rules",
) -> Reading:
    """Put the findings of one report together.

    `reader` proposed the findings.
    """
    findings = _answered(findings)
    groups = _groups(findings, lexicon) if not _explained_by_impression(findings) else []
    lesions = tuple(_lesion(group, findings, lexicon) for group in groups)
    sides = {lesion.side for lesion in lesions}
    oedema = tuple(
        place
        for finding in findings
        if finding.kind == "oedema" and _of_today(finding) and finding.certainty is not Certainty.ABSENT
        for place in finding.places
        if place.role == "brain" and (place.side in sides or place.side is None or Side.BILATERAL in sides)
    )
    nothing = _nothing_here(findings, lesions, lexicon)
    oedema = finest(oedema, lexicon)
    reading = Reading(id, text, language, sentences, findings, lesions, oedema, nothing, (), reader)
    return replace(reading, flags=_flags(reading))


def _answered(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """The findings, what a report only asks at its beginning ("Rule out glioma.") as history where it answers."""
    asked = [
        any(cue.means == "asked" or (cue.means == "?" and not finding.places) for cue in finding.cues)
        # what was measured was seen, but "rule out a 2 cm mass" only asks
        and (finding.size is None or finding.size.span.start < finding.span.start)
        for finding in findings
    ]
    first = next((n for n, finding in enumerate(findings) if _of_today(finding) and not asked[n]), len(findings))
    told = [finding for finding in findings[first:] if _of_today(finding)]
    # normal ventricles and no hydrocephalus do not say that there is no tumour
    answers = any(
        (f.role == "normal" and (not f.places or any(place.role == "brain" for place in f.places)))
        or (f.certainty is Certainty.ABSENT and f.role in ("tumour", "lesion", "signal", "part"))
        for f in told
    )
    if not answers or any(f.role == "part" and f.certainty is not Certainty.ABSENT for f in told):
        return findings
    return tuple(replace(f, historical=True) if asked[n] and n < first else f for n, f in enumerate(findings))


def finest(places: Sequence[Place], lexicon: Lexicon, several: bool = False) -> tuple[Place, ...]:
    """Fine beats coarse: a place goes when a finer one inside it, on its side, is named too; repeats go as well.

    Of `several` lesions on both sides one finer place leaves the others where they were.
    """
    coarse = (None,) if several else (None, Side.BILATERAL)
    places = _each_once(places)
    kept: list[Place] = []
    for place in places:
        covered = any(
            other.region != place.region
            and _is_finer(other.region, place.region, lexicon)
            and (other.side is None or place.side in (*coarse, other.side))
            for other in places
        )
        repeated = any(
            other.region == place.region and (other.side is place.side or place.side is None) for other in kept
        )
        if not covered and not repeated:
            kept = [k for k in kept if not (k.region == place.region and k.side is None)] + [place]
    return tuple(kept)


def _each_once(places: Sequence[Place]) -> tuple[Place, ...]:
    """The first of the places of one region and side."""
    return tuple({(place.region, place.side): place for place in reversed(places)}.values())[::-1]


def _is_finer(inner: str, outer: str, lexicon: Lexicon) -> bool:
    """White matter alone is the coarsest word: "frontal white matter" is the frontal lobe's."""
    return lexicon.is_a(inner, outer) or (outer == "white_matter" and lexicon.is_a(inner, "cerebrum"))


def _of_today(finding: Finding) -> bool:
    return not (finding.historical or finding.outside)


def _groups(findings: Sequence[Finding], lexicon: Lexicon) -> list[list[int]]:
    """Findings that speak of the same lesion, together."""
    groups: list[list[int]] = []
    places: list[dict[tuple[str, Side | None], Place]] = []  # of each group, each once
    for index, finding in enumerate(findings):
        if not finding.is_lesion:
            continue
        brain = _brain([finding])
        own = len(groups) - 1
        if not finding.anaphora and _sums_up(brain, [[*old.values()] for old in places], lexicon):
            continue
        if finding.another and brain and finding.section is not Section.IMPRESSION:
            own = len(groups)
        elif not (finding.anaphora and groups):
            same = (n for n in reversed(range(len(groups))) if same_lesion(brain, list(places[n].values()), lexicon))
            own = next(same, len(groups))
        if own == len(groups):
            groups.append([])
            places.append({})
        groups[own].append(index)
        places[own].update({(place.region, place.side): place for place in brain})
    return groups


def _sums_up(brain: Sequence[Place], known: Sequence[Sequence[Place]], lexicon: Lexicon) -> bool:
    """Whether places are those of several lesions: "masses in the left temporal and the right frontal lobe"."""
    whose = [{n for n, old in enumerate(known) if old and same_lesion([each], old, lexicon)} for each in brain]
    return bool(whose) and all(whose) and not set.intersection(*whose)


def same_lesion(new: Sequence[Place], old: Sequence[Place], lexicon: Lexicon) -> bool:
    """Two mentions are one lesion when one names no place, or when sides agree and one region holds the other."""
    if not new or not old:
        return True
    return any(
        (a.side is b.side or a.side is None or b.side is None or Side.BILATERAL in (a.side, b.side))
        and (lexicon.is_a(a.region, b.region) or lexicon.is_a(b.region, a.region))
        for a in new
        for b in old
    )


def names_another(named: Sequence[Place], last: Finding, findings: Sequence[Finding], lexicon: Lexicon) -> bool:
    """Whether the lesion meant is an earlier one than the last, or across from it (in one region, a contradiction)."""
    of_last = _brain([last])
    if same_lesion(named, of_last, lexicon):
        return False
    earlier = (_brain([finding]) for finding in findings if finding.is_lesion)
    anywhere = [replace(place, side=None) for place in of_last]
    across = {_side_of(named), _side_of(of_last)} == {Side.LEFT, Side.RIGHT}
    return (across and not same_lesion(named, anywhere, lexicon)) or any(
        old and same_lesion(named, old, lexicon) for old in earlier
    )


def _lesion(group: Sequence[int], findings: Sequence[Finding], lexicon: Lexicon) -> ReportedLesion:
    own = [findings[i] for i in group]
    later = _brain(finding for finding in own if finding.anaphora)
    # else "The mass lies in the left thalamus" after "A mass is seen."
    places = _brain([finding for finding in own if not finding.anaphora or finding.extends] or own[:1]) or later
    if not places:  # "suspicious for recurrence": the operated place; "underlying mass": that of the haemorrhage
        near = (
            f
            for n, f in enumerate(findings)
            if (n < group[0] and (f.kind == "postoperative" or (f.historical and f.section.speaks_of_today)))
            or (
                any(f.sentence == finding.sentence for finding in own)
                and f.certainty is not Certainty.ABSENT
                and (f.role == "part" or f.kind == "postoperative" or (n < group[0] and f.role == "other"))
            )
        )
        hosts = [finding for finding in near if not finding.outside and _brain([finding])]
        places = [replace(place, stated=False) for place in _brain(hosts[-1:])]
    elif not any(place.side for place in places) and (side := _side_of(later)) is not None:
        places = [replace(place, side=side, stated=False) for place in places]
    several = any(finding.several for finding in own)
    kept = finest(places, lexicon, several)
    sizes = [finding.size for finding in own if finding.size is not None]
    return ReportedLesion(
        places=kept,
        side=_side_of(kept),
        certainty=max((finding.certainty for finding in own), key=lambda certainty: certainty.weight),
        size=max(sizes, key=lambda size: (len(size.diameters_mm), max(size.diameters_mm)), default=None),
        several=several,
        findings=tuple(group),
    )


def _brain(findings: Iterable[Finding]) -> list[Place]:
    return [place for finding in findings for place in finding.places if place.role == "brain"]


def _side_of(places: Sequence[Place]) -> Side | None:
    side = joint_side(place.side for place in places)
    return None if side is Side.MIDLINE and any(place.side is None for place in places) else side


def _explained_by_impression(findings: Sequence[Finding]) -> bool:
    """The impression names another cause (aneurysm, infarct) and no lesion, and no tumour was named before."""
    impression = [
        f for f in findings if f.section is Section.IMPRESSION and _of_today(f) and f.certainty is not Certainty.ABSENT
    ]
    lesions = [f for f in findings if f.is_lesion]
    return (
        any(f.role == "other" for f in impression)
        and not any(f.role in ("tumour", "lesion") for f in impression)
        and not any(f.role == "tumour" for f in lesions)
    )


def _nothing_here(
    findings: Sequence[Finding], lesions: Sequence[ReportedLesion], lexicon: Lexicon
) -> tuple[Place, ...]:
    """Brain places called normal, or where a lesion is denied; never one that a lesion touches."""
    denied = [
        place
        for finding in findings
        if _of_today(finding)
        and (
            (finding.role == "normal" and finding.certainty is Certainty.PRESENT)
            or (finding.role in ("tumour", "lesion", "signal") and finding.certainty is Certainty.ABSENT)
        )
        for place in finding.places
        if place.role == "brain" and place.region in lexicon.regions
    ]
    ill = [place for lesion in lesions for place in lesion.places]
    return tuple(place for place in _each_once(denied) if not any(_overlap(place, other, lexicon) for other in ill))


def _overlap(a: Place, b: Place, lexicon: Lexicon) -> bool:
    sides = {a.side, b.side}
    apart = sides == {Side.LEFT, Side.RIGHT}
    return not apart and (lexicon.is_a(a.region, b.region) or lexicon.is_a(b.region, a.region))


def _flags(reading: Reading) -> tuple[str, ...]:
    flags = []
    if not reading.text.strip():
        flags.append("no text")
    elif not reading.findings:
        flags.append("not understood")
    elif not reading.lesions:
        past = any(
            f.role in ("tumour", "lesion") and f.historical and not f.outside and f.certainty is not Certainty.ABSENT
            for f in reading.findings
        )
        flags.append("history only" if past else "no lesion")
    else:
        if all(lesion.side is None for lesion in reading.lesions):
            flags.append("no side")
        if not any(place.region not in ("cerebrum", "brain") for lesion in reading.lesions for place in lesion.places):
            flags.append("no region")
        if reading.tumour is not Certainty.PRESENT:
            flags.append("uncertain")
    if _contradicts(reading):
        flags.append("contradictory side")
    return tuple(flags)


def _contradicts(reading: Reading) -> bool:
    """A part of the tumour, or a later mention of it, is put on the other side with a word of its own.

    So it is where the findings tell of one side alone and the impression of the other alone.
    """
    side = reading.side
    told = {
        section: {
            place.side
            for finding in reading.findings
            if finding.is_lesion and finding.section is section
            for place in finding.places
            if place.role == "brain" and place.stated
        }
        for section in (Section.FINDINGS, Section.IMPRESSION)
    }
    first, last = told.values()
    if len(first) == len(last) == 1 and first | last == {Side.LEFT, Side.RIGHT}:
        return True
    if side not in (Side.LEFT, Side.RIGHT):
        return False
    lesion_words = {i for lesion in reading.lesions for i in lesion.findings}
    return any(
        place.side is side.opposite and place.stated and place.role == "brain"
        for index, finding in enumerate(reading.findings)
        if (index in lesion_words or finding.role == "part")
        and finding.certainty is not Certainty.ABSENT
        and _of_today(finding)
        for place in finding.places
    )
