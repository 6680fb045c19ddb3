"""nnU-Net raw data sets, in and out: `imagesTr/<case>_0000.nii.gz`, `labelsTr/<case>.nii.gz`, `dataset.json`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.formats.case import Case
from annofree.formats.names import is_volume, stem_of
from annofree.formats.nifti import read_labels, write_volume
from annofree.formats.outfolder import write_json
from annofree.formats.standing import whole_or_nothing
from annofree.scan import Cohort, Grid, Modality, Scan, canonical_grid, to_canonical

IMAGE_FOLDERS = ("imagesTr", "imagesTs", "imagesVal")
#: Label maps (X, Y, Z) on each scan's grid, by id or from a function.
Labels = Mapping[str, NDArray[Any]] | Callable[[Scan], NDArray[Any]]
_CHANNEL = re.compile(r"(?P<case>.+)_(?P<channel>\d{4})\.nii(\.gz)?", flags=re.IGNORECASE)


@dataclass(frozen=True)
class NnUNetCase(Case):
    """A case whose channels have numbers, named by `dataset.json`."""

    def _choose(self, sequence: Modality | None) -> dict[Modality, Path]:
        if self.unnamed and not (sequence is not None and len(self.unnamed) + len(self.images) == 1):
            raise InputError(
                f"The channels of scan '{self.id}' have no names",
                file=self.unnamed[0],
                why="dataset.json is missing, or its channel_names do not name T1, T1C, T2 or FLAIR",
                fix='Write channel_names into dataset.json, for instance {"0": "FLAIR"}, or give --sequence FLAIR '
                "for a single channel",
            )
        return Case._choose(self, sequence)


def recognises(folder: Path) -> bool:
    """The folder holds `imagesTr` or `imagesTs`, or is one of them."""
    return folder.name in IMAGE_FOLDERS or any((folder / name).is_dir() for name in IMAGE_FOLDERS)


def own_folders(folder: Path) -> frozenset[Path]:
    """The folders of a raw data set that `find` reads, and those of its labels; other layouts leave them out."""
    if folder.name in IMAGE_FOLDERS:
        return frozenset([folder])
    return frozenset(folder / name for part in ("Tr", "Ts", "Val") for name in (f"images{part}", f"labels{part}"))


def find(folder: Path) -> list[Case]:
    """All cases of a raw data set, training cases first."""
    root = folder.parent if folder.name in IMAGE_FOLDERS else folder
    names = _channel_names(root)
    places = [folder] if folder.name in IMAGE_FOLDERS else [root / name for name in IMAGE_FOLDERS]
    return [case for place in places if place.is_dir() for case in _cases(place, names)]


def _cases(place: Path, names: Mapping[int, Modality]) -> list[Case]:
    channels: dict[str, dict[int, Path]] = {}
    loose: list[Path] = []
    for path in sorted(place.iterdir()):
        if match := _CHANNEL.fullmatch(path.name):
            channels.setdefault(match["case"], {})[int(match["channel"])] = path
        elif is_volume(path) and not path.name.startswith("."):
            loose.append(path)
    labels = place.parent / place.name.replace("images", "labels")
    cases: list[Case] = []
    for case, files in channels.items():
        images = tuple((names[number], path) for number, path in files.items() if number in names)
        unnamed = tuple(path for number, path in files.items() if number not in names)
        cases.append(NnUNetCase(case, place, images, unnamed, None, _truths(labels, case)))
    # The Decathlon's data sets hold one 4-D file a case.
    four = tuple(names[number] for number in sorted(names)) if [*sorted(names)] == [*range(len(names))] else ()
    for path in loose:
        case = stem_of(path.name)
        named = four if len(four) > 1 else ()
        cases.append(Case(case, place, unnamed=(path,), truths=_truths(labels, case), channels=named))
    return cases


def _truths(labels: Path, case: str) -> tuple[Path, ...]:
    found = (labels / f"{case}{ending}" for ending in (".nii.gz", ".nii"))
    return tuple(path for path in found if path.is_file())


def _channel_names(root: Path) -> dict[int, Modality]:
    path = root / "dataset.json"
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        stated = content.get("channel_names") or content.get("modality") or {}
        pairs = [(int(number), str(word)) for number, word in stated.items()]
    except (OSError, ValueError, AttributeError, RecursionError):
        raise InputError("dataset.json cannot be read", file=path, fix="Repair it or write it again") from None
    names = {}
    for number, word in pairs:
        try:
            names[number] = Modality.parse(word)
        except InputError:
            continue
    return names


def read_case_labels(folder: Path, case: str, grid: Grid) -> NDArray[np.uint8] | None:
    """A case's label map `<case>.nii.gz` in a folder, (X, Y, Z) on its scan's grid; None where there is none.

    Raises:
        InputError: It lies on another grid, or does not hold whole numbers from 0 to 255.
    """
    file = next(iter(_truths(folder, case)), None)
    if file is None:
        return None
    values, native = read_labels(file)
    if not canonical_grid(native).same_as(grid):
        raise InputError("A label lies on another grid than its image", file=file, fix="Give the image's own label")
    whole = np.asarray(to_canonical(values, native))
    if whole.min() < 0 or whole.max() > 255 or (whole != np.round(whole)).any():
        raise InputError("A label map holds something else than whole numbers from 0 to 255", file=file)
    return np.ascontiguousarray(whole.astype(np.uint8))


def export_nnunet(
    cohort: Cohort,
    out: str | Path,
    *,
    labels: Labels | None = None,
    label_names: Mapping[str, int] | None = None,
    sequences: Iterable[str] | None = None,
    validation: Iterable[str] = (),
    mark_validation: bool = False,
) -> Path:
    """Write a cohort as an nnU-Net raw data set.

    Args:
        cohort: The scans; they are written in their files' own axis order.
        out: The data set folder, for instance `nnUNet_raw/Dataset501_Made`; absent or empty.
        labels: Label maps; without them the scans become test images (`imagesTs`).
        label_names: Names of the labels, by default `{"background": 0, "tumour": 1}`.
        sequences: The channels in order; by default those of the first scan.
        validation: Ids that form the validation fold. `splits_final.json` states the split: copy it to
            `nnUNet_preprocessed/<data set>/` before training.
        mark_validation: Add "val" to the names of validation cases, as SynthTumour's stage 1 does.

    Raises:
        MissingSequence: A scan lacks one of the channels.
        InputError: A label map is missing, of another shape, or holds a label without a name.
        OutputError: The folder is not empty or not writable.
    """
    root = Path(out)
    held_out = set(validation)
    if unknown := held_out - set(cohort.ids):
        raise InputError(f"No scan '{sorted(unknown)[0]}' in the cohort", why="it is named for validation")
    names = dict(label_names or {"background": 0, "tumour": 1})
    channels = None if sequences is None else [Modality.parse(word) for word in sequences]
    part = "Ts" if labels is None else "Tr"
    split: dict[str, list[str]] = {"train": [], "val": []}
    with whole_or_nothing(root, "data set folder") as folder:
        for scan in cohort:
            channels = channels or list(scan.sequences)
            scan.require(*channels, why="the nnU-Net data set")
            assert scan.native is not None
            marked = scan.id + ("val" if mark_validation and scan.id in held_out else "")
            for number, sequence in enumerate(channels):
                image = scan.to_native(scan.images[sequence])
                write_volume(folder / f"images{part}" / f"{marked}_{number:04d}.nii.gz", image, scan.native)
            if labels is not None:
                values = _checked_labels(labels, scan, names)
                write_volume(folder / "labelsTr" / f"{marked}.nii.gz", scan.to_native(values), scan.native)
            split["val" if scan.id in held_out else "train"].append(marked)
        cases = 0 if labels is None else len(cohort)
        write_description(folder, channels or (), names, cases, split if labels is not None and held_out else None)
    return root


def write_description(
    root: Path,
    sequences: Iterable[Modality],
    labels: Mapping[str, int | list[int]],
    cases: int,
    split: Mapping[str, list[str]] | None = None,
    *,
    regions: Iterable[int] = (),
) -> None:
    """Write `dataset.json`, and `splits_final.json` where there is a split.

    Several values make a region of a label; `regions` is nnU-Net's `regions_class_order` then. A split has case names
    under "train" and "val".
    """
    dataset = {
        "channel_names": {str(number): str(sequence) for number, sequence in enumerate(sequences)},
        "labels": dict(labels),
        **({"regions_class_order": list(regions)} if regions else {}),
        "numTraining": cases,
        "file_ending": ".nii.gz",
    }
    write_json(root / "dataset.json", dataset)
    if split is not None:
        write_json(root / "splits_final.json", [dict(split)])


def write_first_description(
    root: Path, sequences: Iterable[Modality], labels: Mapping[str, int], cases: Iterable[str]
) -> None:
    """Write `dataset.json` as nnU-Net 1 reads it: names by number, and every training case with its paths."""
    listed = sorted(cases)
    pairs = [{"image": f"./imagesTr/{case}.nii.gz", "label": f"./labelsTr/{case}.nii.gz"} for case in listed]
    dataset = {
        "name": root.name,
        "description": "made by annofree",
        "tensorImageSize": "4D",
        "reference": "",
        "licence": "",
        "release": "",
        "modality": {str(number): str(sequence) for number, sequence in enumerate(sequences)},
        "labels": {str(value): name for name, value in sorted(labels.items(), key=lambda item: item[1])},
        "numTraining": len(listed),
        "numTest": 0,
        "training": pairs,
        "test": [],
    }
    write_json(root / "dataset.json", dataset)


def _checked_labels(labels: Labels, scan: Scan, names: Mapping[str, int]) -> NDArray[np.uint8]:
    if isinstance(labels, Mapping) and scan.id not in labels:
        raise InputError(f"Scan '{scan.id}' has no label map", fix="Give one for every scan, or none at all")
    values = np.asarray(labels[scan.id] if isinstance(labels, Mapping) else labels(scan))
    if values.shape != scan.shape:
        raise InputError(f"The label map of '{scan.id}' has shape {values.shape}, its images {scan.shape}")
    if strange := set(np.unique(values).tolist()) - set(names.values()):
        raise InputError(
            f"The label map of '{scan.id}' holds {sorted(strange)}", why=f"the named labels are {dict(names)}"
        )
    return values.astype(np.uint8)
