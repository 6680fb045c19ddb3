"""A case: the files of one patient's visit, found but not read yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from annofree.errors import InputError, MissingSequence
from annofree.formats.names import is_brain_mask, is_map, read_name, stem_of, truth_rank
from annofree.formats.nifti import Volume, read_volume
from annofree.scan import Modality


@dataclass(frozen=True)
class Case:
    """The NIfTI files of one visit; other file types derive from it and override `read`.

    Attributes:
        id: The scan's id.
        folder: Where its files lie.
        images: (sequence, file) pairs; a sequence may still occur twice here, `read` refuses that.
        unnamed: Image files whose names do not tell the sequence.
        brain_mask: A brain mask found beside the images.
        truths: Label maps found beside the images, by rank.
        ignored: Files that are not taken.
        text: The report beside the images, in layouts that have a place for it.
    """

    id: str
    folder: Path
    images: tuple[tuple[Modality, Path], ...] = ()
    unnamed: tuple[Path, ...] = ()
    brain_mask: Path | None = None
    truths: tuple[tuple[int, Path], ...] = ()
    ignored: tuple[Path, ...] = ()
    text: Path | None = None

    @property
    def files(self) -> tuple[tuple[str, Path], ...]:
        """Role and path of every image file, taken or not; empty where only reading tells."""
        named = tuple((str(sequence), path) for sequence, path in self.images)
        return (*named, *(("image", path) for path in self.unnamed))

    def read(self, sequence: str | None = None) -> tuple[dict[Modality, Volume], tuple[str, ...]]:
        """Read the images.

        Args:
            sequence: Take this sequence only; for a single file, what the file holds whatever its name says.

        Returns:
            Volumes by sequence, and notes.

        Raises:
            InputError: A sequence occurs twice or cannot be told, or a file is unusable.
        """
        chosen = self._choose(None if sequence is None else Modality.parse(sequence))
        notes = []
        if self.ignored or (self.unnamed and not set(self.unnamed) & set(chosen.values())):
            left = sorted({path.name for path in (*self.ignored, *self.unnamed)})
            shown = ", ".join(left[:6]) + (f" and {len(left) - 6} more" if len(left) > 6 else "")
            notes.append(f"Not taken as images: {shown}.")
        with ThreadPoolExecutor(len(chosen)) as pool:  # decompression lets go of the interpreter
            return dict(zip(chosen, pool.map(read_volume, chosen.values()), strict=True)), tuple(notes)

    def _choose(self, sequence: Modality | None) -> dict[Modality, Path]:
        files = [path for _, path in self.images] + list(self.unnamed)
        if sequence is not None and len(files) == 1:
            return {sequence: files[0]}
        chosen: dict[Modality, Path] = {}
        for name, path in self.images:
            if name in chosen and sequence in (None, name):
                raise InputError(
                    f"Scan '{self.id}' has two files that look like {name}",
                    file=self.folder,
                    why=f"{chosen[name].name} and {path.name}",
                    fix="Keep one of them, name one file alone, or pass a dictionary {sequence: file} from Python",
                )
            chosen.setdefault(name, path)
        if not chosen:
            shown = ", ".join(path.name for path in files[:3]) or "none"
            raise InputError(
                f"The sequence of scan '{self.id}' cannot be told from its file name",
                file=files[0] if len(files) == 1 else self.folder,
                why=f"image files: {shown}; no name holds t1, t1ce, t2, flair or another known spelling",
                fix="Say it with --sequence T1, T1C, T2 or FLAIR (one file), or rename the files",
            )
        if sequence is None:
            return chosen
        if sequence not in chosen:
            raise MissingSequence(
                f"Scan '{self.id}' lacks {sequence}", file=self.folder, why=f"it has {', '.join(sorted(chosen))}"
            )
        return {sequence: chosen[sequence]}


def case_of_files(scan_id: str, folder: Path, files: Iterable[Path]) -> Case:
    """Sort the NIfTI files of one visit into images, brain mask, label maps and the rest."""
    images: list[tuple[Modality, Path]] = []
    unnamed: list[Path] = []
    truths: list[tuple[int, Path]] = []
    ignored: list[Path] = []
    masks: list[Path] = []
    for path in sorted(files):
        rank = truth_rank(path.name, scan_id)
        if is_brain_mask(path.name):
            masks.append(path)
        elif rank is not None:
            truths.append((rank, path))
            ignored.append(path)
        elif is_map(path.name):
            ignored.append(path)
        elif (sequence := read_name(path.name).sequence) is not None:
            images.append((sequence, path))
        else:
            unnamed.append(path)
    return Case(
        scan_id,
        folder,
        tuple(images),
        tuple(unnamed),
        masks[0] if masks else None,
        tuple(sorted(truths)),
        tuple(sorted([*ignored, *masks[1:]])),
    )


def case_of_file(path: Path) -> Case:
    """One image file as a case of its own; its id is its name without the sequence, or its folder's name.

    Raises:
        InputError: The name says that it is a mask or another map.
    """
    name = read_name(path.name)
    if is_map(path.name):
        raise InputError(
            "This looks like a mask or a label map, not an image",
            file=path,
            why="its name says so",
            fix="Name an image, or say with --sequence what the file holds",
        )
    folder = path.resolve().parent
    scan_id = name.case or (folder.name if name.sequence is not None else stem_of(path.name)) or "scan"
    images = () if name.sequence is None else ((name.sequence, path),)
    return Case(scan_id, folder, images, () if images else (path,))


def with_unique_ids(cases: Iterable[Case]) -> dict[str, Case]:
    """Cases by id; ids that occur twice get their parent folder's name in front.

    Raises:
        InputError: Two cases still share an id.
    """
    found = list(cases)
    count: dict[str, int] = {}
    for case in found:
        count[case.id] = count.get(case.id, 0) + 1
    result: dict[str, Case] = {}
    for case in found:
        name = case.id
        if count[name] > 1:
            parent = case.folder.parent.name if case.folder.name == name else case.folder.name
            name = f"{parent}_{name}"
        if name in result:
            raise InputError(
                f"Two scans are called '{name}'",
                why=f"{result[name].folder} and {case.folder}",
                fix="Rename one folder",
            )
        result[name] = _renamed(case, name)
    return result


def _renamed(case: Case, name: str) -> Case:
    from dataclasses import replace

    return case if case.id == name else replace(case, id=name)


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
    return name.case or path.resolve().parent.name or "scan"
