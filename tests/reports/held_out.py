"""Precision and recall on the reports that were not open while the rules were written.

The texts were halved by `sha256(id)`: an even first byte went to the writing of the rules, an odd one was kept back.
Sides and "tumour or not" of the half kept back stand in `held_out.csv`; they were made after the rules were frozen, by
reading, without running the rules.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from annofree.reports import Certainty, read_report

ANNOTATION = Path(__file__).with_name("held_out.csv")


def is_held_out(report_id: str) -> bool:
    """Whether a report belongs to the half that was kept back."""
    return hashlib.sha256(report_id.encode()).digest()[0] % 2 == 1


def all_texts(folder: Path) -> dict[str, str]:
    """Texts by id: structured ones on patients with a glioma, and clinical notes."""
    with (folder / "textbrats_reports.json").open(encoding="utf-8") as stream:
        texts = {key: str(record["text"]) for key, record in json.load(stream).items()}
    with (folder / "mtsamples_brain.csv").open(encoding="utf-8", newline="") as stream:
        return texts | {row["note_id"]: row["transcription"] for row in csv.DictReader(stream)}


@dataclass
class Counts:
    """Hits and misses of one question."""

    true_positive: int = 0
    false_positive: int = 0
    false_negative: int = 0
    true_negative: int = 0

    @property
    def precision(self) -> float:
        """Share of the claims that are right."""
        return self.true_positive / max(1, self.true_positive + self.false_positive)

    @property
    def recall(self) -> float:
        """Share of what is there that was claimed."""
        return self.true_positive / max(1, self.true_positive + self.false_negative)

    def __str__(self) -> str:
        counts = f"{self.true_positive} right, {self.false_positive} wrong, {self.false_negative} missed"
        return f"precision {self.precision:.3f}, recall {self.recall:.3f} ({counts}, {self.true_negative} rightly none)"


def score(texts: Mapping[str, str]) -> tuple[dict[str, Counts], list[str]]:
    """Score the half kept back: "tumour" and "side", for all, structured texts and notes; and the ids misread."""
    with ANNOTATION.open(newline="") as stream:
        annotated = {row["id"]: row for row in csv.DictReader(stream)}
    counts = {f"{what}, {group}": Counts() for group in ("all", "structured", "notes") for what in ("tumour", "side")}
    misread = []
    for report_id, truth in annotated.items():
        reading = read_report(texts[report_id], report_id)
        claimed = "no" if reading.tumour is Certainty.ABSENT else "yes"
        side = reading.side.value if reading.side else ""
        if (claimed, side) != (truth["tumour"], truth["side"]):
            misread.append(report_id)
        for group in ("all", "structured" if report_id.startswith("BraTS") else "notes"):
            _count(
                counts[f"tumour, {group}"], "" if claimed == "no" else claimed, "" if truth["tumour"] == "no" else "yes"
            )
            _count(counts[f"side, {group}"], side, truth["side"])
    return counts, misread


def _count(counts: Counts, claimed: str, truth: str) -> None:
    counts.true_positive += bool(truth) and claimed == truth
    counts.false_positive += bool(claimed) and claimed != truth
    counts.false_negative += bool(truth) and claimed != truth
    counts.true_negative += not truth and not claimed
