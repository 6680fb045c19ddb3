"""Which scans of results folders are two examinations of one person, and which came first."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from annofree.errors import AnnofreeError, InputError, some
from annofree.formats.bids_names import participant_of
from annofree.formats.stored import no_results, written_ids
from annofree.prepare.recipe import opened_again

#: Session names that come first of two; nothing else but numbers is put in order by itself.
_FIRST = frozenset({"baseline", "bl", "first", "initial", "pre", "preop"})


@dataclass(frozen=True)
class Visit:
    """A segmented scan."""

    folder: Path
    scan_id: str


def find_pairs(before: Path, after: Path | None, named: Sequence[tuple[str, str]] = ()) -> list[tuple[Visit, Visit]]:
    """Earlier and later visits; without a folder of later ones, the sessions of each subject, each with the next.

    Pairs that are named, earlier id first, are all.

    Raises:
        InputError: There is no pair, or nobody can tell which scan belongs to which, or came first.
    """
    later = before if after is None else after
    known = written_ids(before), written_ids(later)
    for folder, ids in zip((before, later), known, strict=True):
        if not ids:
            raise no_results(folder)
    if named:
        for pair in named:
            for scan_id, folder, ids in zip(pair, (before, later), known, strict=True):
                if scan_id not in ids:
                    why = f"it holds {', '.join(ids[:5])}"
                    raise InputError(f"There is no segmentation of '{scan_id}'", file=folder, why=why)
        return [(Visit(before, one), Visit(later, other)) for one, other in named]
    if after is None:
        return _sessions(before, known[0])
    found = _between(before, after, *known)
    if not found:
        raise InputError(
            "No scan of the one folder belongs to one of the other",
            why=f"{some(known[0])} in {before.name}, {some(known[1])} in {after.name}",
            fix="Name them with --pair EARLIER=LATER",
        )
    return [(Visit(before, one), Visit(after, other)) for one, other in found]


def _between(before: Path, after: Path, earlier: Sequence[str], later: Sequence[str]) -> list[tuple[str, str]]:
    """By id, else by person where both folders have one scan of each; a lone scan goes with a lone scan."""
    if len(earlier) == len(later) == 1:
        return [(earlier[0], later[0])]
    same = [(scan_id, scan_id) for scan_id in earlier if scan_id in later]
    rest = [scan_id for scan_id in earlier if scan_id not in later], [i for i in later if i not in earlier]
    first, second = (_by_person(ids, _examined(folder, ids)) for folder, ids in zip((before, after), rest, strict=True))
    lone = [label for label in first if len(first[label]) == len(second.get(label, ())) == 1]
    return same + [(first[label][0], second[label][0]) for label in lone]


def _sessions(folder: Path, ids: Iterable[str]) -> list[tuple[Visit, Visit]]:
    examined = _examined(folder, ids)
    of = _by_person(ids, examined)
    visits = [_in_order(folder, several, examined) for several in of.values() if len(several) > 1]
    if not visits:
        raise InputError(
            "No person of the folder is known to have two examinations",
            file=folder,
            why=f"it holds {some(tuple(ids))}",
            fix="Give two results folders, BEFORE and AFTER, or name the scans with --pair EARLIER=LATER",
        )
    return [
        (Visit(folder, one), Visit(folder, other)) for ordered in visits for one, other in itertools.pairwise(ordered)
    ]


def _in_order(folder: Path, ids: Sequence[str], examined: Mapping[str, tuple[str, str]]) -> list[str]:
    """Studies by their day; sessions by their number, or the one that is called a first one before the other."""
    days = {examined[scan_id][1] for scan_id in ids if scan_id in examined}
    if len(days) == len(ids) and all(map(str.isdecimal, days)):
        return sorted(ids, key=lambda i: examined[i][1])
    names = {scan_id: scan_id.rpartition("_ses-")[2] for scan_id in ids}
    numbered = {i: match for i, name in names.items() if (match := re.fullmatch(r"([A-Za-z]*)(\d+)", name))}
    if len(numbered) == len(ids) and len({match[1] for match in numbered.values()}) == 1:
        orders = _orders({i: match[2] for i, match in numbered.items()})
        if len(orders) == 1:
            return list(orders.pop())
    first = [i for i in ids if names[i].lower() in _FIRST]
    if len(ids) == 2 and len(first) == 1:
        return sorted(ids, key=lambda i: i not in first)
    raise InputError(
        f"Nobody can tell which session of '{participant_of(ids[0])}' came first",
        file=folder,
        why=f"{', '.join(ids)} have no days of their own" if days else f"they are called {', '.join(names.values())}",
        fix="Name them with --pair EARLIER=LATER",
    )


def _orders(digits: Mapping[str, str]) -> set[tuple[str, ...]]:
    """Every order that numbered sessions may have: of the days that they can be called by, else of the numbers."""
    number = {len(number) for number in digits.values()}
    year = "%Y" if number == {8} else "%y"
    forms = (f"{year}%m%d", f"%d%m{year}", f"%m%d{year}") if number in ({6}, {8}) else ()
    days = [found for form in forms if (found := _days(digits, form)) is not None]
    orders: list[Mapping[str, datetime] | Mapping[str, int]] = [*days] or [{i: int(n) for i, n in digits.items()}]
    return {tuple(sorted(digits, key=order.__getitem__)) for order in orders}


def _days(digits: Mapping[str, str], form: str) -> dict[str, datetime] | None:
    """The numbers as days of a calendar's form; None where one of them is none, or yet to come."""
    try:
        days = {i: datetime.strptime(number, form) for i, number in digits.items()}
    except ValueError:
        return None
    return days if all(day.year >= 1970 and day <= datetime.now() for day in days.values()) else None


def _by_person(ids: Iterable[str], examined: Mapping[str, tuple[str, str]]) -> dict[str, list[str]]:
    of: dict[str, list[str]] = {}
    for scan_id in ids:
        person = f"| {examined[scan_id][0]}" if scan_id in examined else participant_of(scan_id)
        of.setdefault(person, []).append(scan_id)
    return of


def _examined(folder: Path, ids: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Person and day of scans from DICOM, whose names tell nobody: from headers read again, kept nowhere."""
    found = {}
    for scan_id in ids:
        with suppress(AnnofreeError):  # its files are gone: names are left
            if (told := opened_again(folder, scan_id).examination(scan_id)) is not None:
                found[scan_id] = told
    return found
