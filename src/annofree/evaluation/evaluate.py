"""Folders of segmentations against a folder of truth."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan
from pathlib import Path

from annofree.errors import AnnofreeError, InputError
from annofree.formats import open_truth, read_segmentation, written_ids
from annofree.metrics import CaseScores, Summary, score_case, summarise, write_case_scores
from annofree.scan import scoring

#: What the screen shows, in this order; the TSV holds every metric.
SHOWN = {
    "dice": "Dice",
    "lesionwise_dice": "lesion-wise Dice",
    "hd95_mm": "HD95 mm",
    "precision": "precision",
    "recall": "recall",
    "predicted_ml": "ml",
    "truth_ml": "true ml",
    "false_positive_ml": "false ml",
}


@dataclass(frozen=True)
class Evaluation:
    """Scores of a result folder.

    Attributes:
        cases: Scores per case.
        summary: Means with bootstrap intervals.
        method: The method that segmented.
        tier: Its supervision tier.
        path: The table per case; the summary lies beside it.
        skipped: Sentences about scans that could not be scored.
    """

    cases: tuple[CaseScores, ...]
    summary: Summary
    method: str
    tier: str
    path: Path
    skipped: tuple[str, ...]

    def case_table(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Header and rows for the screen, one row per case and region."""
        rows: list[tuple[str, ...]] = []
        for case in self.cases:
            for region in case.regions:
                values = [case.value(metric, region) for metric in SHOWN]
                rows.append((case.case, region, *(_shown(m, v) for m, v in zip(SHOWN, values, strict=True))))
        return ("scan", "region", *SHOWN.values()), rows

    def summary_table(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Header and rows of the means, with 95 % bootstrap intervals over cases."""
        rows: list[tuple[str, ...]] = []
        for region in dict.fromkeys(region for case in self.cases for region in case.regions):
            for metric in ("dice", "lesionwise_dice", "hd95_mm"):
                row = self.summary.row(metric, region)
                interval = f"{_shown(metric, row.low)} to {_shown(metric, row.high)}"
                rows.append((region, SHOWN[metric], str(row.n), _shown(metric, row.mean), interval))
        return ("region", "mean of", "n", "mean", "95 % interval"), rows


def evaluate(
    results: str | Path,
    truth: str | Path,
    *,
    out: str | Path | None = None,
    task: str = "GLI",
    method: str | None = None,
) -> Evaluation:
    """Score every segmentation of a folder for which there is truth.

    Args:
        results: A folder that `annofree segment` wrote.
        truth: A folder (or, for one scan, a file) with label maps.
        out: The table per case; by default `evaluation.tsv` in the results folder, with `evaluation_summary.tsv`.
        task: Whose constants the lesion-wise rule uses.
        method: Which method's answers, where the folder holds several.

    Raises:
        InputError: Nothing could be scored.
    """
    results = Path(results)
    cases: list[CaseScores] = []
    skipped: list[str] = []
    methods: dict[str, None] = {}
    tiers: dict[str, None] = {}
    for scan_id in written_ids(results):
        try:
            answer = read_segmentation(results, scan_id, method)
            expert = open_truth(truth, scan_id, answer.grid)
            regions = [region for region in answer.regions if region in expert.regions]
            with scoring():
                cases.append(
                    score_case(
                        answer.labels,
                        expert.labels,
                        answer.grid.spacing_mm,
                        case=scan_id,
                        regions=regions,
                        scores={name: score.values for name, score in answer.scores.items() if name in regions},
                        brain=answer.brain,
                        task=task,
                    )
                )
            methods[str(answer.provenance.get("method", "unknown"))] = None
            tiers[str(answer.provenance.get("tier", "unknown"))] = None
        except AnnofreeError as error:
            skipped.append(str(error))
    if not cases:
        raise InputError(
            "Nothing could be scored", file=results, why=" ".join(skipped[:2]) or "the folder holds no segmentation"
        )
    path = Path(out) if out is not None else results / "evaluation.tsv"
    write_case_scores(cases, path)
    summary = summarise(cases)
    summary.write(path.with_name(f"{path.stem}_summary.tsv"))
    return Evaluation(tuple(cases), summary, ", ".join(methods), ", ".join(tiers), path, tuple(skipped))


def _shown(metric: str, value: float) -> str:
    if isnan(value):
        return "n/a"
    return f"{value:.1f}" if metric.endswith(("_ml", "_mm")) else f"{value:.3f}"
