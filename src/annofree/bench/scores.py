"""Scores of one folder of answers: what `evaluate` says, kept beside it as long as answers and truth stay the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from annofree.batch.record import read_record
from annofree.errors import InputError
from annofree.evaluation.evaluate import Evaluation, evaluate
from annofree.evaluation.sanity import SanityRow
from annofree.formats import locate_truth, written_ids
from annofree.formats.dicom.drawn import segs_below
from annofree.formats.network_folder import text_hash
from annofree.formats.outfolder import read_json, read_table, write_json
from annofree.metrics import CaseScores, Score
from annofree.metrics.sensitivity import sensitivity
from annofree.version import VERSION

KEPT = "scores.json"


@dataclass(frozen=True)
class Oracles:
    """What a threshold chosen with the truth would give, whole tumour before any refiner (tier T3).

    Attributes:
        best: Mean Dice and value of the best common threshold.
        ub: The same of the best of ten equally spaced ones, which published tables call UB.
        sb: Of the second best, SB.
        curve: Thresholds and mean Dice, for a picture.
    """

    best: tuple[float, float]
    ub: tuple[float, float]
    sb: tuple[float, float]
    curve: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Scored:
    """Scores of one folder of answers.

    Attributes:
        oracles: None without scores or tumours.
        foretold: How well the expected Dice held, in words.
        skipped: Sentences on scans in no mean.
        threshold: Value of the whole tumour's threshold, where all scans have the same.
    """

    cases: tuple[CaseScores, ...]
    tier: str
    sanity: tuple[SanityRow, ...]
    oracles: Oracles | None
    foretold: str = ""
    skipped: tuple[str, ...] = field(default=())
    threshold: float | None = None


def scored(answers: Path, truth: Path) -> Scored:
    """Score a folder of answers, or read what was scored before. Raises `InputError`: nothing could be scored."""
    stamp = _stamp(answers, truth)
    known = _known(answers, stamp)
    if known is not None:
        return known
    evaluation = evaluate(answers, truth)
    parts = evaluation.cases, evaluation.tier, evaluation.sanity, _oracles(evaluation), evaluation.foretold
    found = Scored(*parts, evaluation.skipped, _threshold(answers))
    told: dict[str, Any] = {name: getattr(found, name) for name in ("tier", "foretold", "skipped", "threshold")}
    told |= {"stamp": stamp, "sanity": found.sanity, "task": found.cases[0].task}
    told |= {"oracles": None if found.oracles is None else asdict(found.oracles)}
    write_json(answers / KEPT, told)
    return _known(answers, stamp) or found  # with the digits that are kept, so that every run gives the same bytes


def _stamp(answers: Path, truth: Path) -> str:
    parts: list[Any] = [VERSION]
    segs = cache(segs_below)
    for scan_id in written_ids(answers):
        try:
            file = locate_truth(truth, scan_id, segs)
            status = file.stat()
            place: Any = (str(file), status.st_size, status.st_mtime_ns)
        except InputError:
            place = None
        parts.append((scan_id, (read_record(answers, scan_id) or {}).get("key"), place))
    return text_hash(parts)


def _known(answers: Path, stamp: str) -> Scored | None:
    told = read_json(answers / KEPT) or {}
    if told.get("stamp") != stamp:
        return None
    rows: dict[str, list[Score]] = {}
    for row in read_table(answers / "evaluation.tsv"):
        value = float("nan") if row["value"] == "n/a" else float(row["value"])
        rows.setdefault(row["case"], []).append(Score(row["case"], row["region"], row["metric"], value))
    cases = tuple(CaseScores(case, told["task"], tuple(own)) for case, own in rows.items())
    if (oracles := told["oracles"]) is not None:
        oracles = Oracles(**{name: tuple(values) for name, values in oracles.items()})
    return Scored(
        cases,
        told["tier"],
        tuple(SanityRow(*row) for row in told["sanity"]),
        oracles,
        told["foretold"],
        tuple(told["skipped"]),
        told["threshold"],
    )


def _oracles(evaluation: Evaluation) -> Oracles | None:
    tables = [case.ranks["WT", "WT"] for case in evaluation.cases if ("WT", "WT") in case.ranks]
    if not any(table.tumour_voxels for table in tables):
        return None
    fine, coarse = sensitivity(tables, steps=None), sensitivity(tables)
    best, ub, sb = fine.best(), coarse.best(1), coarse.best(2)
    shown = np.unique(np.linspace(0, len(fine.thresholds) - 1, 120).astype(int))
    return Oracles(
        (float(fine.mean[best]), float(fine.thresholds[best])),
        (float(coarse.mean[ub]), float(coarse.thresholds[ub])),
        (float(coarse.mean[sb]), float(coarse.thresholds[sb])),
        tuple((float(fine.thresholds[i]), float(fine.mean[i])) for i in shown),
    )


def _threshold(answers: Path) -> float | None:
    values = {row.get("threshold_WT", "n/a") for row in read_table(answers / "results.tsv")}
    only = values.pop() if len(values) == 1 else "n/a"
    return None if only == "n/a" else float(only)


def values_of(cases: Sequence[CaseScores], metric: str, region: str) -> dict[str, float]:
    """A metric by case; cases without that region are left out."""
    return {case.case: case.value(metric, region) for case in cases if region in case.regions}
