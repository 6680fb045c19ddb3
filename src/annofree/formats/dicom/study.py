"""Studies and their series: loose pictures sorted by patient, examination, series and volume."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from annofree.formats.dicom.files import Found
from annofree.formats.dicom.header import Frame
from annofree.formats.dicom.stack import Stack, Unusable, drop_double, normal_of, repeats, stack

#: Parts of an image type that make a picture another kind of picture.
_SEPARATING = {
    *("P", "PHASE", "PHASE MAP", "R", "REAL", "I", "IMAGINARY", "ADC", "EADC", "TRACEW", "FA", "DERIVED", "MPR", "MIP"),
    *("SWI", "MNIP", "SUBTRACTION", "LOCALIZER", "MOSAIC", "T1 MAP", "T2 MAP", "IN_PHASE", "OUT_PHASE", "WATER", "FAT"),
    *("OPP_PHASE", "IP", "OP", "W", "F"),
}


@dataclass(frozen=True, eq=False)
class Series:
    """One volume of a study, or why its pictures are none.

    Attributes:
        key: How the user names it: the series number, and `.2` where a number has several volumes.
        frames: Its pictures.
        stack: The pictures in order; None where they cannot be stacked.
        problem: Why not.
        repeat: Which of how many volumes at the same positions it is, from 1.
        notes: What was left out, in sentences.
    """

    key: str
    frames: tuple[Frame, ...]
    stack: Stack | None
    problem: str | None = None
    repeat: tuple[int, int] = (1, 1)
    notes: tuple[str, ...] = ()

    @property
    def first(self) -> Frame:
        """A picture that stands for all in what the series has in common."""
        return self.frames[0]

    @property
    def plane(self) -> str:
        """Axial, coronal, sagittal or oblique; "?" where the headers do not tell."""
        if self.first.orientation is None:
            return "?"
        cosines = np.abs(normal_of(self.first.orientation))
        name = ("sagittal", "coronal", "axial")[int(np.argmax(cosines))]
        return name if cosines.max() > 0.94 else f"oblique {name}"


@dataclass(frozen=True, eq=False)
class Study:
    """One examination of one person.

    Attributes:
        id: A name made from the study's UID, which tells nothing of the person.
        patient: 1 for the first person of the folder, and so on.
        visit: 1 for this person's first examination.
        days: Days since this person's first examination; None where dates are missing.
        series: Its volumes.
        root: The folder or archive that it came from.
        person: What identifies the patient; shown only if the user asks for it.
    """

    id: str
    patient: int
    visit: int
    days: int | None
    series: tuple[Series, ...]
    root: Path
    person: tuple[str, str, str]
    notes: tuple[str, ...] = ()


def find_studies(found: Found, root: Path) -> list[Study]:
    """Sort pictures into studies, by person and date."""
    frames, double = drop_double(found.frames)
    groups: dict[tuple[str, str], list[Frame]] = {}
    for frame in frames:
        groups.setdefault((person_key(frame), frame.study_uid), []).append(frame)
    persons: dict[str, list[tuple[str, list[Frame]]]] = {}
    for (person, uid), members in groups.items():
        persons.setdefault(person, []).extend((uid, visit) for visit in _visits(members))
    notes = []
    if double:
        notes.append(f"{double} pictures are there twice; each was taken once")
    if found.without_picture:
        notes.append(f"{found.without_picture} DICOM files cannot be read, are damaged or hold no picture")
    studies: list[Study] = []
    taken: dict[str, int] = {}
    # The order must not follow the alphabet of names: it follows time, then the UID. What holds no MR comes last, so
    # that a stripped DICOM SEG or report beside the pictures changes no name.
    ordered = sorted(persons.values(), key=lambda visits: (_no_mr(visits), min((v[1][0].when, v[0]) for v in visits)))
    for patient, visits in enumerate(ordered, 1):
        visits.sort(key=lambda visit: (visit[1][0].when, visit[0]))
        begun = visits[0][1][0].day
        for number, (uid, members) in enumerate(visits, 1):
            name = study_name(uid)
            taken[name] = taken.get(name, 0) + 1
            if taken[name] > 1:  # one UID for two persons or visits: a slip of some anonymisers
                name += f"-{taken[name]}"
            series = _series(members)
            days = _days(begun, members[0].day)
            studies.append(Study(name, patient, number, days, series, root, members[0].person, tuple(notes)))
    return studies


def _visits(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Pictures of one study UID by examination: some anonymisers give or leave all visits of a person one UID.

    An examination may go on past midnight; pictures without a date are of the first.
    """
    days = sorted({frame.day for frame in frames if frame.day})
    first: dict[str, str] = {}  # the first day of each day's examination
    for before, day in zip(["", *days], days, strict=False):
        gap = _days(before, day)
        first[day] = first[before] if before and gap in (None, 1) else day
    found: dict[str, list[Frame]] = {day: [] for day in dict.fromkeys(first.values())} or {"": []}
    for frame in frames:
        found[first.get(frame.day, next(iter(found)))].append(frame)
    return list(found.values())


