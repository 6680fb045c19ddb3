"""Several images of one sequence in one folder: series that were repeated, and which of them is taken.

A series is repeated because the head moved, so the last one counts. Not so for T1: the same words may stand for the
image before and for the one after contrast agent, and only a named T1C in the folder tells them apart.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from annofree.formats.bids_names import run_of
from annofree.formats.names import ImageName, stem_of, words_of
from annofree.formats.nifti import coarsest_edge_mm
from annofree.formats.visits import another_visit, visits_in
from annofree.modality import Modality

_WORD = r"(?:s|se|ser|series|scan|anat)?[-_. ]?"
#: What stands in front of names where a converter wrote the number of the series.
SERIES = re.compile(rf"{_WORD}(\d{{1,4}})(?:\.0{{6}})?", flags=re.IGNORECASE)
#: The same with words in front that may be a patient's id.
_NUMBERED = re.compile(rf"(.*[-_. ])??{_WORD}\d{{1,4}}(?:\.0{{6}})?", flags=re.IGNORECASE)
#: Numbers behind, which are no years.
_BEHIND = re.compile(rf"(.*?)[-_. ]{_WORD}(?!(?:19|20)\d\d$)(\d{{1,4}})", flags=re.IGNORECASE)
#: What may be a patient's number as well: long ones, and such as `001` and `s01`.
_IDS = re.compile(r"\d{4}|0\d+|s0\d", flags=re.IGNORECASE)
#: In one examination hardly a sequence is taken more often than this: so many numbers are those of patients.
_MOST_REPEATS = 3
#: Words of an image in another form, whether that is the one to take, and what it is.
_TWINS = (
    (frozenset({"bias", "bfc", "n4", "n4itk", "biascorrected"}), False, "bias correction the one without"),
    (frozenset({"crop"}), False, "the neck cut off the one without"),
    (frozenset({"eq", "tilt"}), True, "slices put in their places the one with"),
)
#: Words of an image without its skull.
_STRIPPED = frozenset("bet hdbet brain stripped skullstripped ss synthstrip brainextracted".split())  # noqa: SIM905


@dataclass(frozen=True)
class Numbered:
    """The number of the series in an image's name, and the name without it."""

    number: int
    words: str


def numbered_in_front(folder: Path, names: Mapping[Path, ImageName]) -> dict[Path, Numbered]:
    """Images by the series' numbers in front of their names (`5_t1_mprage`, `9_t1_KM`); empty where there are none.

    Each file has a number of its own, and the files hold several sequences; two files with bare numbers may be two
    patients, and so may files with the same words behind what may be patients' numbers.
    """
    cases = {path: name.case.removeprefix(folder.name).strip("-_. ") for path, name in names.items()}
    matches = {path: SERIES.fullmatch(case) for path, case in cases.items()}
    found = {
        path: Numbered(int(match[1]), stem_of(path.name)[len(names[path].prefix) :].lower())
        for path, match in matches.items()
        if match is not None
    }
    if len(found) < len(names) or not _of_one_examination(found, names):
        return {}
    bare = any(case.isdigit() for case in cases.values())
    again = len({series.words for series in found.values()}) < len(found)
    ids = any(_IDS.fullmatch(case) for case in cases.values())
    if (bare and len(found) < 3) or (again and (ids or _most(names) > _MOST_REPEATS)):
        return {}
    return found


def numbered_behind(names: Mapping[Path, ImageName]) -> dict[Path, Numbered]:
    """Images by the series' numbers at the end of their names (`P1_t1_mprage_5`); empty where not all have one."""
    matches = {path: _BEHIND.fullmatch(stem_of(path.name)) for path in names}
    found = {path: Numbered(int(match[2]), match[1].lower()) for path, match in matches.items() if match is not None}
    return found if len(found) == len(names) and _of_one_examination(found, names) else {}


def series_or_patients(names: Mapping[Path, ImageName]) -> bool:
    """Whether the numbers in names may be those of series as well as of patients: each has one image, of few kinds.

    Names of BIDS say whose an image is.
    """
    if any(path.name.startswith("sub-") for path in names):
        return False
    beginnings = {match[1] if (match := _NUMBERED.fullmatch(name.case)) else name.case for name in names.values()}
    kinds = {name.sequence for name in names.values()}
    alone = len({name.case for name in names.values()}) == len(names)
    return alone and len(names) > 2 and len(beginnings) == 1 < len(kinds) and _most(names) <= _MOST_REPEATS


def _of_one_examination(found: Mapping[Path, Numbered], names: Mapping[Path, ImageName]) -> bool:
    numbers = {series.number for series in found.values()}
    return len(numbers) == len(found) and len({name.sequence for name in names.values()}) > 1


