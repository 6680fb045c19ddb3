"""Sequences of one visit that lie in folders of their own, brought together: plain folders, XNAT's, BraTS to 2016's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from annofree.formats.case import Case, of_one_visit
from annofree.formats.names import GENERIC, known_case_of, name_of_folder, read_name, stem_of
from annofree.formats.repeats import SERIES, Numbered
from annofree.modality import Modality, read_words


def joined_sequences(folder: Path, subfolders: list[Path], found: list[Case]) -> list[Case]:
    """Cases with the sequences of one visit together, where each lies in a folder that is called after it.

    `P1/1_T1/NIFTI/T1.nii.gz` beside `P1/4_FLAIR/NIFTI/FLAIR.nii.gz`, and `T1/p1.nii.gz` beside `FLAIR/p1.nii.gz`.
    """
    spoken = {sub: read_words(sub.name).sequence for sub in subfolders}
    if folder.name.lower() == "scans":  # XNAT's `scans/4/resources/NIFTI/files/T1.nii.gz`
        for case in found:
            scan = next((sub for sub in subfolders if case.folder.is_relative_to(sub)), folder)
            if SERIES.fullmatch(scan.name) and len(case.images) == 1 and "NIFTI" in case.folder.parts:
                spoken[scan] = case.images[0][0]
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
        if own in (sub.name, read_name(sub.name).case):  # XNAT and BraTS to 2016 say it twice
            own = ""
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
    names = {key: name_of_folder(folder) if len(groups) == 1 else key or name_of_folder(folder) for key in groups}
    again = {case.id for case in found if case.folder == folder}  # the same images, not in folders of their own
    groups = {key: members for key, members in groups.items() if names[key] not in again}
    joined = []
    for key, members in groups.items():
        cases = list({id(case): case for _, _, case in members}.values())
        joined.append(
            of_one_visit(
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
        )
    taken = {id(case) for members in groups.values() for _, _, case in members}
    others = [case for case in found if id(case) not in taken]
    if len(joined) == 1:  # diffusion and the like of the same visit
        beside = [case for case in others if case.problem and all(read_name(p.name).other for p in case.unnamed)]
        beside = [case for case in beside if case.unnamed and case.folder != folder]
        joined[0] = replace(joined[0], ignored=(*joined[0].ignored, *(p for case in beside for p in case.unnamed)))
        others = [case for case in others if all(case is not other for other in beside)]
    return [*others, *joined]
