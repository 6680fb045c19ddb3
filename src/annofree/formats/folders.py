"""Plain folders, BraTS folders, BIDS folders: a folder a patient, or many patients' files side by side.

BraTS 2018 to 2025 differ in spelling only (`_t1ce`, `-t1c`, bare `t1c`), and `annofree.modality` knows spellings. Every
folder that holds an image gives a case, be it one that fails with a sentence when it is read.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from annofree.errors import InputError
from annofree.formats.case import Case, NamedFile, case_of_files, of_one_visit
from annofree.formats.dicom.files import zip_holds
from annofree.formats.joined import joined_sequences, without_others
from annofree.formats.names import (
    GENERIC,
    ImageName,
    anothers,
    belongs,
    by_programs,
    folder_rank,
    is_map_folder,
    is_volume,
    name_of_folder,
    own_part,
    read_name,
    stem_of,
    words_of,
)
from annofree.formats.nifti import holds_labels
from annofree.formats.outfolder import is_ours
from annofree.formats.repeats import numbered_behind, numbered_in_front, of_two_visits, series_or_patients
from annofree.formats.standing import refuse_unsettled
from annofree.formats.tissue_maps import tissues_of
from annofree.formats.visits import another_visit, visit_of, visits_in
from annofree.modality import Modality
from annofree.processes import side_by_side

#: What annofree calls its answers.
_ANSWER = re.compile(r"sub-.+_space-[A-Za-z0-9]+_(label-.+_)?desc-.+_(mask|dseg|probseg)\.nii\.gz")
#: Folders of BIDS that never hold one of our sequences.
_BIDS_OTHERS = frozenset("func dwi fmap perf meg eeg ieeg beh pet micr nirs mrs".split())  # noqa: SIM905
#: Folders of a BIDS data set that hold its persons again, under other names.
_BIDS_BESIDE = frozenset({"derivatives", "sourcedata"})
#: Letters that may be initials as well as a contrast agent's short name; words such as post or contrast are not.
_NO_INITIALS = re.compile(r"post|pre|contr|enhan|gado|nativ", flags=re.IGNORECASE)
#: Letters and a number at the end of a name, and no number of an echo or a run.
_ID_BEHIND = re.compile(r"[-_. ](?!(?:e|echo|r|run|rep)\d)[A-Za-z]+\d+[A-Za-z]?$", flags=re.IGNORECASE)
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
        return [Case(name_of_folder(folder), folder, problem=problem)]
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
        if by_programs(words_of(sub.name)) and any(case.images and case.folder == folder for case in found):
            continue  # the scan again, as a program took it
        below = _walk(sub, seen, leave_out)
        if bids and sub.name in _BIDS_BESIDE:
            raw = {_person(case, folder) for case in found if case.images}
            below = [case for case in below if not raw or _person(case, folder) not in {*raw, ""}]
        found += below
    found = without_others(folder, joined_sequences(folder, subfolders, found))
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


def _unusable(
    folder: Path, what: str, why: str, fix: str, files: Iterable[Path] = (), concerned: Path | None = None
) -> Case:
    """A case that says why it is none when it is read; the error names the file concerned, or the folder."""
    problem = InputError(what, file=concerned or folder, why=why, fix=fix)
    return Case(name_of_folder(folder), folder, unnamed=tuple(files), problem=problem)


def _is_inside(folder: Path, other: Path) -> bool:
    return os.path.realpath(folder).startswith(os.path.realpath(other))


def _holds_volumes(folder: Path) -> bool:
    try:
        return any(is_volume(Path(name)) for name in os.listdir(folder))
    except OSError:
        return False


def _is_beside_the_point(case: Case, found: list[Case]) -> bool:
    """A BIDS folder such as `dwi` is no loss where its subject gives a scan."""
    if case.folder.parts[-2:] == ("mri", "orig") and not case.images:  # what FreeSurfer began with, as 001.mgz
        return any(scan.images and scan.folder == case.folder.parent for scan in found)
    others = case.folder.name.lower() in _BIDS_OTHERS and not case.images
    return others and any(scan.images and scan.folder.parent == case.folder.parent for scan in found)


def _here(folder: Path, paths: list[Path]) -> list[Case]:
    """The cases of the files that lie directly in a folder."""
    files = _looked_at(paths)
    pictures = [file for file in files if file.image]
    shown = [file.path for file in pictures]
    if shown and is_map_folder(folder.name):  # `seg/P1.nii.gz`: labels, unless their voxels say otherwise
        grey = [path for path, are in zip(shown, side_by_side(holds_labels, shown), strict=True) if not are]
        if len(grey) < len(shown) and all(holds_labels(path, unreadable=True) for path in grey):
            return []
    if not pictures:
        # Called maps, all of them: one that holds grey levels is a patient with an unlucky name, and not to be lost.
        grey = [
            path for path in paths if not _A_MAP.search(stem_of(path.name)) and not holds_labels(path, unreadable=True)
        ]
        if not grey:
            return []
        what, why = (
            "A file is called a mask or a label map, and holds grey levels",
            "there is no other image in its folder",
        )
        fix = "Rename it if it is an image (t1, t1ce, t2, flair), or segment it alone with --sequence"
        return [replace(_unusable(folder, what, why, fix, grey, grey[0]), ignored=tuple(paths))]
    telling = {
        file.path: replace(file.name, case=file.id_behind[1:] or file.name.case)
        for file in pictures
        if file.name.sequence or file.name.doubt
    }
    if telling:
        return _scans(folder, files, telling)
    rest = [file for file in pictures if not file.name.other]
    if not rest:
        names = ", ".join(path.name for path in shown[:3])
        fix = "Add one of them, or segment a single file with --sequence"
        return [_unusable(folder, "A folder holds no T1, T1C, T2 or FLAIR", f"its images are {names}", fix, shown)]
    if len(rest) == 1:
        return [case_of_files(name_of_folder(folder), folder, files)]
    # Names that tell no sequence: one scan a file, for --sequence to name.
    return [Case(stem_of(file.path.name), folder, unnamed=(file.path,)) for file in rest]


def _looked_at(paths: Iterable[Path]) -> list[NamedFile]:
    """The files of a folder; what is known of their ids is what their folders are called, or what several share."""
    files = [NamedFile.at(path) for path in paths]

    def shares_its_beginning(file: NamedFile) -> bool:
        name = file.name
        if not name.doubt or not re.search(r"\d", name.prefix) or _NO_INITIALS.search(name.prefix):
            return False
        same = (other.name for other in files if other is not file and other.name.prefix == name.prefix)
        return any(set(other.possible or (other.sequence,)) - set(name.possible) for other in same)

    files = _with_ids_behind(files)
    return [NamedFile(file.path, file.name.prefix) if shares_its_beginning(file) else file for file in files]


def _with_ids_behind(files: list[NamedFile]) -> list[NamedFile]:
    """The files, with what stands behind several sequences alike as patients' ids: `T1_c1`, `T1ce_c1`, `FLAIR_c1`.

    One id alone is one where T1C has a name of its own: else `T1_c1` may be the one after contrast agent.
    """
    images = [file for file in files if file.map_certainty == "no" and (file.name.sequence or file.name.doubt)]
    matches = ((file.path, _ID_BEHIND.search(stem_of(file.path.name))) for file in images)
    ends = {path: match[0] for path, match in matches if match is not None and not visits_in(match[0])}
    cut = [replace(file, id_behind=ends.get(file.path, "")) for file in images]
    if not ends or any(f.name.sequence is None or f.name.case or not f.id_behind for f in cut):
        return files
    kinds = Counter((file.id_behind, file.name.sequence) for file in cut)
    several = Counter(end for end, _ in kinds)
    ids = {ends[file.path] for file in images if ends[file.path][1:] == file.name.trailing_id}
    alone = len(ids) == 1 and not any(kind is Modality.T1C for _, kind in kinds)
    if alone or ids != set(several) or max(kinds.values()) > 1 or min(several.values()) < 2:
        return files
    return [replace(file, id_behind=ends.get(file.path, "")) for file in files]


def _of_visits(folder: Path, telling: dict[Path, ImageName]) -> dict[Path, ImageName]:
    """Names whose case is of one visit, where two visits of a case each say so and have a sequence in common."""
    for case in {name.case for name in telling.values() if not visits_in(name.case)}:
        own = {path: name for path, name in telling.items() if name.case == case}
        said = {path: visit for path in own if (visit := visit_of(stem_of(path.name)))}
        first = case or name_of_folder(folder)
        apart = {path: replace(own[path], case=f"{first}_{visit}") for path, visit in said.items()}
        if len(said) == len(own) and of_two_visits(own, folder) and _share_a_sequence(apart):
            telling = telling | apart
    return telling


def _scans(folder: Path, files: list[NamedFile], telling: dict[Path, ImageName]) -> list[Case]:
    telling = _of_visits(folder, telling)
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
        scan_id = case if says_nothing and case.lower().startswith("sub-") else name_of_folder(folder)
        scan = of_one_visit(case_of_files(scan_id, folder, files))
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
    members: dict[str, list[NamedFile]] = {name.case: [] for name in telling.values()}
    by_length = sorted((case for case in members if case), key=len, reverse=True)
    for file in files:
        stem = stem_of(file.path.name)
        if file.path in telling:
            members[telling[file.path].case].append(file)
        elif owner := next((case for case in by_length if belongs(stem, case)), None):
            members[owner].append(file)
        elif file.image and not file.name.other:
            members[stem] = [file]
    own = name_of_folder(folder)
    return [of_one_visit(case_of_files(case or own, folder, found)) for case, found in sorted(members.items())]


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


def passed_over(folder: Path, scan_id: str) -> list[str]:
    """Label maps of a scan below a folder that are no truth, with what they are where it is not said by their names.

    Programs drew them, by their names or those of their folders, or they are of tissues, of a place in the head or of
    another visit.
    """
    found = []
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        words = [word for part in parts for word in words_of(part, scan_id)]
        if is_volume(path) and (own_part(stem_of(path.name), scan_id) or scan_id in (folder.name, *parts)):
            programs, file = by_programs(words) or "nnunet" in map(str.lower, words), NamedFile(path, scan_id)
            tissues = tissues_of(path) if file.rank is not None else ""
            passed = programs or (file.map_certainty == "yes" and not file.brain_mask)
            found += [f"{path}{f', {tissues}' if tissues else ''}"] if passed else []
    return found


def _against(drawn: dict[str, set[str]], seen: dict[str, set[str]]) -> dict[str, set[str]]:
    """What a drawing says of its visit beside images: `seg_v2` is its second version where these know no `v1`.

    `m1` beside `v1`, one number in two units, is one visit.
    """
    same = set().union(*(words for kind, words in seen.items() if kind.startswith("when")))
    return {
        kind: words
        for kind, words in drawn.items()
        if kind in seen or (kind != "whenv" and not (kind.startswith("when") and words <= same))
    }


def _of_a_visit(places: Iterable[_Place], scan_id: str) -> list[tuple[int, Path]]:
    """Label maps of one visit among those of several: `p1/seg_V1` of `p1_V1`, as `_of_visits` calls it."""
    cuts = (match.end() for match in re.finditer("_", scan_id))
    visit = next((scan_id[at:] for at in cuts if visit_of(scan_id[at:]) == scan_id[at:]), "")
    person = scan_id.removesuffix(visit)[:-1]
    found = []
    for _, files, owners, _, ours in places if visit else ():
        for path in (file.path for file in files if not file.known and not ours):
            own = NamedFile(path, own_part(stem_of(path.name), person))
            mine = (own.known or person in owners) and visit_of(own.behind) == visit
            found += [(own.rank, path)] if mine and own.rank is not None and not tissues_of(path) else []
    return found


_Place = tuple[Path, list[NamedFile], set[str], bool, bool]


def find_truths(folder: Path, scan_id: str) -> list[tuple[int, Path]]:
    """Label maps for a scan below a folder: beside its images, in a folder of its name, or named after it."""
    places = list(_places(folder, scan_id, set(), any(map(is_ours, folder.absolute().parents))))
    visits: list[dict[str, set[str]]] = []  # what the scan's images say of theirs
    for _, files, owners, *_ in places:
        images = (file for file in files if file.map_certainty == "no" and file.name.sequence)
        own = (f for f in images if scan_id in owners or (f.known and read_name(f.path.name).case == scan_id))
        visits += [visits_in(file.behind) for file in own]
    return [found for place in places for found in _truths(place, scan_id, visits)] or _of_a_visit(places, scan_id)


def _places(folder: Path, scan_id: str, seen: set[str], ours: bool) -> Iterator[_Place]:
    """Folders that may hold a scan's images and maps: files, whose they may be, whether it is of maps or annofree's."""
    real = os.path.realpath(folder)
    if real in seen:
        return
    seen.add(real)
    try:
        paths, subfolders = _entries(folder)
    except OSError:
        return
    here = folder.absolute()
    of_maps = is_map_folder(folder.name) and folder.name != scan_id  # a patient may be called `seg_001`
    owners = {here.name, here.parent.name} if of_maps else {here.name}
    telling = (at.name for at in (here, *here.parents) if at.name.lower() not in GENERIC and not is_map_folder(at.name))
    owners.add(next(telling, here.name))
    ours = ours or is_ours(folder)
    yield folder, [NamedFile(path, own_part(stem_of(path.name), scan_id)) for path in paths], owners, of_maps, ours
    for sub in subfolders:
        if not by_programs(words_of(sub.name, scan_id)):
            yield from _places(sub, scan_id, seen, ours)


def _truths(place: _Place, scan_id: str, visits: Iterable[dict[str, set[str]]]) -> Iterator[tuple[int, Path]]:
    """The label maps of a scan in one folder; `visits` is what its images say of theirs."""
    folder, files, owners, of_maps, ours = place
    for file in files:
        if ours and _ANSWER.fullmatch(file.path.name):  # no truth, and neither is a correction of it
            continue
        spoken = visits_in(file.behind)
        if any(another_visit(_against(spoken, visit), visit) for visit in visits):
            continue
        agreed = file.map_certainty != "no" and any(spoken.keys() & visit.keys() for visit in visits)
        other = anothers(file.behind) if file.known else ""
        if other == "other" or (other and not (agreed or scan_id in owners)):
            continue
        rank, bare = file.rank, not file.behind
        if of_maps and file.map_certainty == "no":  # `seg/P1_flair`
            bare = bare or file.name.start == len(file.known) + 1
        if file.known and rank is None and bare:
            rank = folder_rank(folder.name)
        if rank is not None and (file.known or scan_id in owners) and not tissues_of(file.path):
            yield rank + 9 * bool(other), file.path  # one of a visit counts where there is no other
