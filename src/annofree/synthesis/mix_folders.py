"""SynthTumour's second stage on nnU-Net folders: real tumours in healthy scans, and a data set for the senior."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.formats.nnunet import read_case_labels, write_description, write_first_description
from annofree.formats.outfolder import atomic_write, read_table, table
from annofree.formats.scans import open_cohort
from annofree.formats.standing import refuse_standing
from annofree.modality import Modality
from annofree.scan import Cohort
from annofree.synthesis.dataset import MadeFolder
from annofree.synthesis.mix import MixSettings, most_pairs, shared_sequences
from annofree.synthesis.mix_dataset import label_names, write_mixed

#: The merged data set in the forms of nnU-Net 2 and 1.
SECOND_FORM, FIRST_FORM = "Dataset101_SynthTumourSenior", "Task101_SynthTumourSenior"
IMAGES, LABELS, PAIRS = "imagesTrMix", "labelsMix", "mixid.csv"
_PREFIX = "CarveMix"
_MOST = 200


def mix_folders(
    images: str | Path,
    labels: str | Path,
    healthy: str | Path,
    out: str | Path,
    *,
    settings: MixSettings | None = None,
    n: int | None = None,
    seed: int = 0,
    sequence: str | None = None,
    brain_mask: str | None = None,
    csv: str | Path | None = None,
    workers: int = 1,
) -> dict[str, Any]:
    """Mix pseudo-labelled tumours into healthy scans.

    Args:
        images: nnU-Net's `imagesTr` of patients, `<case>_0000.nii.gz`.
        labels: The first network's answers, `<case>.nii.gz`; a case without one, or with an empty one, is left out.
        healthy: Healthy scans: such a folder, or any that `open_cohort` reads.
        out: An absent or empty folder. It gets `imagesTrMix`, `labelsMix`, `mixid.csv` (`id,id1,id2`: case, tumour,
            healthy), and the mixed cases together with the originals as a data set of nnU-Net 2 and as one of
            nnU-Net 1 (the same files, linked).
        settings: See `MixSettings`.
        n: Mixed cases; None makes as many as the scans allow, at most 200.
        seed: Decides everything.
        sequence: What channel 0000 is; None asks `dataset.json` beside `images`, and takes FLAIR where there is none.
        brain_mask: Name pattern of brain masks beside the healthy scans.
        csv: Another place for the table.
        workers: Processes.

    Returns:
        Numbers of `mixed` cases, of `originals` and of those `left out`, and the `sequences`.

    Raises:
        InputError: A folder cannot be read, a label does not fit its image, or there are too few scans.
        OutputError: The folder is not empty.
    """
    settings, root = settings or MixSettings(), Path(out)
    if csv is not None:
        refuse_standing(csv)
    stated = sequence or (None if (Path(images).parent / "dataset.json").is_file() else str(Modality.FLAIR))
    patients = open_cohort(images, sequence=stated)
    hosts = open_cohort(healthy, sequence=stated, brain_mask=brain_mask)
    known = _labels_of(patients, Path(labels))
    usable = [name for name, values in known.items() if values.any()]
    most = most_pairs(len(usable), len(hosts), settings)
    count = min(most, _MOST) if n is None else n
    merged = root / SECOND_FORM
    MadeFolder.new(root, "nnunet", ())  # refuses a folder that holds anything
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root) as temporary:
        made = write_mixed(
            patients, known, hosts, Path(temporary) / "m", n=count, seed=seed, settings=settings, workers=workers,
            prefix=_PREFIX,
        )  # fmt: skip
        rows = read_table(made / "cases.csv")
        sequences = shared_sequences(patients[usable[0]], hosts[hosts.ids[0]])
        for there, here in (("imagesTr", IMAGES), ("labelsTr", LABELS)):
            (made / there).rename(root / here)
    for there, here in ((IMAGES, "imagesTr"), (LABELS, "labelsTr")):
        for file in sorted((root / there).iterdir()):
            _link(file, merged / here / file.name)
    originals = MadeFolder(merged, "nnunet", sequences)
    for name in usable:
        scan = patients[name]
        originals.write(name, scan.images, known[name], scan)
    _describe(root, sequences, known, [row["id"] for row in rows] + usable)
    text = table([{"id": r["id"], "id1": r["tumour"], "id2": r["healthy"]} for r in rows], delimiter=",")
    atomic_write(root / PAIRS if csv is None else Path(csv), text)
    return {
        "mixed": len(rows),
        "originals": len(usable),
        "left out": len(patients) - len(usable),
        "sequences": sequences,
    }


def _labels_of(patients: Cohort, folder: Path) -> dict[str, NDArray[np.uint8]]:
    """Label maps on the scans' grids, of those that have one."""
    if not folder.is_dir():
        raise InputError("There is no folder of labels", file=folder, fix="Name it with --labels")
    found: dict[str, NDArray[np.uint8]] = {}
    for name in patients.ids:
        labels = read_case_labels(folder, name, patients[name].grid)
        if labels is not None:
            found[name] = labels
    if not found:
        raise InputError(
            "No label belongs to any of the images",
            file=folder,
            why=f"the images are {', '.join(patients.ids[:3])}",
            fix="Name each label <case>.nii.gz after its image <case>_0000.nii.gz",
        )
    return found


def _link(source: Path, target: Path) -> None:
    """The same file under a second name; a copy where the disk knows no links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _describe(
    root: Path, sequences: tuple[Modality, ...], known: Mapping[str, NDArray[np.uint8]], cases: list[str]
) -> None:
    """`dataset.json` in both forms; they disagree about "labels", so that no one file serves both."""
    names = label_names(known.values())
    merged, first = root / SECOND_FORM, root / FIRST_FORM
    write_description(merged, sequences, names, len(cases))
    for folder in ("imagesTr", "labelsTr"):
        for file in sorted((merged / folder).iterdir()):
            _link(file, first / folder / file.name)
    write_first_description(first, sequences, names, cases)
