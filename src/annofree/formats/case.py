"""A case: the files of one patient's visit, found but not read yet."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from annofree.errors import InputError, MissingSequence, some
from annofree.formats.names import GENERIC, FileName, ImageName, known_case_of, read_name, stem_of, words_of
from annofree.formats.nifti import Volume, holds_labels, read_channels, read_volume
from annofree.formats.repeats import Numbered, below, of_two_visits, one_of_each
from annofree.formats.volume_files import refuse_no_image
from annofree.modality import Modality

#: The word, where it stands alone.
_POST = re.compile(r"(?<![a-z0-9])post(?:[-_. ]|(?=\.))", re.IGNORECASE)
_RENAME = "Rename the file (t1, t1ce, t2, flair); or segment it alone with --sequence, or give a dictionary in Python"


class NamedFile(FileName):
    """A file whose voxels may be asked too, where its name leaves open what it is."""

    @classmethod
    def at(cls, path: Path) -> NamedFile:
        """A file whose id, as far as it is known, is what its folders are called."""
        return cls(path, known_case_of(stem_of(path.name), path.absolute().parent))

    @cached_property
    def image(self) -> bool:
        """Whether it is no mask and no other map."""
        return self.map_certainty == "no" or (self.map_certainty == "maybe" and not holds_labels(self.path))


@dataclass(frozen=True)
class Case:
    """The image files of one visit; other file types derive from it and override `read`.

    Attributes:
        id: The scan's id.
        folder: Where its files lie.
        images: (sequence, file) pairs; a sequence may still occur twice here, `read` refuses that.
        unnamed: Image files whose names do not tell the sequence.
        brain_mask: A brain mask found beside the images.
        truths: Label maps that its layout has a place for.
        ignored: Files that are not taken.
        text: The report beside the images, in layouts that have a place for it.
        doubts: Image files whose names leave a doubt about their sequence, with what these say.
        problem: Why these files cannot be a scan; reading the case raises it.
        remarks: What a reader of the result should know about the names.
        channels: What the channels of a single 4-D file are, where that is known.
        series: The images' numbers of series, where their names hold them.
    """

    id: str
    folder: Path
    images: tuple[tuple[Modality, Path], ...] = ()
    unnamed: tuple[Path, ...] = ()
    brain_mask: Path | None = None
    truths: tuple[Path, ...] = ()
    ignored: tuple[Path, ...] = ()
    text: Path | None = None
    doubts: tuple[tuple[Path, ImageName], ...] = ()
    problem: InputError | None = None
    remarks: tuple[str, ...] = ()
    channels: tuple[Modality, ...] = ()
    series: tuple[tuple[Path, Numbered], ...] = ()

    @property
    def files(self) -> tuple[tuple[str, Path], ...]:
        """Role and path of every image file, taken or not; empty where only reading tells."""
        named = tuple((str(sequence), path) for sequence, path in self.images)
        return (*named, *(("image", path) for path in (*self.unnamed, *dict(self.doubts))))

    @property
    def examination(self) -> tuple[str, str] | None:
        """What stands for the person, and the day (YYYYMMDD or nothing), where files say it; shown to nobody."""
        return None

    def facts(self, sequence: str | None = None) -> Mapping[str, Any]:
        """What decides the scan beside `files`: for cases whose files have no names worth keeping."""
        return {"channels": [str(name) for name in self.channels]} if self.channels else {}

    def read(self, sequence: str | None = None) -> tuple[dict[Modality, Volume], tuple[str, ...]]:
        """Read the images.

        Args:
            sequence: Take this sequence only; for a single file whose name does not say it, what the file holds, or
                with commas its channels in order.

        Raises:
            InputError: A sequence occurs twice or cannot be told, or a file is unusable.
        """
        if self.channels or (sequence is not None and "," in sequence):
            return self._read_channels(sequence)
        notes = list(self.remarks)
        images = one_of_each(self.images, dict(self.series), self.folder, notes)
        chosen = replace(self, images=tuple(images))._choose(None if sequence is None else Modality.parse(sequence))
        loose = {*self.unnamed, *dict(self.doubts)}
        if self.ignored or not loose <= set(chosen.values()):
            left = sorted({path.name for path in (*self.ignored, *loose)})
            notes.append(f"Not taken as images: {some(left, 6)}.")
        with ThreadPoolExecutor(len(chosen)) as pool:  # decompression lets go of the interpreter
            return dict(zip(chosen, pool.map(read_volume, chosen.values()), strict=True)), tuple(notes)

    def _read_channels(self, sequence: str | None) -> tuple[dict[Modality, Volume], tuple[str, ...]]:
        named = [] if sequence is None else [Modality.parse(word) for word in sequence.split(",")]
        names = list(self.channels) if len(named) < 2 else named
        files = [path for _, path in self.files]
        if len(files) != 1 or len(set(names)) < len(names):
            raise InputError(
                f"The channels of scan '{self.id}' cannot be told",
                file=self.folder,
                why=f"{', '.join(names)} are named for {len(files)} files",
                fix="Name one 4-D file and each of its channels once",
            )
        volumes = dict(zip(names, read_channels(files[0], len(names)), strict=True))
        if len(named) == 1:
            if named[0] not in volumes:
                raise MissingSequence(
                    f"Scan '{self.id}' lacks {named[0]}", file=files[0], why=f"it has {', '.join(names)}"
                )
            volumes = {named[0]: volumes[named[0]]}
        return volumes, (*self.remarks, f"The channels of {files[0].name} were taken as {', '.join(names)}.")

    def _choose(self, sequence: Modality | None) -> dict[Modality, Path]:
        files = [path for _, path in self.files]
        if sequence is not None and len(files) == 1:
            self._refuse_contradiction(sequence)
            return {sequence: files[0]}
        if self.problem is not None:
            raise self.problem
        chosen: dict[Modality, Path] = {}
        for name, path in self.images:
            if name in chosen and sequence in (None, name):
                raise InputError(
                    f"Scan '{self.id}' has two files that look like {name}",
                    file=self.folder,
                    why=f"{below(self.folder, chosen[name])} and {below(self.folder, path)}{self._agent(name)}",
                    fix="Keep one of them, name one file alone, or pass a dictionary {sequence: file} from Python",
                )
            chosen.setdefault(name, path)
        self._ask_about_doubts(set(chosen), sequence)
        if not chosen:
            shown = ", ".join(path.name for path in files[:3]) or "none"
            raise InputError(
                f"The sequence of scan '{self.id}' cannot be told from its file name",
                file=files[0] if len(files) == 1 else self.folder,
                why=f"image files: {shown}; no name holds t1, t1ce, t2, flair or another known spelling",
                fix="Rename the files (t1, t1ce, t2, flair), or segment one alone with --sequence",
            )
        if sequence is None:
            return chosen
        if sequence not in chosen:
            raise MissingSequence(
                f"Scan '{self.id}' lacks {sequence}", file=self.folder, why=f"it has {', '.join(sorted(chosen))}"
            )
        return {sequence: chosen[sequence]}

    def _agent(self, kind: Modality) -> str:
        unsaid = kind is Modality.T1 and self.series and Modality.T1C not in dict(self.images)
        return ", and one of them may be the one after contrast agent" if unsaid else ""

    def _refuse_contradiction(self, sequence: Modality) -> None:
        """A file whose name says one sequence is not taken for another: one of the two is wrong."""
        said = [(path, (name,)) for name, path in self.images] + [(path, name.possible) for path, name in self.doubts]
        for path, possible in said:
            if possible and sequence not in possible:
                raise contradiction(path.name, possible, sequence, path)

    def _ask_about_doubts(self, known: set[Modality], sequence: Modality | None) -> None:
        """A doubtful file matters where it may be a sequence that no other file is."""
        for path, name in self.doubts:
            open_ones = set(name.possible) - known
            if open_ones and (sequence is None or sequence in open_ones):
                raise InputError(
                    f"The sequence of a file of scan '{self.id}' is doubtful", file=path, why=name.doubt, fix=_RENAME
                )


def contradiction(name: str, possible: Iterable[Modality], sequence: Modality, file: Path | str) -> InputError:
    """The error of an image whose name says another sequence than the caller."""
    return InputError(
        f"The name '{name}' says {' or '.join(possible)}, and --sequence says {sequence}",
        file=file,
        fix=f"Leave --sequence out; if the name is wrong, rename the file, or open {{'{sequence}': FILE}} in Python",
    )


def case_of_files(scan_id: str, folder: Path, files: Iterable[NamedFile]) -> Case:
    """Sort the files of one visit into images, brain mask and the rest."""
    named: list[tuple[Modality, Path]] = []
    unnamed: list[Path] = []
    doubts: list[tuple[Path, ImageName]] = []
    ignored: list[Path] = []
    masks: list[Path] = []
    remarks: list[str] = []
    for file in sorted(files, key=lambda file: file.path):
        path, name = file.path, file.name
        if not file.image and file.brain_mask:
            masks.append(path)
        elif not file.image or name.other:
            ignored.append(path)
        elif name.doubt is not None:
            doubts.append((path, name))
        elif name.sequence is not None:
            named.append((name.sequence, path))
            remarks += [] if name.remark is None else [f"{path.name}: {name.remark}."]
        else:
            unnamed.append(path)
    after = {kind for kind, _ in named} > {Modality.T1C} and all("post" in words_of(p.name.lower()) for _, p in named)
    visit = [(read_name(_POST.sub("", path.name)).sequence, path) for _, path in named] if after else []
    if {Modality.T1, Modality.T1C} <= {kind for kind, _ in visit}:  # another word tells the agent
        named = [(kind, path) for kind, path in visit if kind is not None]
        remarks = ["'post' stands in the name of every image and is taken for the visit."]
    elif after:
        why = "'post' stands in the name of every image, and may say contrast agent or the visit"
        doubts += [
            (path, replace(read_name(path.name), sequence=None, doubt=why, possible=(Modality.T1, Modality.T1C)))
            for kind, path in named
            if kind is Modality.T1C
        ]
        named = [(kind, path) for kind, path in named if kind is not Modality.T1C]
    said = _before_and_after(named, unnamed)
    if said:
        named, unnamed = [*named, *said], [path for path in unnamed if path not in dict(said).values()]
        remarks.append("PRE and POST are taken as the T1 before and after contrast agent.")
    return Case(
        scan_id,
        folder,
        tuple(named),
        tuple(unnamed),
        masks[0] if masks else None,
        ignored=tuple(sorted([*ignored, *masks[1:]])),
        doubts=tuple(doubts),
        remarks=tuple(remarks),
    )


def of_one_visit(case: Case) -> Case:
    """The case, with a problem where names of its images say different visits."""
    apart = of_two_visits((path for _, path in case.images), case.folder)
    if apart is None:
        return case
    what = "The names of a scan's images say different visits"
    fix = "Put each visit's files into a folder of their own, or pass a dictionary {sequence: file} from Python"
    why = " and ".join(below(case.folder, path) for path in apart)
    return replace(case, problem=InputError(what, file=case.folder, why=why, fix=fix))


def _before_and_after(named: list[tuple[Modality, Path]], unnamed: list[Path]) -> list[tuple[Modality, Path]]:
    """`P1_PRE` and `P1_POST` beside `P1_FLAIR`, as Yale's set has them: T1 and T1C, where no file is called so."""
    kinds = {kind for kind, _ in named}
    last = {words[-1].lower(): path for path in unnamed if (words := words_of(path.name))}
    if not kinds or kinds & {Modality.T1, Modality.T1C} or not {"pre", "post"} <= last.keys():
        return []
    return [(Modality.T1, last["pre"]), (Modality.T1C, last["post"])]


