"""Folders of segmentations against a folder of truth."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from math import isnan
from pathlib import Path

import numpy as np

from annofree.errors import AnnofreeError, InputError, some
from annofree.evaluation.foretold import Foretold, foretold_sentence
from annofree.evaluation.sanity import SanityRow, SanityRows
from annofree.formats import label_values, locate_truth, open_truth, read_segmentation, written_ids
from annofree.formats.derivatives import no_results
from annofree.formats.dicom.drawn import Segs, segs_below
from annofree.formats.grids import on_grid
from annofree.formats.label_sets import LABEL_SETS, UnclearLabels, named_to_2021
from annofree.formats.outfolder import read_table, write_table
from annofree.formats.standing import refuse_standing
from annofree.metrics import LESION_RULES, RULES, CaseScores, Score, Summary, score_case, summarise, write_case_scores
from annofree.registry import named
from annofree.scan import Truth, scoring
from annofree.segmentation import REGIONS, Segmentation

#: A tumour map that covers more of the brain than this is a brain mask or a map of tissues.
LARGEST_SHARE = 0.6
_FAILURES = "failures.tsv"
_EARLIER = f"The last run failed ({_FAILURES} says why): what is scored is the answer of an earlier one."
#: Means on the screen.
_MEANS = {
    "brats2023": ("dice", "lesionwise_dice", "hd95_mm"),
    "brats2025": ("dice", "brats2025_lesionwise_dice", "brats2025_hd95_mm", "brats2025_f1"),
    "panoptic": ("dice", "panoptic_pq", "panoptic_sq", "panoptic_rq"),
}
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


@dataclass(frozen=True, repr=False)
class Evaluation:
    """Scores of a result folder.

    Attributes:
        path: The table per case; `_summary`, `_sanity` and `_notes` lie beside it.
        skipped: Sentences about scans that are in no mean.
        notes: What else a reader of the scores should know, as (scan, sentence).
        sanity: What no method is needed for.
        rule: Whose way of counting lesions the screen shows.
        foretold: How well the stated expectation held, in words.
        read_as: What the numbers of the truth were taken for; several where the maps differ.
    """

    cases: tuple[CaseScores, ...]
    summary: Summary
    method: str
    tier: str
    path: Path
    skipped: tuple[str, ...]
    notes: tuple[tuple[str, str], ...] = ()
    sanity: tuple[SanityRow, ...] = ()
    rule: str = "brats2023"
    foretold: str = ""
    read_as: str = ""

    def __repr__(self) -> str:
        region = next(region for region in REGIONS if any(region in case.regions for case in self.cases))
        whole = self.summary.row("dice", region)
        name = "whole-tumour" if region == "WT" else region
        mean = f"{name} Dice {_shown('dice', whole.mean)} over {whole.n} of {len(self.cases)} scans"
        return f"<Evaluation of {self.method}, tier {self.tier}: {mean}; {self.path}>"

    def case_table(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Header and rows for the screen, one row per case and region."""
        shown = RULES[self.rule].columns
        rows: list[tuple[str, ...]] = [
            (case.case, region, *(_shown(metric, case.value(metric, region)) for metric in shown))
            for case in self.cases
            for region in case.regions
        ]
        return ("scan", "region", *shown.values()), rows

    def screen_notes(self) -> list[str]:
        """The notes for the screen, one a kind; the table beside the scores holds each."""
        scans: dict[str, list[str]] = {}
        for scan_id, note in self.notes:
            scans.setdefault(note, []).append(scan_id)
        return [f"{note} ({some(found)})" for note, found in scans.items()]

    def summary_table(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Header and rows of the means, with 95 % bootstrap intervals over cases; then the sanity rows."""
        shown = RULES[self.rule].columns
        rows: list[tuple[str, ...]] = []
        for region in dict.fromkeys(region for case in self.cases for region in case.regions):
            for metric in _MEANS[self.rule]:
                row = self.summary.row(metric, region)
                interval = f"{_shown(metric, row.low)} to {_shown(metric, row.high)}"
                rows.append((region, shown[metric], str(row.n), _shown(metric, row.mean), interval))
        for sane in self.sanity:
            if sane.metric == "dice":
                rows.append((sane.region, f"Dice of {sane.prediction}", str(sane.n), _shown("dice", sane.mean), ""))
        return ("region", "mean of", "n", "mean", "95 % interval"), rows


def evaluate(
    results: str | Path,
    truth: str | Path,
    *,
    out: str | Path | None = None,
    overwrite: bool = False,
    task: str = "GLI",
    rule: str = "brats2023",
    labels: str | None = None,
    method: str | None = None,
) -> Evaluation:
    """Score every segmentation of a folder for which there is truth.

    Args:
        results: A folder that `annofree segment` wrote.
        truth: A folder (or, for one scan, a file) with label maps.
        out: The table per case; by default `evaluation.tsv` in the results folder. The summary, the sanity rows and
            the notes lie beside it.
        overwrite: Whether tables that stand at `out` may be replaced; an earlier `evaluation.tsv` always is.
        task: Whose constants the lesion-wise rule uses.
        rule: Whose lesion rows to add and to show (`annofree.metrics.RULES`).
        labels: Label set of the truth (`annofree.formats.label_sets.LABEL_SETS`); None decides by the labels that
            occur in all maps together, or asks.
        method: Which method's answers, where the folder holds several.

    Raises:
        InputError: Nothing could be scored, or the truth's labels are unclear.
        OutputError: `out` exists.
    """
    results, constants = Path(results), named(LESION_RULES, task, "lesion-wise rule for task")
    named(RULES, rule, "scoring rule")
    if labels is not None:
        named(LABEL_SETS, labels, "label set")
    ids = written_ids(results, method)
    if not ids:
        raise no_results(results)
    paths = _claim(results, out, overwrite=overwrite)
    segs = cache(segs_below)
    files = _truth_files(truth, ids, segs)
    maps = [file for file in files.values() if isinstance(file, Path)]
    beside = frozenset[int]().union(*map(label_values, maps)) if labels is None else frozenset[int]()

    cases: list[CaseScores] = []
    skipped: list[tuple[str, str]] = []
    notes: list[tuple[str, str]] = []
    conventions, methods, tiers = dict[str, None](), dict[str, None](), dict[str, None]()
    sanity, foretold = SanityRows(constants), list[Foretold]()
    for scan_id in ids:
        try:
            left_out: list[str] = []
            answer = read_segmentation(results, scan_id, method, scores=tuple(REGIONS), left_out=left_out)
            if isinstance(source := files[scan_id], InputError):
                raise source
            expert = open_truth(
                source,
                scan_id,
                answer.grid,
                labels=labels,
                beside=beside,
                native=answer.native,
                files=dict(answer.provenance.get("files") or {}).values(),
            )
            regions = [region for region in answer.regions if region in expert.regions]
            with scoring():
                true = expert.labels
                _refuse_brain(true, answer, expert)
                case = _score(scan_id, answer, true, expert.regions, regions, task=task, rule=rule)
                sanity.add(answer, true, regions)
                turned = _mirrored(answer.mask("WT"), true > 0, case)
        except UnclearLabels:
            raise
        except AnnofreeError as error:
            skipped.append((scan_id, str(error)))
            continue
        cases.append(case)
        if "WT" in case.regions:
            foretold.append(Foretold.of(answer, case))
        told = (expert.note, _doubt(beside, expert), turned, *case.notes)
        notes += [(scan_id, note) for note in told if note]
        notes += [(scan_id, f"Ranking rows are left out. {sentence}") for sentence in left_out]
        if untold := [region for region in answer.regions if region not in regions]:
            words = f"{', '.join(untold)} cannot be scored: the truth's labels are {expert.convention}."
            notes.append((scan_id, words))
        if guessed := [region for region in answer.provenance.get("guessed_ml", {}) if region in expert.regions]:
            notes.append((scan_id, f"{', '.join(guessed)} is not scored: the answer leaves it open, for want of T1C"))
        conventions[expert.convention] = None
        methods[str(answer.provenance.get("method", "unknown"))] = None
        tiers[str(answer.provenance.get("tier", "unknown"))] = None
    failed = [row.get("id", "") for row in read_table(results / _FAILURES)]
    skipped += _lost(failed, truth, ids, segs)
    notes += [(case.case, _EARLIER) for case in cases if case.case in failed]
    if not cases:
        unlike = {sentence.replace(scan_id, ""): sentence for scan_id, sentence in reversed(skipped)}
        first_two = list(reversed(unlike.values()))[:2]
        raise InputError("Nothing could be scored", file=results, why=" ".join(first_two))
    summary = summarise(cases)
    write_case_scores(cases, paths[0])
    summary.write(paths[1])
    write_table(paths[2], sanity.rows(), SanityRow._fields)
    write_table(
        paths[3],
        [*((scan, "no", text) for scan, text in skipped), *((scan, "yes", text) for scan, text in notes)],
        ("scan", "scored", "note"),
    )
    return Evaluation(
        tuple(cases),
        summary,
        ", ".join(methods),
        ", ".join(tiers),
        paths[0],
        tuple(sentence for _, sentence in skipped),
        tuple(notes),
        sanity.rows(),
        rule,
        foretold_sentence(foretold),
        "; ".join(conventions),
    )


def _truth_files(truth: str | Path, ids: Sequence[str], segs: Segs) -> dict[str, Path | InputError]:
    """The truth of each scan, or why there is none."""
    if not Path(truth).exists():
        raise InputError("There is no such file or folder", file=truth, fix="Check the path given as truth")
    if Path(truth).is_file() and len(ids) > 1:
        raise InputError(
            f"One truth was given for {len(ids)} scans",
            file=truth,
            why=f"the results hold {some(ids)}",
            fix="Give the folder that holds a label map for each",
        )
    files: dict[str, Path | InputError] = {}
    for scan_id in ids:
        try:
            files[scan_id] = locate_truth(truth, scan_id, segs)
        except InputError as error:
            files[scan_id] = error
    return files


def _score(
    scan_id: str,
    answer: Segmentation,
    true: np.ndarray,
    told_apart: Collection[str],
    regions: Sequence[str],
    *,
    task: str,
    rule: str,
) -> CaseScores:
    """The scores of one answer in some regions, of those that the truth tells apart."""
    return score_case(
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
        truth_regions=told_apart,
    )


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


def _lost(failed: Sequence[str], truth: str | Path, ids: Sequence[str], segs: Segs) -> list[tuple[str, str]]:
    """Scans that `segment` failed on although there is truth: they are in no mean, which has to be said."""
    if Path(truth).is_file():  # which is of the one scan that was segmented
        return []
    missing = _truth_files(truth, [scan_id for scan_id in failed if scan_id and scan_id not in ids], segs)
    return [
        (scan_id, f"Scan '{scan_id}' has truth but no segmentation ({_FAILURES} says why); it is in no mean.")
        for scan_id, file in missing.items()
        if isinstance(file, Path)
    ]


def _claim(results: Path, out: str | Path | None, *, overwrite: bool) -> list[Path]:
    """The four tables' paths, refused before anything is computed where they would replace something."""
    first = Path(out) if out is not None else results / "evaluation.tsv"
    paths = [first, *(first.with_name(f"{first.stem}_{part}.tsv") for part in ("summary", "sanity", "notes"))]
    refuse_standing(*paths, overwrite=overwrite or (out is None and _is_ours(first)))
    return paths


def _is_ours(table: Path) -> bool:
    if not table.exists():
        return True  # the tables beside it were made with it
    with table.open(encoding="utf-8", errors="replace") as file:
        return file.readline().rstrip("\n").split("\t") == list(Score._fields)


def _shown(metric: str, value: float) -> str:
    if isnan(value):
        return "n/a"
    return f"{value:.1f}" if metric.endswith(("_ml", "_mm")) else f"{value:.3f}"
