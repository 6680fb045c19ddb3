"""Plain folders, BraTS folders, BIDS folders: a folder a patient, or many patients' files side by side.

BraTS 2018 to 2025 differ in spelling only (`_t1ce`, `-t1c`, bare `t1c`), and `annofree.modality` knows spellings. Every
folder that holds an image gives a case, be it one that fails with a sentence when it is read.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from annofree.errors import InputError
from annofree.formats.case import Case, case_of_files, is_a_map
from annofree.formats.dicom.files import zip_holds
from annofree.formats.names import (
    GENERIC,
    ImageName,
    by_programs,
    folder_rank,
    is_map_folder,
    is_volume,
    known_case_of,
    map_certainty,
    read_name,
    stem_of,
    truth_rank,
    words_of,
)
from annofree.formats.nifti import holds_labels
from annofree.formats.outfolder import is_ours
from annofree.formats.repeats import SERIES, Numbered, numbered_behind, numbered_in_front, series_or_patients
from annofree.formats.standing import refuse_unsettled
from annofree.modality import Modality, read_words
from annofree.processes import side_by_side

#: Folders of BIDS that never hold one of our sequences.
_BIDS_OTHERS = frozenset("func dwi fmap perf meg eeg ieeg beh pet micr nirs mrs".split())  # noqa: SIM905
#: Folders of a BIDS data set that hold its persons again, under other names.
_BIDS_BESIDE = frozenset({"derivatives", "sourcedata"})
#: Letters that may be initials as well as a contrast agent's short name; words such as post or contrast are not.
_NO_INITIALS = re.compile(r"post|pre|contr|enhan|gado|nativ", flags=re.IGNORECASE)
#: Names of files that are maps and nothing else.
_A_MAP = re.compile(r"_(dseg|probseg)$|brain_?mask$", flags=re.IGNORECASE)


def recognises(folder: Path) -> bool:
    """Any folder may hold patients: this layout is asked last."""
    return folder.is_dir()


def find(folder: Path, *, leave_out: frozenset[Path] = frozenset()) -> list[Case]:
    """All cases below a folder; links are followed, each folder is read once, and our own output is passed over.

    `leave_out` are folders that another layout has read.
    """
    return _walk(folder, {}, leave_out)


def _walk(folder: Path, seen: dict[str, Path], leave_out: frozenset[Path]) -> list[Case]:
    real = os.path.realpath(folder)
    if real in seen or folder in leave_out or (seen and is_ours(folder)):
        return []
    seen[real] = folder
    try:
        refuse_unsettled(folder)
        files, subfolders = _entries(folder)
    except InputError as problem:
        return [Case(_name(folder), folder, problem=problem)]
    except OSError as error:
        why, fix = error.strerror or type(error).__name__, "Check its permissions, or leave it out"
        return [_unusable(folder, "A folder cannot be read", why, fix)]
    found = _here(folder, files) or _packed(folder)
    bids = (folder / "dataset_description.json").is_file() and any(sub.name.startswith("sub-") for sub in subfolders)
    for sub in sorted(subfolders, key=lambda sub: bids and sub.name in _BIDS_BESIDE):
        again = seen.get(os.path.realpath(sub))
        if again is not None and sub.is_symlink() and not _is_inside(folder, again) and _holds_volumes(sub):
            what = "A folder was taken already under another name"
            found.append(_unusable(sub, what, f"it links to {again}", "Remove one"))
            continue
        below = _walk(sub, seen, leave_out)
        if bids and sub.name in _BIDS_BESIDE:
            raw = {_person(case, folder) for case in found if case.images}
            below = [case for case in below if not raw or _person(case, folder) not in {*raw, ""}]
        found += below
    found = _joined_sequences(folder, subfolders, found)
    return [case for case in found if not _is_beside_the_point(case, found)]


def _packed(folder: Path) -> list[Case]:
    """Zip archives of scans among patients' folders, each a case that says what to do."""
    archives = (path for path in sorted(folder.glob("*.[zZ][iI][pP]")) if path.is_file())
    held = {path: zip_holds(path, unpacked_beside=False) for path in archives}
    what = "An archive among folders is not opened"
    fix = {"DICOM": "Name it itself: annofree segment takes a zip of DICOM"}
    return [
        replace(_unusable(path, what, f"it holds {words}", fix.get(words, "Unpack it")), folder=folder, id=path.stem)
        for path, words in held.items()
        if words is not None
    ]


