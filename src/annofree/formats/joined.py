"""Sequences of one visit that lie in folders of their own, brought together: plain folders, XNAT's, BraTS to 2016's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from annofree.formats.case import Case, of_one_visit
from annofree.formats.names import GENERIC, known_case_of, name_of_folder, read_name, stem_of
from annofree.formats.repeats import SERIES, Numbered
from annofree.modality import Modality, read_words

Member = tuple[Modality, Path, Case]


def joined_sequences(folder: Path, subfolders: list[Path], found: list[Case]) -> list[Case]:
    """Cases with the sequences of one visit together, where each lies in a folder that is called after it.

    `P1/1_T1/NIFTI/T1.nii.gz` beside `P1/4_FLAIR/NIFTI/FLAIR.nii.gz`, and `T1/p1.nii.gz` beside `FLAIR/p1.nii.gz`.
    """
    spoken = _spoken(folder, subfolders, found)
    kinds = set(spoken.values())
    if len(kinds) < 2:
        return found
    groups: dict[str, list[Member]] = {}
    numbers: dict[Path, Numbered] = {}
    for case in found:
        sub = next((sub for sub in spoken if case.folder.is_relative_to(sub)), None)
        if sub is None or not _of_one_sequence(case, spoken[sub], kinds):
            continue
        group, images = read_name(sub.name).case, [path for _, path in case.files]
        if (number := SERIES.fullmatch(group)) and len(images) == 1:
            numbers[images[0]] = Numbered(int(number[1]), sub.name[len(read_name(sub.name).prefix) :].lower())
        groups.setdefault(_key(case, sub, group), []).extend((spoken[sub], path, case) for path in images)
    groups = {key: members for key, members in groups.items() if len({kind for kind, _, _ in members}) > 1}
    names = {key: name_of_folder(folder) if len(groups) == 1 else key or name_of_folder(folder) for key in groups}
    again = {case.id for case in found if case.folder == folder}  # the same images, not in folders of their own
    groups = {key: members for key, members in groups.items() if names[key] not in again}
    taken = {id(case) for members in groups.values() for _, _, case in members}
    joined = [_together(names[key], folder, members, numbers) for key, members in groups.items()]
    return [*(case for case in found if id(case) not in taken), *joined]


def _spoken(folder: Path, subfolders: Iterable[Path], found: Iterable[Case]) -> dict[Path, Modality]:
    """The folders that are called after a sequence, or are numbers of XNAT, and the sequence of each."""
    spoken = {sub: kind for sub in subfolders if (kind := read_words(sub.name).sequence)}
    for case in found:  # XNAT's `scans/4/resources/NIFTI/files/T1.nii.gz`, and `anat2/sub-1_T1w.nii.gz`
        scan = next((sub for sub in subfolders if case.folder.is_relative_to(sub)), folder)
        xnat = folder.name.lower() == "scans" and "NIFTI" in case.folder.parts
        if len(case.images) == 1 and SERIES.fullmatch(scan.name) and (xnat or scan.name.startswith("anat")):
            spoken[scan] = case.images[0][0]
    return spoken


def _of_one_sequence(case: Case, sequence: Modality, kinds: set[Modality]) -> bool:
    """Whether a case is images of the sequence that its folder is called after, beside folders of others, `kinds`."""
    said = {kind for kind, _ in case.images}
    alone = len(case.files) == 1 or (len(said) == 1 and len(case.files) == len(case.images))
    if not alone or case.problem is not None or case.doubts:
        return False
    if sequence is Modality.T1C and said == {Modality.T1}:  # `T1C/T1.nii.gz`: the folder says more
        said = {sequence}
    # two folders called T1 and T2 are as likely two points in time
    return said == {sequence} or (not said and not kinds <= {Modality.T1, Modality.T2})


def _key(case: Case, sub: Path, group: str) -> str:
    """What stands for the visit in the names of a case's folders below and of its first image."""
    image = case.files[0][1]
    own = read_name(image.name, known_case_of(stem_of(image.name), case.folder)).case
    own = own if case.images else stem_of(image.name)
    if own in (sub.name, group, group.removesuffix(".000000")):  # XNAT, BraTS to 2016 and TCIA say it twice
        own = ""
    parts = (*case.folder.relative_to(sub).parts, own)
    below = (
        part for part in parts if part.lower() not in GENERIC and not re.fullmatch(r"I\d{4,}", part)
    )  # ADNI's images
    return "_".join(part for part in ("" if SERIES.fullmatch(group) else group, *below) if part)


def _together(name: str, folder: Path, members: list[Member], numbers: Mapping[Path, Numbered]) -> Case:
    cases = list({id(case): case for _, _, case in members}.values())
    return of_one_visit(
        Case(
            name,
            folder,
            tuple((kind, path) for kind, path, _ in members),
            brain_mask=next((case.brain_mask for case in cases if case.brain_mask), None),
            ignored=tuple(path for case in cases for path in case.ignored),
            remarks=(*(remark for case in cases for remark in case.remarks), "Each sequence lay in its own folder."),
            series=tuple((path, numbers[path]) for _, path, _ in members if path in numbers),
        )
    )


def without_others(folder: Path, found: list[Case]) -> list[Case]:
    """Cases without diffusion and the like in folders below the one of a scan, which says that they are not taken.

    Of several scans it is the one that the image is called after (`DWI/p1.nii.gz`).
    """
    hosts = [case for case in found if case.folder == folder and case.images and case.problem is None]
    taken: dict[int, list[Case]] = {}
    for case in found:
        if case.folder != folder and not case.images and case.unnamed and not case.doubts and _is_other(case, folder):
            own = [host for host in hosts if len(hosts) == 1 or host.id == stem_of(case.unnamed[0].name)]
            if len(own) == 1:
                taken.setdefault(id(own[0]), []).append(case)
    gone = {id(case) for cases in taken.values() for case in cases}
    return [
        replace(case, ignored=(*case.ignored, *(path for other in taken.get(id(case), ()) for path in other.unnamed)))
        for case in found
        if id(case) not in gone
    ]


def _is_other(case: Case, folder: Path) -> bool:
    """Whether the images of a case are none of the four, by their names or, where these say nothing, their folders'."""
    names = [read_name(path.name) for path in case.unnamed]
    above = [read_words(part) for part in case.folder.relative_to(folder).parts]
    of_others = any(words.other for words in above) and not any(words.sequence or words.doubt for words in above)
    return all(name.other or (of_others and not (name.sequence or name.doubt)) for name in names)
