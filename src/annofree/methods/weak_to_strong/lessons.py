"""What the strong stage learns from: a cohort with labels, split by patient, or made cases."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from math import floor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.formats.npy import SPLITS
from annofree.methods.weak_to_strong.otsu import tumour_mask
from annofree.methods.weak_to_strong.settings import OTSU, WeakToStrongSettings
from annofree.methods.weak_to_strong.unetr import Size
from annofree.methods.weak_to_strong.volumes import (
    VALIDATION_SEEDS,
    MadeWindows,
    Volume,
    VolumeSampler,
    at_border,
    cut_share,
    made_volume,
    volume_of,
)
from annofree.scan import Cohort, Scan
from annofree.thresholds.base import worst_tier
from annofree.training.healthy import bank_of
from annofree.training.stream import Sampler

Label = Callable[[Scan, NDArray[np.bool_]], NDArray[np.bool_]]
"""From a scan and its brain to a tumour mask (X, Y, Z) on the scan's grid."""


class FromResults:
    """Labels from a folder that `annofree segment` or `annofree weak tumour` wrote; notes the tiers it meets."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.tiers: set[str] = set()
        self.methods: set[str] = set()

    def __call__(self, scan: Scan, brain: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The mask that the folder holds for the scan.

        Raises:
            InputError: There is none, or it lies on another grid.
        """
        from annofree.formats import read_segmentation

        answer = read_segmentation(self.folder, scan.id)
        if not answer.grid.same_as(scan.grid):
            raise InputError(f"The mask of scan '{scan.id}' lies on another grid than its images", file=self.folder)
        self.tiers.add(str(answer.provenance.get("tier", "T3")))
        self.methods.add(str(answer.provenance.get("method", "unknown")))
        return answer.mask("WT")

    @property
    def tier(self) -> str:
        """The worst tier among the masks read: what learns from them is no better."""
        return worst_tier(sorted(self.tiers) or ["T0"])


