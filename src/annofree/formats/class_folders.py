"""Class folders of pictures: one folder a class, JPEG or PNG files in it, as public sets of brain-MRI slices come.

Pictures are (H, W) uint8, row by row as stored: such files carry no geometry.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from dataclasses import dataclass
from math import floor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError, OutputError, no_folder
from annofree.formats.outfolder import atomic_path

SUFFIXES = (".jpg", ".jpeg", ".png")
PARTS = ("train", "val", "test")
_TRAIN, _VAL = 0.70, 0.15
#: Folder names of the parts, as public sets write them.
_PART_NAMES = {
    "train": ("train", "training", "tr"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing", "ts"),
}
_FIX = (
    "Give a folder that holds one folder a class, with JPEG or PNG files in each; or train/, val/ and test/ with these"
)


@dataclass(frozen=True)
class Picture:
    """One picture of a set.

    Attributes:
        label: Its class, the folder's name.
        path: Its file.
        part: "train", "val" or "test" where the set comes already split, else "".
    """

    label: str
    path: Path
    part: str = ""

    @property
    def name(self) -> str:
        """Part, class and file name; unique in the set, also where two classes use one file name."""
        return f"{self.part}/{self.label}/{self.path.name}".lstrip("/")


@dataclass(frozen=True)
class PictureSet:
    """The pictures of a folder of class folders.

    Attributes:
        root: The folder.
        pictures: In the order of class and file name.
        skipped: Sentences about files that look like pictures and cannot be read.
    """

    root: Path
    pictures: tuple[Picture, ...]
    skipped: tuple[str, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes."""
        return tuple(dict.fromkeys(picture.label for picture in self.pictures))

    @property
    def split(self) -> bool:
        """Whether the set comes already split."""
        return any(picture.part for picture in self.pictures)


def open_class_folders(folder: str | Path) -> PictureSet:
    """Find the pictures of class folders; every file's head is read.

    The folder holds the class folders, or `train`, `val` and `test` (or `training`, `testing` ...) with class folders
    in each: a set that comes already split keeps its split.

    Raises:
        InputError: There is no class folder, a class holds no readable picture, two folders are the same part, or
            parts and classes stand side by side.
    """
    root = Path(folder)
    if not root.is_dir():
        raise no_folder(root, _FIX)
    parts = _parts(root)
    if parts:
        sets = [_open_classes(place, part) for part, place in parts.items()]
        found = [picture for pictures, _ in sets for picture in pictures]
        return PictureSet(root, tuple(found), tuple(sentence for _, skipped in sets for sentence in skipped))
    pictures, skipped = _open_classes(root, "")
    return PictureSet(root, tuple(pictures), tuple(skipped))


def _parts(root: Path) -> dict[str, Path]:
    """The folders of the parts by "train", "val", "test", where the set comes already split."""
    folders = _folders(root)
    named = [(part, place) for place in folders for part, names in _PART_NAMES.items() if place.name.lower() in names]
    split = [(part, place) for part, place in named if _folders(place)]  # a class may be called "test"; it holds files
    if not split:
        return {}
    parts = dict(split)
    if len(parts) < len(split):
        raise InputError("Two folders are the same part of a split set", file=root, fix="Join them")
    if len(split) < len(folders):
        lone = next(place for place in folders if place not in parts.values())
        raise InputError(
            "Parts of a split set stand beside other folders",
            file=lone,
            why=f"there are {', '.join(place.name for place in parts.values())}",
            fix="Put it into one of them, or move it away",
        )
    if "train" not in parts:
        raise InputError("A split set has no training part", file=root, fix="Name one folder train")
    return {part: parts[part] for part in PARTS if part in parts}


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def _open_classes(root: Path, part: str) -> tuple[list[Picture], list[str]]:
    classes = _folders(root)
    if not classes:
        raise InputError("The folder holds no class folders", file=root, fix=_FIX)
    pictures: list[Picture] = []
    skipped: list[str] = []
    held = [sorted(path for path in place.iterdir() if path.suffix.lower() in SUFFIXES) for place in classes]
    if not any(held):
        why = f"none of its {len(classes)} folders holds a .jpg or .png file"
        raise InputError("The folder holds no class folders", file=root, why=why, fix=_FIX)
    for place, files in zip(classes, held, strict=True):
        readable = []
        for path in files:
            reason = _unreadable(path)
            if reason is None:
                readable.append(Picture(place.name, path, part))
            else:
                skipped.append(f"{place.name}/{path.name} cannot be read: {reason}")
        if not readable:
            why = f"none of its {len(files)} pictures can be read" if files else "it has no .jpg or .png file"
            fix = "Repair its pictures, or move the folder elsewhere"
            raise InputError("A class folder holds no readable picture", file=place, why=why, fix=fix)
        pictures += readable
    return pictures, skipped


def _unreadable(path: Path) -> str | None:
    from PIL import Image

    try:
        with Image.open(path) as image:
            image.verify()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return str(error).split(" '")[0].split(" <")[0]
    return None