def _person(case: Case, folder: Path) -> str:
    """Whom a case of BIDS is of; empty where no folder says it."""
    return next((part for part in case.folder.relative_to(folder).parts if part.startswith("sub-")), "")


def _joined_sequences(folder: Path, subfolders: list[Path], found: list[Case]) -> list[Case]:
    """Cases with the sequences of one visit together, where each lies in a folder that is called after it.

    `P1/1_T1/NIFTI/T1.nii.gz` beside `P1/4_FLAIR/NIFTI/FLAIR.nii.gz`, and `T1/p1.nii.gz` beside `FLAIR/p1.nii.gz`.
    """
    spoken = {sub: read_words(sub.name).sequence for sub in subfolders}
    kinds = {sequence for sequence in spoken.values() if sequence}
    if len(kinds) < 2:
        return found
    groups: dict[str, list[tuple[Modality, Path, Case]]] = {}
    numbers: dict[Path, Numbered] = {}
    for case in found:
        sub = next((sub for sub, sequence in spoken.items() if sequence and case.folder.is_relative_to(sub)), None)
        images = [path for _, path in case.files]
        said = {kind for kind, _ in case.images}
        alone = len(images) == 1 or (len(said) == 1 and len(images) == len(case.images))
        if sub is None or not alone or case.problem is not None or case.doubts:
            continue
        sequence = spoken[sub]
        if sequence is Modality.T1C and said == {Modality.T1}:  # `T1C/T1.nii.gz`: the folder says more
            said = {sequence}
        if sequence is None or said - {sequence}:
            continue
        if not said and kinds <= {Modality.T1, Modality.T2}:  # as likely two points in time
            continue
        name = read_name(images[0].name, known_case_of(stem_of(images[0].name), case.folder))
        own = name.case if case.images else stem_of(images[0].name)
        group = read_name(sub.name).case
        if (number := SERIES.fullmatch(group)) and len(images) == 1:
            numbers[images[0]] = Numbered(int(number[1]), sub.name[len(read_name(sub.name).prefix) :].lower())
        above = case.folder.relative_to(sub).parts
        parts = (
            "" if SERIES.fullmatch(group) else group,
            *(part for part in (*above, own) if part.lower() not in GENERIC),
        )
        key = "_".join(part for part in parts if part)
        groups.setdefault(key, []).extend((sequence, path, case) for path in images)
    groups = {key: members for key, members in groups.items() if len({kind for kind, _, _ in members}) > 1}
    names = {key: _name(folder) if len(groups) == 1 else key or _name(folder) for key in groups}
    again = {case.id for case in found if case.folder == folder}  # the same images, not in folders of their own
    groups = {key: members for key, members in groups.items() if names[key] not in again}
    joined = []
    for key, members in groups.items():
        cases = list({id(case): case for _, _, case in members}.values())
        joined.append(
            Case(
                names[key],
                folder,
                tuple((kind, path) for kind, path, _ in members),
                brain_mask=next((case.brain_mask for case in cases if case.brain_mask), None),
                truths=tuple(sorted(truth for case in cases for truth in case.truths)),
                ignored=tuple(path for case in cases for path in case.ignored),
                remarks=(
                    *(remark for case in cases for remark in case.remarks),
                    "Each sequence lay in its own folder.",
                ),
                series=tuple((path, numbers[path]) for _, path, _ in members if path in numbers),
            )
        )
    taken = {id(case) for members in groups.values() for _, _, case in members}
    return [*(case for case in found if id(case) not in taken), *joined]


def _unusable(
    folder: Path, what: str, why: str, fix: str, files: Iterable[Path] = (), concerned: Path | None = None
) -> Case:
    """A case that says why it is none when it is read; the error names the file concerned, or the folder."""
    problem = InputError(what, file=concerned or folder, why=why, fix=fix)
    return Case(_name(folder), folder, unnamed=tuple(files), problem=problem)


def _is_inside(folder: Path, other: Path) -> bool:
    return os.path.realpath(folder).startswith(os.path.realpath(other))


def _holds_volumes(folder: Path) -> bool:
    try:
        return any(is_volume(Path(name)) for name in os.listdir(folder))
    except OSError:
        return False


def _is_beside_the_point(case: Case, found: list[Case]) -> bool:
    """A BIDS folder such as `dwi` is no loss where its subject gives a scan."""
    others = case.folder.name.lower() in _BIDS_OTHERS and not case.images
    return others and any(scan.images and scan.folder.parent == case.folder.parent for scan in found)


