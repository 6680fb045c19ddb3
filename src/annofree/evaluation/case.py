"""One answer against its truth: the scores, and what a reader of them should know."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.formats import open_truth, read_segmentation
from annofree.formats.grids import on_grid
from annofree.formats.label_sets import LABEL_SETS, named_to_2021
from annofree.metrics import CaseScores, score_case
from annofree.scan import Truth, scoring
from annofree.segmentation import REGIONS, Segmentation

#: A tumour map that covers more of the brain than this is a brain mask or a map of tissues.
LARGEST_SHARE = 0.6
#: A whole-tumour Dice below which a truth that lies mirrored is looked for, and by how much more it has to fit.
_POOR = 0.4
_TWO_LABELS = (
    "The label maps hold 1 and 2 alone, read as core and oedema; where they mean something else (oedema and enhancing "
    "tumour: hd-glio), say it with --labels."
)
_RENUMBERED = (
    "The label maps are called as those of BraTS to 2021, whose enhancing tumour is 4, and hold 3: read as core 1, "
    "oedema 2, enhancing 3; where nnU-Net's converter made them, with oedema 1 and core 2, say --labels msd."
)


class Scored(NamedTuple):
    """An answer and its scores.

    Attributes:
        answer: What was scored.
        truth: (X, Y, Z) labels 0..3 on the answer's grid.
        regions: What answer and truth both tell apart.
        scores: Of these regions.
        read_as: What the numbers of the truth were taken for.
        notes: What else a reader of the scores should know.
    """

    answer: Segmentation
    truth: NDArray[np.uint8]
    regions: list[str]
    scores: CaseScores
    read_as: str
    notes: list[str]


def score_answer(
    results: Path,
    scan_id: str,
    truth: Path,
    *,
    method: str | None,
    labels: str | None,
    beside: frozenset[int],
    task: str,
    rule: str,
) -> Scored:
    """Score the answer for one scan of a result folder, in the regions that answer and truth tell apart.

    `truth` is its file, `beside` what the maps of all scans hold together; the rest is as for `evaluate`.

    Raises:
        InputError: Answer or truth cannot be read, do not lie in one space, or the truth is no tumour map.
    """
    left_out: list[str] = []
    answer = read_segmentation(results, scan_id, method, scores=tuple(REGIONS), left_out=left_out)
    made_from = dict(answer.provenance.get("files") or {}).values()
    expert = open_truth(
        truth, scan_id, answer.grid, labels=labels, beside=beside, native=answer.native, files=made_from
    )
    regions = [region for region in answer.regions if region in expert.regions]
    with scoring():
        true = expert.labels
    _refuse_brain(true, answer, expert)
    scores = score_case(
        answer.labels,
        true,
        answer.grid.spacing_mm,
        case=scan_id,
        regions=regions,
        scores={name: on_grid(score, answer.grid).values for name, score in answer.scores.items() if name in regions},
        brain=answer.brain,
        task=task,
        rule=rule,
        voxel_ml=answer.grid.voxel_ml,
        truth_regions=expert.regions,
    )
    turned = _mirrored(answer.mask("WT"), true > 0, scores)
    notes = [note for note in (expert.note, _doubt(beside, expert), turned, *scores.notes) if note]
    notes += [f"Ranking rows are left out. {sentence}" for sentence in left_out]
    if untold := [region for region in answer.regions if region not in regions]:
        notes.append(f"{', '.join(untold)} cannot be scored: the truth's labels are {expert.convention}.")
    if guessed := [region for region in answer.provenance.get("guessed_ml", {}) if region in expert.regions]:
        notes.append(f"{', '.join(guessed)} is not scored: the answer leaves it open, for want of T1C")
    return Scored(answer, true, regions, scores, expert.convention, notes)


def _refuse_brain(true: np.ndarray, answer: Segmentation, expert: Truth) -> None:
    if answer.brain is None or not (brain := int(np.count_nonzero(answer.brain))):
        return
    share = np.count_nonzero(true) / brain
    if share > LARGEST_SHARE:
        raise InputError(
            f"The truth of scan '{answer.scan_id}' is no tumour map",
            file=expert.source,
            why=f"it marks {100 * share:.0f} % of the brain, as a brain mask or a map of tissues does",
            fix="Give the expert's tumour map",
        )


def _doubt(beside: frozenset[int], expert: Truth) -> str:
    """What to say of maps that were read as those of BraTS 2023 and may be others."""
    if expert.convention != LABEL_SETS["brats2023"].words:
        return ""
    if 3 in beside and named_to_2021(Path(expert.source or "").name):
        return _RENUMBERED
    return _TWO_LABELS if beside == {0, 1, 2} else ""


def _mirrored(called: np.ndarray, true: np.ndarray, case: CaseScores) -> str:
    """What to say where the truth fits far better with axes turned round: a file saved without its axis order."""
    if "WT" not in case.regions or not called.any() or not true.any() or case.value("dice", "WT") > _POOR:
        return ""
    ways = [tuple(axis for axis in range(3) if way >> axis & 1) for way in range(1, 8)]
    fits = {way: 2 * np.count_nonzero(called & np.flip(true, way)) for way in ways}
    best = max(ways, key=lambda way: fits[way])
    dice = fits[best] / (np.count_nonzero(called) + np.count_nonzero(true))
    if dice < case.value("dice", "WT") + _POOR:
        return ""
    sides = " and ".join(("left and right", "back and front", "bottom and top")[axis] for axis in best)
    return f"With {sides} exchanged the truth would fit (Dice {dice:.2f}): look whether it lies where its header says."
