"""Folders of segmentations against a folder of truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import isnan
from pathlib import Path

from annofree.errors import AnnofreeError, InputError, some
from annofree.evaluation.case import score_answer
from annofree.evaluation.foretold import Foretold, foretold_sentence
from annofree.evaluation.sanity import SanityRow, SanityRows
from annofree.formats import label_values, locate_truth, written_ids
from annofree.formats.dicom.drawn import Segs, segs_below
from annofree.formats.label_sets import LABEL_SETS, UnclearLabels
from annofree.formats.outfolder import read_table, write_table
from annofree.formats.standing import refuse_standing
from annofree.formats.stored import no_results
from annofree.metrics import LESION_RULES, RULES, CaseScores, Score, Summary, summarise, write_case_scores
from annofree.registry import named
from annofree.segmentation import REGIONS

_FAILURES = "failures.tsv"
_EARLIER = f"The last run failed ({_FAILURES} says why): what is scored is the answer of an earlier one."
#: Means on the screen.
_MEANS = {
    "brats2023": ("dice", "lesionwise_dice", "hd95_mm"),
    "brats2025": ("dice", "brats2025_lesionwise_dice", "brats2025_hd95_mm", "brats2025_f1"),
    "panoptic": ("dice", "panoptic_pq", "panoptic_sq", "panoptic_rq"),
}


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
            if isinstance(file := files[scan_id], InputError):
                raise file
            one = score_answer(
                results, scan_id, file, method=method, labels=labels, beside=beside, task=task, rule=rule
            )
        except UnclearLabels:
            raise
        except AnnofreeError as error:
            skipped.append((scan_id, str(error)))
            continue
        cases.append(one.scores)
        notes += [(scan_id, note) for note in one.notes]
        sanity.add(one.answer, one.truth, one.regions)
        if "WT" in one.regions:
            foretold.append(Foretold.of(one.answer, one.scores))
        conventions[one.read_as] = None
        methods[str(one.answer.provenance.get("method", "unknown"))] = None
        tiers[str(one.answer.provenance.get("tier", "unknown"))] = None
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
