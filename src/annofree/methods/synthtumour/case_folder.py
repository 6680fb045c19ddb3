"""A data set that `annofree synth` wrote, as what a published junior learns from: its cases, its split."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from annofree.errors import InputError
from annofree.formats.names import is_volume, stem_of
from annofree.formats.nnunet import read_case_labels
from annofree.formats.outfolder import read_table
from annofree.formats.scans import open_cohort
from annofree.methods.synthtumour.cases import folder_name, read_record, write_case
from annofree.methods.synthtumour.coarse import coarse_of, flair_alone
from annofree.prepare.resample import low_passed, resample
from annofree.scan import Cohort, Modality
from annofree.thresholds.base import TIERS

#: The published mark at the end of the names of validation cases, and the file that states the split as well.
MARK, SPLIT, TABLE = "val", "splits_final.json", "cases.csv"


@dataclass(frozen=True)
class CaseFolder:
    """Made cases on disk.

    Attributes:
        root: The data set's folder.
        cohort: The images, loaded one at a time.
        train: Cases that teach.
        held_out: Cases of the validation task, which choose the weights.
    """

    root: Path
    cohort: Cohort
    train: tuple[str, ...]
    held_out: tuple[str, ...]

    def write(self, names: tuple[str, ...], spacing_mm: float, out: Path) -> list[Path]:
        """Write cases on the networks' grid, FLAIR and the whole tumour alone; those that are there stay.

        Raises:
            InputError: A case has no FLAIR or no label, or its label does not fit.
        """
        from annofree.methods.synthtumour.published_junior import WHOLE_ONLY

        folders = []
        for name in names:
            folder = out / folder_name(name)
            folders.append(folder)
            if read_record(folder) is not None:
                continue
            scan = self.cohort[name]
            labels = read_case_labels(self.root / "labelsTr", name, scan.grid)
            if labels is None:
                raise InputError(f"Case '{name}' has no label", file=self.root / "labelsTr")
            coarse = coarse_of(flair_alone(scan), spacing_mm).scan
            soft = low_passed((labels > 0).astype(np.float32), np.asarray(coarse.spacing_mm) / scan.spacing_mm)
            inside = resample(soft, scan.grid, coarse.grid, 1) >= 0.5
            # core and enhancing tumour, the upper bits, are open everywhere
            packed = np.where(inside, WHOLE_ONLY, WHOLE_ONLY & ~0b11).astype(np.uint8)
            write_case(folder, coarse, packed, {"case": name, "spacing_mm": spacing_mm})
        return folders


def open_case_folder(folder: str | Path) -> CaseFolder:
    """Open a data set of made cases, no image read yet.

    The first split of `splits_final.json` tells which cases teach and which are held out; without the file those whose
    names end in "val" are held out.

    Raises:
        InputError: It is no such folder, has labels of another tier than T0, or holds nobody out.
    """
    root = Path(folder)
    fix = "Write one with 'annofree synth -o FOLDER --preset published --healthy DIR'"
    if not (root / "imagesTr").is_dir() or not (root / "labelsTr").is_dir():
        raise InputError("This is no data set of made cases", file=root, why="imagesTr or labelsTr is missing", fix=fix)
    stated = None if (root / "dataset.json").is_file() else str(Modality.FLAIR)
    cohort = open_cohort(root / "imagesTr", sequence=stated)
    train, held_out = _split(root, cohort.ids)
    if not train or not held_out:
        raise InputError(
            f"{len(train)} cases of the folder teach and {len(held_out)} are held out, and both are needed",
            file=root,
            why=f"{SPLIT}, or '{MARK}' at the end of a name, tells which are held out",
            fix=fix,
        )
    for name, tier in tiers_of_labels(root, (*train, *held_out)).items():
        if tier != "T0":
            raise InputError(
                f"The label of case '{name}' has tier {tier}, and this junior learns from those of tier T0 alone",
                file=root / TABLE,
                why="the table of made cases does not list it, or says so: what experts' masks taught is another thing",
                fix=f"{fix}; or mix again and say with --tier T0 that no mask taught the network that gave the labels",
            )
    return CaseFolder(root, cohort, train, held_out)


def tiers_of_labels(root: Path, names: Iterable[str] | None = None) -> dict[str, str]:
    """The tier of each case's label by name: what the data set's table says, T0 of made cases, else S.

    Args:
        root: The data set, with `cases.csv`: made cases, or mixed ones with the tier of the tumour's label.
        names: The cases asked for; None for all of `labelsTr`.
    """
    told = {row.get("case", ""): row.get("tier", "T0") for row in read_table(root / TABLE)}
    asked = (
        [stem_of(path.name) for path in (root / "labelsTr").iterdir() if is_volume(path)] if names is None else names
    )
    tiers = {name: told.get(name, "S") for name in asked}
    return {name: tier if tier in TIERS else "S" for name, tier in tiers.items()}


def _split(root: Path, names: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The cases that teach, and those that are held out."""
    file = root / SPLIT
    if not file.is_file():
        return tuple(n for n in names if not n.endswith(MARK)), tuple(n for n in names if n.endswith(MARK))
    try:
        first = json.loads(file.read_text(encoding="utf-8"))[0]
        train, held_out = (tuple(str(name) for name in first[side]) for side in ("train", "val"))
    except (OSError, ValueError, LookupError, TypeError):
        raise InputError(
            "The split cannot be read", file=file, fix='It is [{"train": [...], "val": [...]}]; write it again'
        ) from None
    for wrong, why in (
        (sorted({*train, *held_out} - set(names)), "it has no image in imagesTr"),
        (sorted(set(train) & set(held_out)), "it teaches and is held out"),
        (sorted(n for n in train if n.endswith(MARK)), f"it teaches, and its name ends in '{MARK}'"),
    ):
        if wrong:
            raise InputError(f"The split does not fit its cases: '{wrong[0]}'", file=file, why=why, fix="Mend the file")
    return train, held_out
