"""The worst cases of the best method as pictures: its outline and that of the truth on one slice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annofree.bench.results import Entry, Group
from annofree.errors import AnnofreeError
from annofree.formats import open_truth, read_segmentation
from annofree.prepare.slices import pick_sequence
from annofree.review.pictures import outlined_slice
from annofree.scan import scoring

#: Pictures a kind of data.
MOST = 4
#: Outlines: what was called, and the truth.
CALLED, TRUE = (240, 126, 72), (86, 180, 233)


@dataclass(frozen=True)
class Picture:
    """One slice of one case."""

    case: str
    words: str
    address: str


def worst_cases(group: Group) -> list[Picture]:
    """Pictures of the cases that the best method by its own rules did worst, transductive ones left out."""
    ranked = sorted((entry for entry in group.entries if entry.own and not entry.transductive), key=_mean)
    if not ranked:
        return []
    best = ranked[-1]
    values = best.dices
    pictures = []
    for case in sorted(values, key=lambda case: values[case])[:MOST]:
        try:
            pictures.append(_picture(group, best, case, values[case]))
        except AnnofreeError:
            continue  # a picture is no result
    return pictures


def _mean(entry: Entry) -> float:
    known = list(entry.dices.values())
    return float(np.mean(known)) if known else -1.0


def _picture(group: Group, entry: Entry, case: str, dice: float) -> Picture:
    scan = group.place.cohort()[case]
    answer = read_segmentation(entry.answers, case, scores=())
    truth = open_truth(group.place.truth, case, scan.grid, native=scan.native, files=scan.files.values())
    with scoring():
        true: NDArray[np.bool_] = truth.labels > 0
    called = answer.mask("WT")
    level = int((called | true).sum(axis=(0, 1)).argmax())
    name, brain = pick_sequence(scan), scan.foreground()
    image = scan.images[name]
    low, high = np.percentile(image[brain], (1, 99.5))
    shown = np.clip((image[:, :, level] - low) / max(high - low, 1e-6), 0, 1) * brain[:, :, level]
    grey = (255 * shown).astype(np.uint8)
    lines = ((called[:, :, level], CALLED), (true[:, :, level], TRUE))
    words = f"{case}: Dice {dice:.3f} by {entry.name}; {name}, orange called, blue truth"
    return Picture(case, words, outlined_slice(grey, lines, scan.spacing_mm[:2]))