def split_by_class(pictures: PictureSet, *, seed: int) -> dict[str, tuple[Picture, ...]]:
    """Shuffle every class and cut it into 70 % training, 15 % validation and test, rounding the first two down.

    A set that comes already split keeps its split: no picture moves between its parts. Where it has no validation
    part, one is cut from the training part in the same proportion.

    Returns:
        Pictures by "train", "val", "test".

    Raises:
        InputError: Nothing is left to train on.
    """
    parts = {part: [picture for picture in pictures.pictures if picture.part == part] for part in PARTS}
    if not pictures.split:
        for own in _shuffled(pictures.pictures, seed):
            first, second = _share(_TRAIN, own), _share(_VAL, own)
            parts["train"] += own[:first]
            parts["val"] += own[first : first + second]
            parts["test"] += own[first + second :]
        if not parts["train"]:
            raise InputError("Too few pictures to split", file=pictures.root, why="no class has two pictures")
    elif not parts["val"]:
        training, parts["train"] = parts["train"], []
        for own in _shuffled(training, seed):
            cut = _share(_VAL / (_TRAIN + _VAL), own)
            parts["val"] += own[:cut]
            parts["train"] += own[cut:]
    return {part: tuple(found) for part, found in parts.items()}


def _shuffled(pictures: Iterable[Picture], seed: int) -> Iterator[list[Picture]]:
    """The pictures of one class after the other, in an order of chance."""
    by_class: dict[str, list[Picture]] = {}
    for picture in pictures:
        by_class.setdefault(picture.label, []).append(picture)
    rng = np.random.default_rng(seed)
    for own in by_class.values():
        yield [own[i] for i in rng.permutation(len(own))]


def _share(part: float, pictures: Sized) -> int:
    # 0.15 * 20 is 3.0000000000000004 or 2.9999999999999996 by chance of rounding; a tiny step up settles it.
    return floor(part * len(pictures) + 1e-9)


def read_grey(path: str | Path, size: int | None = 224) -> NDArray[np.uint8]:
    """One picture in grey, (H, W) uint8, resized bilinearly to a square of `size` pixels; None keeps its own size.

    Raises:
        InputError: The file cannot be read.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            grey = image.convert("L")
            if size is not None:
                grey = grey.resize((size, size), Image.Resampling.BILINEAR)
            return np.asarray(grey, dtype=np.uint8)
    except (OSError, ValueError) as error:
        raise InputError("A picture cannot be read", file=path, why=str(error), fix="Remove or repair it") from None


def write_mask(path: str | Path, mask: NDArray[np.bool_]) -> Path:
    """Write a mask without loss: PNG with 0 and 255 and nothing between.

    Raises:
        OutputError: The name promises a lossy format, or the file cannot be written.
    """
    from PIL import Image

    out = Path(path)
    if out.suffix.lower() != ".png":
        raise OutputError("Masks are stored as PNG, which loses nothing", file=out, fix="Let the name end in .png")
    with atomic_path(out) as part:
        Image.fromarray(mask.astype(np.uint8) * np.uint8(255)).save(part, format="PNG")
    return out


def read_mask(path: str | Path) -> NDArray[np.bool_]:
    """A mask that :func:`write_mask` wrote.

    Raises:
        InputError: It holds other values than 0 and 255, as masks do that were once saved as JPEG.
    """
    grey = read_grey(path, size=None)
    if not np.isin(grey, (0, 255)).all():
        raise InputError(
            "A mask holds other values than 0 and 255",
            file=path,
            why="it was saved with loss, or is no mask",
            fix="Make the masks again; they are stored as PNG",
        )
    return grey > 0


def pair_by_name(images: Iterable[str | Path], masks: Iterable[str | Path]) -> list[tuple[Path, Path]]:
    """Pair pictures and masks by class folder and name without ending, in the order of the pictures.

    Raises:
        InputError: A picture has no mask, a mask no picture, or two files share a name.
    """
    known, seen = _by_key(masks, "masks"), _by_key(images, "pictures")
    for key, image in seen.items():
        if key not in known:
            raise InputError(
                "A picture has no mask of its name",
                file=image,
                why=f"looked for {'/'.join(key)}.png among {len(known)} masks",
                fix="Make the masks again, or remove the picture",
            )
    if lone := sorted(set(known) - set(seen)):
        raise InputError("A mask has no picture of its name", file=known[lone[0]], fix="Remove it, or add the picture")
    return [(image, known[key]) for key, image in seen.items()]


def _by_key(files: Iterable[str | Path], what: str) -> dict[tuple[str, str], Path]:
    found: dict[tuple[str, str], Path] = {}
    for file in map(Path, files):
        key = file.parent.name, file.stem
        if key in found:
            raise InputError(f"Two {what} share a name", why=f"{found[key]} and {file}", fix="Rename one")
        found[key] = file
    return found
