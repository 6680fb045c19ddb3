"""Axial slices as 8-bit PNG, in the folders and with the names of BLOGRR.

`<dataset>_<subject>_<slice>.png` in `img/` and, under the same name, `seg/`; reports in `TXT/<dataset>_<subject>.txt`.
The published files say nothing about space, so slices are taken as MNI152, 1 mm, slice numbers counted from the first
slice cut out. What `annofree export slices` writes carries a `slices.json` that says exactly where each slice lies.

In a file the front of the head is at the top and the left side of the patient at the left of the image.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.formats.case import Case
from annofree.formats.nifti import Volume
from annofree.formats.outfolder import atomic_write, read_json, write_json
from annofree.scan import Grid, Modality

IMAGES, MASKS, REPORTS, PLACES = "img", "seg", "TXT", "slices.json"
#: Folders of the published data set; each holds `img/`, some `seg/` and `TXT/`.
FOLDERS = ("HCP_train_data", "In_house_data", "sample_test_data", "final_test_data")
#: Slice of the 1 mm template that the published numbering calls 0.
FIRST = 30
_NAME = re.compile(r"(?P<subject>.+)_(?P<slice>\d+)\.png", re.IGNORECASE)
#: MNI152 at 1 mm as in nilearn and in the Hammersmith atlas.
_TEMPLATE_SHAPE = (197, 233, 189)
_TEMPLATE_ORIGIN_MM = (-98.0, -134.0, -72.0)


@dataclass(frozen=True, eq=False)
class Place:
    """Where the slices of one subject lie.

    Attributes:
        slices: (size, size, N) grid of the slices, scanner mm.
        original: Grid of the file that they were cut from, in its own axis order.
        sequence: What they show.
        first: Number in the name of the first slice.
    """

    slices: Grid
    original: Grid
    sequence: Modality
    first: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        grids = {"slices": self.slices, "original": self.original}
        places = {name: {"shape": list(grid.shape), "affine": grid.affine.tolist()} for name, grid in grids.items()}
        return {"sequence": str(self.sequence), "first": self.first, **places}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Place:
        """What `to_dict` gave.

        Raises:
            KeyError, TypeError, ValueError: Something is missing or of the wrong type.
        """
        grids = []
        for name in ("slices", "original"):
            affine = np.array(values[name]["affine"], dtype=np.float64)
            if affine.shape != (4, 4) or len(values[name]["shape"]) != 3:
                raise ValueError("an affine is not 4x4, or a shape not of three numbers")
            grids.append(Grid(tuple(map(int, values[name]["shape"])), affine))
        return cls(grids[0], grids[1], Modality(values["sequence"]), int(values["first"]))


@dataclass(frozen=True)
class SliceCase(Case):
    """The slices of one subject."""

    def read(self, sequence: str | None = None) -> tuple[dict[Modality, Volume], tuple[str, ...]]:
        """Stack them; without a `slices.json` they are MNI slices of a T2, as in the published sample."""
        array, numbers = read_stack(self.unnamed)
        place = places(self.folder.parent).get(self.id)
        given = None if sequence is None else Modality.parse(sequence)
        if place is not None and place.slices.shape == array.shape:
            return {given or place.sequence: Volume(array, place.slices, str(self.unnamed[0]))}, ()
        name = given or Modality.guess(self.id) or Modality.T2
        grid = published_grid(array.shape[0], FIRST + numbers[0], array.shape[2])
        note = f"{len(self.unnamed)} PNG slices carry no geometry: taken as MNI152 from slice {FIRST + numbers[0]} on"
        if given is None and Modality.guess(self.id) is None:
            note += ", and as T2, since their names tell no sequence"
        return {name: Volume(array, grid, str(self.unnamed[0]))}, (f"{note}.",)


def published_grid(size: int, first: int, count: int) -> Grid:
    """MNI millimetres of `count` published slices: planes of the 1 mm template, from the `first` on, resized to `size`
    x `size` pixels.
    """
    affine = np.eye(4)
    for axis in (0, 1):
        step = _TEMPLATE_SHAPE[axis] / size
        affine[axis, axis] = step
        affine[axis, 3] = _TEMPLATE_ORIGIN_MM[axis] + 0.5 * step - 0.5
    affine[2, 3] = _TEMPLATE_ORIGIN_MM[2] + first
    return Grid((size, size, count), affine)


def in_template(grid: Grid) -> bool:
    """Whether a grid is that of published slices: MNI millimetres already, so that nothing needs to be aligned."""
    first = round(float(grid.affine[2, 3]) - _TEMPLATE_ORIGIN_MM[2])
    return grid.shape[0] == grid.shape[1] and grid.same_as(published_grid(grid.shape[0], first, grid.shape[2]))


def recognises(folder: Path) -> bool:
    """The folder, its `img/`, or one of the published folders in it holds named PNG slices."""
    return any(_has_slices(place) for place in (folder, folder / IMAGES)) or bool(_published_in(folder))


def find(folder: Path) -> list[Case]:
    """One case a subject. Raises `InputError`: the folder holds several of the published folders."""
    inside = _published_in(folder)
    if inside and not _has_slices(folder / IMAGES) and not _has_slices(folder):
        raise InputError(
            "This folder holds several data sets of slices",
            file=folder,
            why=", ".join(inside),
            fix=f"Name one of them, for instance {folder / inside[0]}",
        )
    images = folder / IMAGES if _has_slices(folder / IMAGES) else folder
    beside = images.name == IMAGES
    masks = subjects_in(images.parent / MASKS) if beside else {}
    texts = {file.stem: file for file in (images.parent / REPORTS).glob("*.txt")} if beside else {}
    cases: list[Case] = []
    for subject, files in subjects_in(images).items():
        truths = tuple(masks.get(subject, ())[:1])
        cases.append(SliceCase(subject, images, unnamed=tuple(files), truths=truths, text=texts.get(subject)))
    return cases


def read_mask_stack(first: Path) -> NDArray[np.uint8]:
    """The mask slices of a subject, of which one file is given, as binary (X, Y, N).

    Raises:
        InputError: They are regions that reports name, which are no truth, or cannot be read.
    """
    export = first.parent.parent
    if (export / PLACES).is_file() and (asked(export) or {}).get("reports' regions"):
        why = "export cut them with --report-masks from the regions that reports name"
        raise InputError("Slices of masks are no truth", file=first, why=why, fix="Name a folder of masks with --truth")
    match = _NAME.fullmatch(first.name)
    files = [first] if match is None else subjects_in(first.parent)[match["subject"]]
    images = first.parent.parent / IMAGES
    beside = [] if match is None or not images.is_dir() else subjects_in(images).get(match["subject"], [])
    numbers = [number_of(file) for file in beside] or None
    array, _ = read_stack(files, numbers=numbers)
    return (array > 0).astype(np.uint8)


def read_stack(
    files: tuple[Path, ...] | list[Path], numbers: list[int] | None = None
) -> tuple[NDArray[Any], list[int]]:
    """PNG slices of one subject as a volume: float32 (X, Y, N) grey levels 0..255, and the slice numbers spanned.

    Those are the files' own, or `numbers`; a slice without a file is 0.

    Raises:
        InputError: A file is no 8-bit grey PNG, or sizes differ.
    """
    found = {number_of(file): file for file in files}
    span = list(range(min(numbers or found), max(numbers or found) + 1))
    planes = {number: read_png(found[number]) for number in span if number in found}
    sizes = {plane.shape for plane in planes.values()}
    if len(sizes) != 1:
        raise InputError(
            "Slices of one subject differ in size",
            file=files[0],
            why=", ".join(f"{a} x {b}" for a, b in sorted(sizes)) or "no slice has the number of an image",
            fix="Export all of them alike",
        )
    width, height = next(iter(sizes))
    volume = np.zeros((width, height, len(span)), dtype=np.float32)
    for index, number in enumerate(span):
        if number in planes:
            volume[:, :, index] = planes[number]
    return volume, span


def number_of(file: Path) -> int:
    """The slice number at the end of a name. Raises `InputError`: the name does not end in `_<number>.png`."""
    match = _NAME.fullmatch(file.name)
    if match is None:
        raise InputError("A slice's name tells no number", file=file, fix="Name slices <dataset>_<subject>_<slice>.png")
    return int(match["slice"])


def read_png(file: Path) -> NDArray[np.uint8]:
    """One slice as uint8 (X, Y), RAS. Raises `InputError`: missing, damaged, or not a grey image of 8 bits."""
    from PIL import Image

    try:
        with Image.open(file) as image:
            if image.mode not in ("L", "1", "P"):
                grey = np.asarray(image)
                if grey.dtype != np.uint8 or grey.ndim != 3 or np.ptp(grey[..., :3], axis=2).any():
                    raise InputError(
                        "A slice is not a grey image of 8 bits",
                        file=file,
                        why=f"its mode is {image.mode}",
                        fix="Save it as 8-bit grey PNG",
                    )
                return np.ascontiguousarray(np.rot90(grey[..., 0], -1))
            return np.ascontiguousarray(np.rot90(np.asarray(image.convert("L")), -1))
    except (OSError, SyntaxError, ValueError) as error:
        why = "there is no such file" if isinstance(error, FileNotFoundError) else "it is no PNG, or cut short"
        raise InputError("A slice cannot be read", file=file, why=why, fix="Export it again") from None


def write_slices(folder: Path, name: str, levels: NDArray[np.uint8], *, kind: str = IMAGES, first: int = 0) -> None:
    """Write one subject's slices, uint8 (X, Y, N), as `<name>_<number>.png` into `img` or `seg` of an export's folder.

    Raises:
        OutputError: The folder cannot be written.
    """
    from PIL import Image

    for index in range(levels.shape[2]):
        buffer = BytesIO()
        Image.fromarray(np.ascontiguousarray(np.rot90(levels[:, :, index]))).save(buffer, format="PNG")
        atomic_write(folder / kind / f"{name}_{first + index}.png", buffer.getvalue())


def write_places(folder: Path, subjects: Mapping[str, Place], asked: Mapping[str, Any]) -> None:
    """Write `slices.json`; `asked` is what the slices were cut by, as plain values."""
    content = {name: place.to_dict() for name, place in sorted(subjects.items())}
    write_json(folder / PLACES, {"asked": asked, "subjects": content})


def asked(folder: Path) -> dict[str, Any] | None:
    """What the slices of a folder were cut by; None where an older version wrote them."""
    told: dict[str, Any] | None = (read_json(folder / PLACES) or {}).get("asked")
    return told


def places(folder: Path) -> dict[str, Place]:
    """Where the slices of each subject lie; empty where nobody said. Raises `InputError`: `slices.json` is damaged."""
    file = folder / PLACES
    return dict(_places(file, file.stat().st_mtime_ns)) if file.is_file() else {}


@cache
def _places(file: Path, modified_ns: int) -> tuple[tuple[str, Place], ...]:
    try:
        subjects = json.loads(file.read_text(encoding="utf-8"))["subjects"]
        return tuple((name, Place.from_dict(values)) for name, values in subjects.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            "The description of slices is damaged", file=file, why=str(error), fix="Export the slices again"
        ) from None


def _has_slices(folder: Path) -> bool:
    return folder.is_dir() and any(_NAME.fullmatch(path.name) for path in folder.glob("*.png"))


def _published_in(folder: Path) -> list[str]:
    return [name for name in FOLDERS if _has_slices(folder / name / IMAGES)]


def subjects_in(folder: Path) -> dict[str, list[Path]]:
    """Files by subject, subjects by name, slices by number."""
    found: dict[str, list[tuple[int, Path]]] = {}
    for path in folder.glob("*.png") if folder.is_dir() else ():
        if match := _NAME.fullmatch(path.name):
            found.setdefault(match["subject"], []).append((int(match["slice"]), path))
    return {subject: [path for _, path in sorted(found[subject])] for subject in sorted(found)}