def _here(folder: Path, files: list[Path]) -> list[Case]:
    """The cases of the files that lie directly in a folder."""
    known = _known_cases(folder, files)
    pictures = [path for path in files if not is_a_map(path, known[path])]
    if pictures and is_map_folder(folder.name):  # `seg/P1.nii.gz`: labels, unless their voxels say otherwise
        grey = [path for path, are in zip(pictures, side_by_side(holds_labels, pictures), strict=True) if not are]
        if len(grey) < len(pictures) and all(holds_labels(path, unreadable=True) for path in grey):
            return []
    if not pictures:
        # Called maps, all of them: one that holds grey levels is a patient with an unlucky name, and not to be lost.
        grey = [
            path for path in files if not _A_MAP.search(stem_of(path.name)) and not holds_labels(path, unreadable=True)
        ]
        if not grey:
            return []
        what, why = (
            "A file is called a mask or a label map, and holds grey levels",
            "there is no other image in its folder",
        )
        fix = "Rename it if it is an image (t1, t1ce, t2, flair), or segment it alone with --sequence"
        return [replace(_unusable(folder, what, why, fix, grey, grey[0]), ignored=tuple(files))]
    names = {path: read_name(path.name, known[path]) for path in pictures}
    telling = {path: name for path, name in names.items() if name.sequence or name.doubt}
    if telling:
        return _scans(folder, files, telling, known, pictures)
    rest = [path for path in pictures if not names[path].other]
    if not rest:
        shown = ", ".join(path.name for path in pictures[:3])
        fix = "Add one of them, or segment a single file with --sequence"
        return [_unusable(folder, "A folder holds no T1, T1C, T2 or FLAIR", f"its images are {shown}", fix, pictures)]
    if len(rest) == 1:
        return [case_of_files(_name(folder), folder, files, known_case=known[rest[0]], images=pictures)]
    # Names that tell no sequence: one scan a file, for --sequence to name.
    return [Case(stem_of(path.name), folder, unnamed=(path,)) for path in rest]


def _known_cases(folder: Path, files: list[Path]) -> dict[Path, str]:
    """The part of each name that is known to be an id: the folder's name, or what several sequences share."""
    known = {path: known_case_of(stem_of(path.name), folder) for path in files}
    names = {path: read_name(path.name, known[path]) for path in files}
    for path, name in names.items():
        if not name.doubt or not re.search(r"\d", name.prefix) or _NO_INITIALS.search(name.prefix):
            continue
        same = [other for other in names.values() if other is not name and other.prefix == name.prefix]
        if any(set(other.possible or (other.sequence,)) - set(name.possible) for other in same):
            known[path] = name.prefix
    return known


def _scans(
    folder: Path,
    files: list[Path],
    telling: dict[Path, ImageName],
    known: dict[Path, str],
    pictures: list[Path],
) -> list[Case]:
    if all(name.trailing and not name.case for name in telling.values()):  # `T1_P01`, `FLAIR_P01`
        telling = {path: replace(name, case=name.trailing) for path, name in telling.items()}
    remarks: tuple[str, ...] = ()
    if series := numbered_in_front(folder, telling):
        telling = {path: replace(name, case="") for path, name in telling.items()}
        remarks = ("The numbers in front of the files' names are taken for those of series.",)
    cases = {name.case for name in telling.values() if name.case}
    if len(cases) <= 1:
        case = next(iter(cases), "")
        says_nothing = folder.name.lower() in GENERIC or folder.name.lower().startswith("ses-")
        scan_id = case if says_nothing and case.lower().startswith("sub-") else _name(folder)
        scan = _sorted_out(scan_id, folder, files, known, pictures)
        series = series or numbered_behind(telling)
        return [replace(scan, remarks=(*scan.remarks, *remarks), series=tuple(series.items()))]
    if series_or_patients(telling):
        shown = sorted(path.name for path in telling)
        what = "The numbers in the names of a folder's files may be those of series or of patients"
        fix = "Put each patient's files into a folder of their own, and keep one of a repeated series"
        return [
            _unusable(folder, what, f"{shown[0]} and {shown[1]}, and each number has one image", fix, sorted(telling))
        ]
    if not _share_a_sequence(telling):
        shown = sorted(cases)
        what = "The files of one folder seem to belong to different patients or visits"
        fix = "Put each patient's files into a folder of their own, or give them one beginning"
        return [_unusable(folder, what, f"their names speak of {shown[0]} and {shown[1]}", fix, sorted(telling))]
    members: dict[str, list[Path]] = {name.case: [] for name in telling.values()}
    by_length = sorted((case for case in members if case), key=len, reverse=True)
    for path in files:
        stem = stem_of(path.name)
        if path in telling:
            members[telling[path].case].append(path)
        elif owner := next((case for case in by_length if _belongs(stem, case)), None):
            members[owner].append(path)
        elif path in pictures and not read_name(path.name, known[path]).other:
            members[stem] = [path]
    return [
        _sorted_out(case or _name(folder), folder, paths, known, pictures) for case, paths in sorted(members.items())
    ]


