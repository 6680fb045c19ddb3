"""SynthTumour's second stage on nnU-Net folders: real tumours in healthy scans, and a data set for the senior."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError, no_folder
from annofree.formats.nnunet import read_case_labels, write_description, write_first_description
from annofree.formats.outfolder import atomic_write, is_ours, read_table, table, write_table
from annofree.formats.scans import open_cohort
from annofree.formats.standing import listed, refuse_shared, refuse_standing, unfinished_fit
from annofree.formats.stored import read_segmentation, written_ids
from annofree.formats.study import Prepare
from annofree.modality import Modality
from annofree.scan import Cohort
from annofree.synthesis.dataset import TABLE, MadeFolder
from annofree.synthesis.mix import MixSettings, most_pairs, shared_sequences
from annofree.synthesis.mix_dataset import label_names, listed_labels, write_mixed

#: The merged data set in the forms of nnU-Net 2 and 1.
SECOND_FORM, FIRST_FORM = "Dataset101_SynthTumourSenior", "Task101_SynthTumourSenior"
IMAGES, LABELS, PAIRS = "imagesTrMix", "labelsMix", "mixid.csv"
_PREFIX = "CarveMix"
#: Where the mixed cases are made, below the output folder.
_WORK = ".annofree-mix"
_MOST = 200
#: One patient in so many is held out, with all that is mixed of the tumour; those whose names end in the mark first.
_HELD_OUT, _MARK = 5, "val"


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
    tier: str | None = None,
    workers: int = 1,
    prepare: Prepare | None = None,
) -> dict[str, Any]:
    """Mix pseudo-labelled tumours into healthy scans.

    Args:
        images: nnU-Net's `imagesTr` of patients, `<case>_0000.nii.gz`.
        labels: The first network's answers: a folder that annofree segmented into, or of `<case>.nii.gz`; a case
            without one, or with an empty one, is left out.
        healthy: Healthy scans: such a folder, or any that `open_cohort` reads.
        out: An absent or empty folder, or one that the same order left unfinished. It gets `imagesTrMix`, `labelsMix`,
            `mixid.csv` (`id,id1,id2`: case, tumour, healthy), and the mixed cases together with the originals as a data
            set of nnU-Net 2 and as one of nnU-Net 1 (the same files, linked). That of nnU-Net 2 states a split, which
            keeps each patient's tumour on one side, and in `cases.csv` the tier of every label.
        settings: See `MixSettings`.
        n: Mixed cases; None makes as many as the scans allow, at most 200.
        seed: Decides everything.
        sequence: What channel 0000 is; None asks `dataset.json` beside `images`, and takes FLAIR where there is none.
        brain_mask: Name pattern of brain masks beside the healthy scans.
        csv: Another place for the table.
        tier: That of labels whose folder does not tell it; annofree's own answers and made cases tell theirs.
        workers: Processes.
        prepare: As for `open_cohort`, for the healthy scans; without, whole heads are refused.

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
    hosts = open_cohort(healthy, sequence=stated, brain_mask=brain_mask, prepare=prepare)
    refuse_shared(hosts, patients)
    known, tiers = _labels_of(patients, Path(labels), tier)
    usable = [name for name, values in known.items() if values.any()]
    most = most_pairs(len(usable), len(hosts), settings)
    count = min(most, _MOST) if n is None else n
    merged, work = root / SECOND_FORM, root / _WORK
    asked = {"n": count, "seed": seed, "settings": settings.model_dump(mode="json"), "tiers": tiers}
    asked |= {"labels": listed_labels(known), "patients": listed(patients), "healthy": listed(hosts)}
    with unfinished_fit(root, "synth mix", asked):
        if not (work / TABLE).is_file():
            write_mixed(
                patients, known, hosts, work, n=count, seed=seed, settings=settings, workers=workers, prefix=_PREFIX
            )
        rows = read_table(work / TABLE)
        sequences = shared_sequences(patients[usable[0]], hosts[hosts.ids[0]])
        for there, here in (("imagesTr", IMAGES), ("labelsTr", LABELS)):
            for file in sorted((work / there).iterdir()):
                _link(file, root / here / file.name)
                _link(file, merged / there / file.name)
        originals = MadeFolder(merged, "nnunet", sequences)
        for name in usable:
            scan = patients[name]
            originals.write(name, scan.images, known[name], scan)
        cases = [{"case": r["id"], **r, "tier": tiers[r["tumour"]]} for r in rows]
        cases += [{"case": name, "tumour": name, "tier": tiers[name]} for name in usable]
        write_table(merged / TABLE, cases, delimiter=",")
        _describe(root, sequences, known, cases, _split(cases, usable))
        text = table([{"id": r["id"], "id1": r["tumour"], "id2": r["healthy"]} for r in rows], delimiter=",")
        atomic_write(root / PAIRS if csv is None else Path(csv), text)
        shutil.rmtree(work)
    return {
        "mixed": len(rows),
        "originals": len(usable),
        "left out": len(patients) - len(usable),
        "sequences": sequences,
        "tiers": sorted({tiers[name] or "not told" for name in usable}),
    }