def case_of_file(path: Path) -> Case:
    """One image file as a case of its own; its id is its name without the sequence, or its folder's name.

    Raises:
        InputError: The name says that it is a mask or another map, or no image at all.
    """
    refuse_no_image(path)
    folder, file = path.absolute().parent, NamedFile.at(path)
    if not file.image:
        raise InputError(
            "This looks like a mask or a label map, not an image",
            file=path,
            why="its name says so",
            fix="Name an image, or segment it with --sequence if it is one",
        )
    name = file.name
    scan_id = name.case or (folder.name if name.sequence is not None else stem_of(path.name)) or "scan"
    case = case_of_files(scan_id, folder, [file])
    return replace(case, ignored=(), unnamed=(path,)) if name.other else case


def with_unique_ids(cases: Iterable[Case]) -> dict[str, Case]:
    """Cases by id; where an id occurs twice, the names of the folders above go in front until it does not.

    Raises:
        InputError: The same files are there twice.
    """
    found = list(cases)
    names = [case.id for case in found]
    for depth in range(24):
        count = Counter(names)
        if len(count) == len(names):
            return {name: replace(case, id=name) for name, case in zip(names, found, strict=True)}
        names = [
            _longer(case, name, depth) if count[name] > 1 else name for case, name in zip(found, names, strict=True)
        ]
    seen: dict[str, Case] = {}
    for name, case in zip(names, found, strict=True):
        if (other := seen.setdefault(name, case)) is not case:
            raise InputError(
                f"Two scans are called '{case.id}'",
                why=f"{other.folder} and {case.folder}",
                fix="Name each only once, or rename one",
            )
    raise AssertionError("ids are unique")


def _longer(case: Case, name: str, depth: int) -> str:
    parts = [part.name for part in (case.folder.absolute(), *case.folder.absolute().parents) if part.name]
    if case.id in parts:
        inside = [part for part in parts[: parts.index(case.id)] if part.lower() not in GENERIC]
        if inside and depth == 0:  # `sub-01/ses-1/sub-01_T1w`
            return f"{name}_{inside[-1]}"
        parts, depth = parts[parts.index(case.id) + 1 :], depth - bool(inside)
    above = [part for part in parts if part.lower() not in GENERIC]
    return f"{above[depth]}_{name}" if depth < len(above) else name


def case_of_mapping(files: Mapping[str, str | Path], scan_id: str | None = None) -> Case:
    """A case from `{sequence: file}`, whatever the files are called."""
    images = tuple((Modality.parse(name), Path(path)) for name, path in files.items())
    if not images:
        raise InputError("The dictionary of files is empty", fix="Give {'FLAIR': 'flair.nii.gz'} or more")
    first = images[0][1]
    return Case(scan_id or case_id_of(first), first.parent, images)


def case_id_of(path: Path) -> str:
    """The id that a single image file gives to its scan."""
    name = read_name(path.name)
    return name.case or path.absolute().parent.name or "scan"
