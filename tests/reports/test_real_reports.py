"""Real reports: what the documentation claims about them holds."""

from __future__ import annotations

import json
from pathlib import Path

import held_out
import pytest

from annofree.reports import Side, read_report

pytestmark = pytest.mark.real


def test_annotation_covers_the_half_that_was_kept_back(shared_data: Path) -> None:
    kept_back = {name for name in held_out.all_texts(shared_data / "reports") if held_out.is_held_out(name)}
    assert len(held_out.ANNOTATION.read_text().splitlines()) == 1 + len(kept_back) == 171


def test_side_and_tumour_on_the_half_that_was_kept_back(shared_data: Path) -> None:
    counts, misread = held_out.score(held_out.all_texts(shared_data / "reports"))
    for question in ("tumour, all", "side, all", "side, structured"):
        assert counts[question].precision >= 0.98, misread
        assert counts[question].recall >= 0.98, misread


def test_side_agrees_with_the_masks_of_the_six_patients(shared_data: Path) -> None:
    cases = {case["case"]: case["side"] for case in json.loads((shared_data / "cases.json").read_text())}
    records = json.loads((shared_data / "reports" / "textbrats_reports.json").read_text())
    sides = {r["brats2021"]: read_report(r["text"]).side for r in records.values() if r["brats2021"] in cases}
    assert len(sides) == 6
    assert all(side is {"L": Side.LEFT, "R": Side.RIGHT}[cases[name]] for name, side in sides.items())


@pytest.mark.parametrize("note", ["1567", "1568", "1576", "1579", "1680", "1728", "1747", "2797", "2911", "2957"])
def test_spine_normal_and_other_notes_give_no_brain_lesion(shared_data: Path, note: str) -> None:
    reading = read_report(held_out.all_texts(shared_data / "reports")[note])
    assert reading.lesions == ()