class FromTruth:
    """Labels from experts' label maps, or from the masks that `annofree accept` took: tier S.

    Of an output folder of annofree only the accepted masks count.

    Raises:
        InputError: It is an output folder without accepted masks.
    """

    def __init__(self, folder: str | Path) -> None:
        from annofree.formats.accepted import accepted_masks
        from annofree.formats.outfolder import is_ours

        self.folder = Path(folder)
        self.accepted = accepted_masks(self.folder) if is_ours(self.folder) else None

    def labelled(self, ids: Iterable[str]) -> list[str]:
        """The scans to learn from: all, or those with an accepted mask. Raises `InputError`: none of them has one."""
        asked = list(ids)
        kept = [i for i in asked if self.accepted is None or i in self.accepted]
        if not kept:
            raise InputError(
                "No accepted mask belongs to any of the patients",
                file=self.folder,
                why=f"masks are of {', '.join(list(self.accepted or ())[:3])}; patients are {', '.join(asked[:3])}",
                fix="Give the scans that were segmented there",
            )
        return kept

    def __call__(self, scan: Scan, brain: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The whole tumour.

        Raises:
            InputError: No label map of the scan's name is there, or it does not fit.
            LeakError: Called by a fit that is not of tier S.
        """
        from annofree.formats import open_truth

        of_ours = self.accepted is not None and "_dseg" in self.accepted[scan.id].name
        source = self.folder if self.accepted is None else self.accepted[scan.id]
        meaning = None if self.accepted is None else "brats2023" if of_ours else "binary"
        truth = open_truth(source, scan.id, scan.grid, labels=meaning, native=scan.native, files=scan.files.values())
        return np.asarray(truth.labels > 0)


@dataclass(frozen=True)
class Split:
    """Ids of a patient-level split: to learn from, to choose with, and to score once."""

    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]


def split_patients(ids: Iterable[str], *, seed: int) -> Split:
    """70/15/15 by patient, at random; where folders `train`, `val`, `test` were given (as in `.npy` sets), those.

    Raises:
        InputError: Fewer than three patients, or a part is empty.
    """
    known = list(ids)
    given = {name: [i for i in known if i.startswith(f"{name}_")] for name in SPLITS}
    if given["train"] and sum(map(len, given.values())) == len(known):
        parts = Split(tuple(given["train"]), (*given["val"], *given["validation"]), tuple(given["test"]))
        if not parts.val:
            raise InputError("The set has no validation part", fix="Add a folder 'val' beside 'train'")
        return parts
    if len(known) < 3:
        raise InputError(
            f"{len(known)} scan{'s' * (len(known) != 1)} cannot be split into training, validation and test",
            fix="Give at least three",
        )
    order = [known[i] for i in np.random.default_rng([seed, 4]).permutation(len(known))]
    held = max(1, floor(0.15 * len(known)))
    return Split(tuple(order[2 * held :]), tuple(order[:held]), tuple(order[held : 2 * held]))


def cut_sentences(volumes: Iterable[Volume], size: Size) -> list[str]:
    """What the window and earlier crops took from the tumours; empty where nothing is cut.

    Random windows cut nothing, because every part of the brain gets its turn.
    """
    held = [volume for volume in volumes if bool(volume.target.any())]
    shares = {v.id: cut_share(v, size.network.window) for v in held} if size.crop == "centre" else {}
    cut = sorted(((round(share, 4), name) for name, share in shares.items() if share > 0), key=lambda one: -one[0])
    border = [volume.id for volume in held if at_border(volume)]
    found = []
    if cut:
        found.append(
            f"the window cuts the tumour of {len(cut)} of {len(held)} scans, on average by "
            f"{100 * sum(share for share, _ in cut) / len(cut):.1f} %, at most {100 * cut[0][0]:.1f} % ({cut[0][1]})"
        )
    if border:
        found.append(
            f"the tumour of {len(border)} of {len(held)} scans ends at the border of its array "
            f"({', '.join(border[:5])}): it was cut before"
        )
    return found


@dataclass(frozen=True)
class Lessons:
    """Everything that a fit of the strong stage needs.

    Attributes:
        sampler: Training samples.
        val: Volumes that choose weights and settings.
        test: Volumes that are scored once, at the end; none for made cases.
        ahead: Batches worth making ahead in another process.
        tier: Of the labels.
        card: What was learned from, for the model's card.
    """

    sampler: Sampler
    val: tuple[Volume, ...]
    test: tuple[Volume, ...]
    ahead: int
    tier: str
    card: dict[str, Any]


def made_lessons(settings: WeakToStrongSettings, size: Size) -> Lessons:
    """Lessons from made brains with made tumours."""
    from annofree.synthesis import SynthesisSettings
    from annofree.training.sources import MadeCases

    folder, bank = settings.labelmaps, bank_of(settings.labelmaps)
    volume = partial(made_volume, MadeCases(bank, SynthesisSettings(), 2.0), size.spacing_mm)
    card = {
        "anatomies": "MNI152 tissue maps" if folder is None else f"{len(bank)} label maps",
        "labels": "made tumours; no lesion of any patient, no mask",
    }
    sampler = MadeWindows(volume, size, batch=size.batch, seed=settings.seed, kept=settings.made_cases)
    return Lessons(sampler, tuple(map(volume, VALIDATION_SEEDS)), (), 4, "T0", card)


def patient_lessons(
    settings: WeakToStrongSettings,
    size: Size,
    patients: Cohort,
    brain_of: Callable[[Scan], NDArray[np.bool_]],
) -> Lessons:
    """Lessons from patients' scans with labels; experts' masks can be read in tier S alone.

    Raises:
        InputError: A label is missing or does not fit, or nothing is labelled at all.
    """
    label: Label = tumour_mask
    if settings.supervision == "truth":
        label = FromTruth(settings.labels)
    elif settings.labels != OTSU:
        label = FromResults(settings.labels)
    asked = len(patients)
    if isinstance(label, FromTruth):
        patients = patients.subset(label.labelled(patients.ids))
    split_patients(patients.ids, seed=settings.seed)  # too few are refused before minutes of reading
    volumes: dict[str, Volume] = {}
    for scan in patients:
        brain = brain_of(scan)
        volumes[scan.id] = volume_of(scan, size.spacing_mm, brain, label(scan, brain))
    empty = [name for name, volume in volumes.items() if not bool(volume.target.any())]
    if len(empty) == len(volumes):
        raise InputError("No scan has anything labelled", file=None if settings.labels == OTSU else settings.labels)
    cuts = cut_sentences(volumes.values(), size)
    # An expert who marks nothing says that there is nothing; a threshold that finds nothing says nothing.
    kept = [name for name in volumes if isinstance(label, FromTruth) or name not in empty]
    split = split_patients(kept, seed=settings.seed)
    card = {
        "patients": {"train": list(split.train), "val": list(split.val), "test": list(split.test)},
        "labels": _words(label),
        "scans without anything labelled": f"{len(empty)}, {'kept' if isinstance(label, FromTruth) else 'left out'}",
        "cut tumours": cuts,
        **({"scans without a mask": f"{asked - len(patients)}, left out"} if asked > len(patients) else {}),
    }
    train, val, test = (tuple(volumes[i] for i in ids) for ids in (split.train, split.val, split.test))
    tier = "S" if isinstance(label, FromTruth) else label.tier if isinstance(label, FromResults) else "T0"
    return Lessons(VolumeSampler(train, size, size.batch, settings.seed), val, test, 0, tier, card)


def _words(label: Label) -> str:
    if isinstance(label, FromTruth):
        return "masks that a person corrected (supervised)" if label.accepted else "experts' masks (supervised)"
    return f"answers of {', '.join(sorted(label.methods))}" if isinstance(label, FromResults) else "Otsu tumour masks"
