"""Plain folders and BraTS folders: a folder a patient, or many patients' files side by side.

BraTS 2018 to 2025 differ in spelling only (`_t1ce`, `-t1c`, bare `t1c`), and `annofree.scan.Modality` knows spellings.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

from annofree.errors import InputError
from annofree.formats.case import Case, case_of_files
from annofree.formats.names import ImageName, is_map, is_nifti, read_name, stem_of, truth_rank, words_of

MAX_DEPTH = 6


def recognises(folder: Path) -> bool:
    """Any folder may hold patients: this layout is asked last."""
    return folder.is_dir()


def find(folder: Path) -> list[Case]:
    """All cases below a folder."""
    return _walk(folder, 0)


def _walk(folder: Path, depth: int) -> list[Case]:
    files, subfolders = _entries(folder)
    images = {path: read_name(path.name) for path in files if not is_map(path.name)}
    named = {path: name for path, name in images.items() if name.sequence is not None}
    if named:
        if _is_flat(list(named.values())):
            return _flat(folder, files, named)
        return [case_of_files(_name(folder), folder, files)]
    found = [] if depth >= MAX_DEPTH else [case for sub in subfolders for case in _walk(sub, depth + 1)]
    if found or len(images) < 2:
        return found or [case_of_files(_name(folder), folder, files) for _ in images]
    # Names that tell no sequence: one scan a file, for --sequence to name.
    return [Case(stem_of(path.name), folder, unnamed=(path,)) for path in images]


def _entries(folder: Path) -> tuple[list[Path], list[Path]]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(
            "A folder cannot be read", file=folder, why=error.strerror, fix="Check its permissions"
        ) from None
    shown = [entry for entry in entries if not entry.name.startswith(".")]
    files = [Path(entry.path) for entry in shown if is_nifti(Path(entry.name)) and not entry.is_dir()]
    return files, [Path(entry.path) for entry in shown if entry.is_dir()]


def _name(folder: Path) -> str:
    return folder.resolve().name or "scan"


def _is_flat(names: list[ImageName]) -> bool:
    """Several patients in one folder: every name is `<case>_<sequence>` and cases share sequences."""
    if not all(name.case and name.ends_with_sequence for name in names):
        return False
    cases = {name.case for name in names}
    sequences = Counter(sequence for _, sequence in {(name.case, name.sequence) for name in names})
    return len(cases) > 1 and max(sequences.values()) > 1


def _flat(folder: Path, files: list[Path], named: dict[Path, ImageName]) -> list[Case]:
    members: dict[str, list[Path]] = {name.case: [] for name in named.values()}
    by_length = sorted(members, key=len, reverse=True)
    for path in files:
        stem = stem_of(path.name)
        if path in named:
            members[named[path].case].append(path)
        elif owner := next((case for case in by_length if _belongs(stem, case)), None):
            members[owner].append(path)
    return [case_of_files(case, folder, paths) for case, paths in sorted(members.items())]


def _belongs(stem: str, case: str) -> bool:
    return stem == case or (stem.startswith(case) and not stem[len(case)].isalnum())


def _anothers(rest: str) -> bool:
    """Whether what follows an id in a label map's name says another visit or patient: `p1_2_seg` is not of `p1`."""
    words = words_of(rest)
    before = words[: next((i for i, word in enumerate(words) if truth_rank(word) is not None), len(words))]
    return any(re.fullmatch(r"\d+[a-z]?|(ses|tp|timepoint|visit|run)\d*", word, re.IGNORECASE) for word in before)


def find_truths(folder: Path, scan_id: str) -> list[tuple[int, Path]]:
    """Label maps for a scan below a folder: beside its images, in a folder of its name, or named after it."""
    files, subfolders = _entries(folder)
    found: list[tuple[int, Path]] = []
    for path in files:
        rank = truth_rank(path.name, scan_id)
        stem = stem_of(path.name)
        named_after = _belongs(stem, scan_id) and (rank is not None or stem == scan_id)
        if named_after and _anothers(stem[len(scan_id) :]):
            continue
        if named_after or (rank is not None and _name(folder) == scan_id):
            found.append((0 if rank is None else rank, path))
    for sub in subfolders:
        found += find_truths(sub, scan_id) if len(sub.parts) - len(folder.parts) <= MAX_DEPTH else []
    return found