def study_name(uid: str) -> str:
    """What a study is called, which tells nothing of the person."""
    return f"study-{_digest(uid)}"


def frame_name(uid: str) -> str:
    """What a frame of reference is called; nothing where there is none."""
    return f"frame-{_digest(uid)}" if uid else ""


def _digest(uid: str) -> str:
    return hashlib.sha256(uid.encode()).hexdigest()[:10]


def _no_mr(visits: Sequence[tuple[str, Sequence[Frame]]]) -> bool:
    return not any(frame.modality == "MR" for _, members in visits for frame in members)


def person_key(frame: Frame) -> str:
    """What tells one person from another: the id, else name and birth date; "|" where there is none of them."""
    number, name, born = frame.person
    return number.upper() or f"{name.upper().rstrip('^ ')}|{born}"


def _days(first: str, later: str) -> int | None:
    from datetime import datetime

    try:
        return (datetime.strptime(later[:8], "%Y%m%d") - datetime.strptime(first[:8], "%Y%m%d")).days
    except ValueError:
        return None


def _series(frames: Sequence[Frame]) -> tuple[Series, ...]:
    by_uid: dict[str, list[Frame]] = {}
    for frame in frames:
        by_uid.setdefault(frame.series_uid, []).append(frame)
    ordered = sorted(by_uid.values(), key=lambda group: (group[0].series_number is None, group[0].series_number or 0))
    found: list[Series] = []
    used: dict[str, int] = {}
    for group in ordered:
        number = group[0].series_number
        base = "0" if number is None else str(number)
        volumes = [
            (part, (place, len(same))) for same in map(repeats, _alike(group)) for place, part in enumerate(same, 1)
        ]
        for part, repeat in volumes:
            used[base] = used.get(base, 0) + 1
            key = base if used[base] == 1 else f"{base}.{used[base]}"
            found.append(_stacked(key, part, repeat))
    return tuple(found)


def _stacked(key: str, frames: Sequence[Frame], repeat: tuple[int, int]) -> Series:
    notes: list[str] = []
    try:
        try:
            return Series(key, tuple(frames), stack(frames), None, repeat)
        except Unusable:
            thinned = _without_copies(frames)
            if len(thinned) == len(frames):
                raise
            notes.append(f"{len(frames) - len(thinned)} slices are exact copies of others and were left out")
            return Series(key, tuple(thinned), stack(thinned), None, repeat, tuple(notes))
    except Unusable as why:
        return Series(key, tuple(frames), None, str(why), repeat, tuple(notes))


def _without_copies(frames: Sequence[Frame]) -> list[Frame]:
    """Frames without those that repeat another one's position and pixels under a UID of their own."""
    from annofree.formats.dicom.pixels import decode

    kept: dict[tuple[object, ...], Frame] = {}
    places = [None if frame.position is None else tuple(round(x, 2) for x in frame.position) for frame in frames]
    times = Counter(places)
    for frame, place in zip(frames, places, strict=True):
        key: tuple[object, ...] = (place, frame.uid, frame.index)
        if times[place] > 1:
            try:
                key = (place, hashlib.sha256(decode(frame.path, frame.index).tobytes()).hexdigest())
            except Exception:  # unreadable pixels are reported where the series is read
                return list(frames)
        kept.setdefault(key, frame)
    return list(kept.values())


def _alike(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Pictures of one series sorted by size, plane, echo and kind."""
    groups: list[list[Frame]] = []
    for frame in frames:
        home = next((group for group in groups if _same_kind(group[0], frame)), None)
        if home is None:
            groups.append([frame])
        else:
            home.append(frame)
    return groups


def _same_kind(a: Frame, b: Frame) -> bool:
    return (
        (a.rows, a.columns, a.samples) == (b.rows, b.columns, b.samples)
        and _near(a.spacing_mm, b.spacing_mm, 1e-3)
        and _near(a.orientation, b.orientation, 0.01)
        and (a.b_value or 0) == (b.b_value or 0)
        and abs((a.te_ms or 0) - (b.te_ms or 0)) < 1
        and (a.echo or 1) == (b.echo or 1)
        and _kinds(a) == _kinds(b)
    )


def _kinds(frame: Frame) -> frozenset[str]:
    return frozenset(frame.image_type) & _SEPARATING


def _near(a: Sequence[float] | None, b: Sequence[float] | None, tolerance: float) -> bool:
    if a is None or b is None:
        return a is b
    return all(abs(x - y) <= tolerance for x, y in zip(a, b, strict=True))