def _labels_of(
    patients: Cohort, folder: Path, tier: str | None
) -> tuple[dict[str, NDArray[np.uint8]], dict[str, str | None]]:
    """Label maps on the scans' grids, of those that have one, and the tier of each; None where nothing tells it."""
    if not folder.is_dir():
        raise no_folder(folder, "Name it with --labels", "of labels")
    found: dict[str, NDArray[np.uint8]] = {}
    ours = set(written_ids(folder)) if is_ours(folder) else None
    made = {row.get("case", ""): row.get("tier", "T0") for row in read_table(folder.parent / TABLE)}
    tiers: dict[str, str | None] = {}
    for name in patients.ids:
        if ours is None:
            labels = read_case_labels(folder, name, patients[name].grid)
            tiers[name] = made.get(name, tier)
        elif name in ours:
            answer = read_segmentation(folder, name, scores=())
            if not answer.grid.same_as(patients[name].grid):
                raise InputError(f"The answer for '{name}' lies on another grid than its image", file=folder)
            labels, tiers[name] = answer.labels, answer.provenance.get("tier", tier)
        else:
            continue
        if labels is not None:
            found[name] = labels
    if not found:
        raise InputError(
            "No label belongs to any of the images",
            file=folder,
            why=f"the images are {', '.join(patients.ids[:3])}",
            fix="Name each label <case>.nii.gz after its image <case>_0000.nii.gz",
        )
    return found, tiers


def _split(cases: Sequence[Mapping[str, Any]], patients: Sequence[str]) -> dict[str, list[str]] | None:
    """Cases that teach and cases that are held out, each patient's on one side; None for a single patient."""
    held = {name for name in patients if name.endswith(_MARK)} or set(patients[::_HELD_OUT])
    split: dict[str, list[str]] = {"train": [], "val": []}
    for case in cases:
        split["val" if case["tumour"] in held else "train"].append(case["case"])
    return split if split["train"] else None


def _link(source: Path, target: Path) -> None:
    """The same file under a second name; a copy where the disk knows no links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)  # of a run that was stopped
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _describe(
    root: Path,
    sequences: tuple[Modality, ...],
    known: Mapping[str, NDArray[np.uint8]],
    cases: Sequence[Mapping[str, Any]],
    split: Mapping[str, list[str]] | None,
) -> None:
    """`dataset.json` in both forms; they disagree about "labels", so that no one file serves both."""
    names = label_names(known.values())
    merged, first = root / SECOND_FORM, root / FIRST_FORM
    write_description(merged, sequences, names, len(cases), split)
    for folder in ("imagesTr", "labelsTr"):
        for file in sorted((merged / folder).iterdir()):
            _link(file, first / folder / file.name)
    write_first_description(first, sequences, names, [case["case"] for case in cases])
