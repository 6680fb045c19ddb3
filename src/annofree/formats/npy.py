"""Folders of `.npy` arrays: train, val and test folders of paired images (X, Y, Z, 4) and one-hot masks.

Such arrays carry no affine and no channel names. They are taken as 1 mm, RAS+, skull-stripped, and the four channels
as T1, T1C, T2, FLAIR unless `sequence="T1C,T1,FLAIR,T2"` says otherwise; the scan's notes repeat these assumptions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.formats.case import Case
from annofree.formats.contents import refuse_no_picture
from annofree.formats.names import FileName, read_name, stem_of, words_of
from annofree.formats.nifti import MAX_VOXELS, Volume
from annofree.scan import Grid, Modality

SPLITS = ("train", "val", "validation", "test")
_NUMPY_FIX = "Save it again with numpy.save as a plain array of numbers"


@dataclass(frozen=True)
class NpyCase(Case):
    """One `.npy` image with its channels."""

    def read(self, sequence: str | None = None) -> tuple[dict[Modality, Volume], tuple[str, ...]]:
        """Read the channels; `sequence` may name all of them in order, with commas."""
        path = self.unnamed[0]
        array = _channels_last(load_array(path), path)
        names = _channel_names(array.shape[3], sequence, path)
        grid = Grid(array.shape[:3], np.eye(4))
        volumes = {}
        for channel, name in enumerate(names):
            values = np.asarray(array[..., channel], dtype=np.float32)
            refuse_no_picture(values, path, f"channel {channel}")
            volumes[name] = Volume(values, grid, str(path))
        return volumes, (
            f"{path.name} carries no geometry: taken as 1 mm voxels in RAS+ order, skull-stripped; "
            f"channels taken as {', '.join(names)}.",
        )


def _channel_names(count: int, sequence: str | None, path: Path) -> list[Modality]:
    if sequence is not None:
        names = [Modality.parse(word) for word in sequence.split(",")]
    else:
        guess = read_name(path.name).sequence
        names = list(Modality) if count == 4 else [guess] if count == 1 and guess else []
    if len(names) != count or len(set(names)) != count:
        raise InputError(
            f"An array has {count} channel{'s' * (count != 1)}, and their sequences are not known",
            file=path,
            fix="Name them in order, for instance --sequence FLAIR or --sequence T1C,T1,FLAIR,T2",
        )
    return names


def load_array(path: Path) -> NDArray[Any]:
    """Map a `.npy` file without reading it and without ever unpickling.

    Raises:
        InputError: Missing, damaged, or not a plain array of numbers.
    """
    if not path.exists():
        raise InputError("There is no such file", file=path, fix="Check the path")
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # numpy raises half a dozen classes on damaged headers, SyntaxError among them
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise InputError("A file is no .npy array, or cut short", file=path, why=reason, fix=_NUMPY_FIX) from None
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
        raise InputError("A file does not hold plain numbers", file=path, fix=_NUMPY_FIX)
    if array.ndim not in (3, 4) or min(array.shape) < 1 or array.size > MAX_VOXELS:
        raise InputError(
            f"An array has the shape {array.shape}", file=path, why="(X, Y, Z) or (X, Y, Z, channels) is needed"
        )
    return array


def _channels_last(array: NDArray[Any], path: Path) -> NDArray[Any]:
    if array.ndim == 3:
        array = array[..., None]
    elif array.shape[3] > 4 >= array.shape[0]:
        array = np.moveaxis(array, 0, 3)
    if array.shape[3] > 4 or min(array.shape[:3]) < 2:
        raise InputError(
            f"An array has the shape {array.shape}", file=path, why="(X, Y, Z) with at most 4 channels is needed"
        )
    return array


def recognises(folder: Path) -> bool:
    """The folder, or train/val/test folders in it, or `images` folders in those, hold `.npy` files."""
    return any(any(place.glob("*.npy")) for place, _ in _places(folder))


def find(folder: Path) -> list[Case]:
    """One case an image file; `val/images/image_12.npy` becomes `val_12`."""
    cases: list[Case] = []
    for place, prefix in _places(folder):
        files = sorted(place.glob("*.npy"))
        masks = {_key(path.name): path for path in _mask_files(place, files)}
        for path in files:
            if not _is_mask(path) and _key(path.name):
                truth = masks.get(_key(path.name))
                truths = () if truth is None else (truth,)
                cases.append(NpyCase(prefix + _key(path.name), place, unnamed=(path,), truths=truths))
    return cases


def case_of_file(path: Path) -> Case:
    """A single `.npy` file as a case."""
    return NpyCase(stem_of(path.name), path.absolute().parent, unnamed=(path,))


def _places(folder: Path) -> list[tuple[Path, str]]:
    """Folders that hold images, with the prefix of their ids."""
    places = []
    for base, prefix in [(folder, ""), *((folder / split, f"{split}_") for split in SPLITS)]:
        places += [(place, prefix) for place in (base, base / "images", base / "image") if place.is_dir()]
    return places


def _mask_files(place: Path, files: list[Path]) -> list[Path]:
    beside = [path for path in files if _is_mask(path)]
    siblings = [place.parent / name for name in ("masks", "mask", "labels")] if place.name.startswith("image") else []
    return beside + [path for sibling in siblings if sibling.is_dir() for path in sorted(sibling.glob("*.npy"))]


def _is_mask(path: Path) -> bool:
    said = FileName(path)
    return said.map_certainty == "yes" or said.rank is not None


def _key(name: str) -> str:
    """What image and mask share: the name without the words image and mask."""
    words = [word for word in words_of(name) if not re.fullmatch(r"(image|img|mask|seg|label|volume)s?", word, re.I)]
    return "_".join(words)