def _most(names: Mapping[Path, ImageName]) -> int:
    return max(Counter(name.sequence for name in names.values()).values())


def one_of_each(
    images: Iterable[tuple[Modality, Path]], series: Mapping[Path, Numbered], folder: Path, notes: list[str]
) -> list[tuple[Modality, Path]]:
    """Images with one of each sequence where their names say which counts; a sequence may stay twice where not.

    Of BIDS runs and of series with the same words the finest is taken, then the last, and a note says so.
    """
    images = list(images)
    found: list[tuple[Modality, Path]] = []
    heads = _with_brains(images)
    if heads and 2 * len(heads) == len(images):
        images = [image for image in images if image[1] not in heads]
        notes.append(
            f"Of images with and without skull those without were taken: not {', '.join(sorted(heads.values()))}."
        )
    for kind in dict.fromkeys(name for name, _ in images):
        paths = [path for name, path in images if name == kind]
        words = {series[path].words if path in series else path for path in paths}
        best, said = None, ""
        if len(paths) > 1 and all(path.name.startswith("sub-") for path in paths):
            best, said = _last(kind, {path: run_of(path.name) for path in paths}, "run")
        elif 1 < len(paths) <= _MOST_REPEATS and len(words) == 1:
            numbers = {path: series[path].number for path in paths}
            if kind is Modality.T1:
                agent = [series[path].number for name, path in images if name is Modality.T1C and path in series]
                numbers = {path: number for path, number in numbers.items() if agent and number < min(agent)}
            best, said = _last(kind, numbers, "series") if numbers else (None, "")
        elif len(paths) > 1:
            best, which = _without_twin(paths)
            said = f"Of {kind} with and without {which} was taken"
        if best is not None:
            others = ", ".join(below(folder, path) for path in paths if path != best)
            notes.append(f"{said}: {below(folder, best)}, not {others}.")
        found += [(kind, path) for path in (paths if best is None else [best])]
    return found


def of_two_visits(images: Iterable[Path], folder: Path) -> tuple[Path, Path] | None:
    """Two images whose names below a folder say different visits (`preop_FLAIR`, `postop_T1`); None if no two do."""
    said: list[tuple[Path, dict[str, set[str]]]] = []
    for path in images:
        own = visits_in(below(folder, path))
        if other := next((other for other, theirs in said if another_visit(own, theirs)), None):
            return other, path
        said.append((path, own))
    return None


def below(folder: Path, path: Path) -> str:
    """A file's name, with the folders between it and the scan's."""
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name


def _last(kind: Modality, order: Mapping[Path, int], what: str) -> tuple[Path, str]:
    edges = {path: coarsest_edge_mm(path) for path in order}
    when = " before contrast agent" if what == "series" and kind is Modality.T1 else ""
    own = {path: "_space-" not in path.name for path in order}  # others lie elsewhere than the rest of the scan
    best = min(order, key=lambda path: (not own[path], round(edges[path], 1), -order[path]))
    said = "one in its own space" if len(set(own.values())) > 1 else f"finest, then the last {what}{when}"
    return best, f"Of several {kind} the {said} was taken"


def _with_brains(images: Iterable[tuple[Modality, Path]]) -> dict[Path, str]:
    """Whole heads among images that each lie there without skull as well (`t1`, `t1_bet`), and what they are called."""
    spoken = {path: (kind, [word.lower() for word in words_of(path.name)]) for kind, path in images}
    plain = [
        (kind, [w for w in words if w not in _STRIPPED]) for kind, words in spoken.values() if _STRIPPED & {*words}
    ]
    return {path: path.name for path, told in spoken.items() if not _STRIPPED & {*told[1]} and plain.count(told) == 1}


def _without_twin(paths: list[Path]) -> tuple[Path | None, str]:
    """Of one image in two forms the one that counts, and what to say of it.

    The one as it was taken, and not the one with its shading evened out (`T1`, `T1_bias`) or its neck cut off
    (`T1_Crop_1`); the one whose slices dcm2niix put in their places (`T1_Eq_1`, `T1_Tilt_1`), and not the other.
    """
    spoken = {path: [word.lower() for word in words_of(path.name)] for path in paths}
    for added, takes, said in _TWINS:
        plain = {path: [word for word in words if word not in added] for path, words in spoken.items()}
        changed = [path for path in paths if spoken[path] != plain[path]]
        # dcm2niix numbers what it adds
        own = {tuple(w[:-1] if path in changed and w[-1:] == ["1"] else w) for path, w in plain.items()}
        chosen = changed if takes else [path for path in paths if path not in changed]
        if len(chosen) == 1 and len(own) == 1 < len(paths):
            return chosen[0], said
    return None, ""