def _sorted_out(scan_id: str, folder: Path, files: list[Path], known: dict[Path, str], pictures: list[Path]) -> Case:
    shared = {known[path] for path in files}
    return case_of_files(scan_id, folder, files, known_case=shared.pop() if len(shared) == 1 else None, images=pictures)


def _share_a_sequence(telling: dict[Path, ImageName]) -> bool:
    """Whether two cases have an image of one sequence: then the folder holds several patients."""
    pairs = {(name.case, kind) for name in telling.values() for kind in (name.sequence, *name.possible) if kind}
    return max(Counter(kind for case, kind in pairs if case).values()) > 1


def _entries(folder: Path) -> tuple[list[Path], list[Path]]:
    """Volume files and folders; a link that leads nowhere counts as a file, so that its patient is not lost."""
    files, subfolders = [], []
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.name.startswith("."):
            continue
        try:
            is_folder = entry.is_dir()
        except OSError:
            is_folder = False
        if is_folder:
            subfolders.append(Path(entry.path))
        elif is_volume(Path(entry.name)):
            files.append(Path(entry.path))
    return files, subfolders


def _name(folder: Path) -> str:
    """What a folder calls its patient: the nearest name upwards that says something."""
    absolute = folder.absolute()
    places = [part.name for part in (absolute, *absolute.parents) if part.name]
    return next((name for name in places if name.lower() not in GENERIC), places[0] if places else "scan")


def _belongs(stem: str, case: str) -> bool:
    return stem == case or (stem.startswith(case) and not stem[len(case)].isalnum())


def _anothers(rest: str) -> bool:
    """Whether what follows an id in a label map's name says another visit or patient: `p1_2_seg` is not of `p1`."""
    words = [word for word in re.split(r"[-_. ]+", rest) if word]
    before = words[: next((i for i, word in enumerate(words) if truth_rank(word) is not None), len(words))]
    return any(re.fullmatch(r"\d+[a-z]?|(ses|tp|timepoint|visit|run)\d*", word, re.IGNORECASE) for word in before)


def _says_no_patient(name: str) -> bool:
    return name.lower() in GENERIC or is_map_folder(name)


def find_truths(folder: Path, scan_id: str) -> list[tuple[int, Path]]:
    """Label maps for a scan below a folder: beside its images, in a folder of its name, or named after it."""
    return _truths(folder, scan_id, set())


def _truths(folder: Path, scan_id: str, seen: set[str]) -> list[tuple[int, Path]]:
    real = os.path.realpath(folder)
    if real in seen:
        return []
    seen.add(real)
    try:
        files, subfolders = _entries(folder)
    except OSError:
        return []
    found: list[tuple[int, Path]] = []
    here = folder.absolute()
    of_maps = is_map_folder(folder.name)
    owners = {here.name, here.parent.name} if of_maps else {here.name}
    owners.add(next((at.name for at in (here, *here.parents) if not _says_no_patient(at.name)), here.name))
    for path in files:
        stem = stem_of(path.name)
        known = scan_id if _belongs(stem, scan_id) else ""
        if known and _anothers(stem[len(scan_id) :]):
            continue
        rank = truth_rank(path.name, known)
        bare = stem == scan_id
        if of_maps and map_certainty(path.name, known) == "no":  # `seg/P1_flair`
            bare = bare or read_name(path.name, known).start == len(known) + 1
        if known and rank is None and bare:
            rank = folder_rank(folder.name)
        if rank is not None and (known or scan_id in owners):
            found.append((rank, path))
    for sub in subfolders:
        if not by_programs(words_of(sub.name, scan_id)):
            found += _truths(sub, scan_id, seen)
    return found
