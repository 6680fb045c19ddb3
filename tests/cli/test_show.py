"""What a run over many scans prints: each thing once."""

from __future__ import annotations

from pathlib import Path

import pytest

from annofree.batch.run import BatchReport
from annofree.cli.show import show_rows


def _printed(notes: list[str], capsys: pytest.CaptureFixture[str]) -> list[str]:
    told = ("WT_ml", "TC_ml", "ET_ml", "lesions", "side", "lobe", "finding", "expected_dice", "method", "tier")
    rows = [{**dict.fromkeys(told, "n/a"), "id": f"p{k}", "notes": note} for k, note in enumerate(notes)]
    show_rows(BatchReport(Path("out"), rows, [], [], 1.0))
    return [line for line in capsys.readouterr().out.splitlines() if line.startswith("note")]


def test_notes_that_differ_in_numbers_alone_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    core = "The core may be {} ml larger: T1C shows nothing"
    notes = [core.format(9), core.format(80), f"{core.format(12)} | T1 is 5.nii", "T1 is 7.nii", core.format(9)]
    assert _printed(notes, capsys) == [
        "note, 4 scans: The core may be 9 to 80 ml larger: T1C shows nothing",
        "note, p2: T1 is 5.nii",
        "note, p3: T1 is 7.nii",
    ]
    overlaps = [f"It overlaps by {share}." for share in ("0.95", "0.9")]
    assert _printed(overlaps, capsys) == ["note, 2 scans: It overlaps by 0.9 to 0.95."]


def test_each_number_of_a_note_has_its_own_range(capsys: pytest.CaptureFixture[str]) -> None:
    notes = [f"The volume of {ml} ml lies outside of its interval, {low} to 9 ml" for ml, low in ((10, 2), (9.5, 2))]
    assert _printed(notes, capsys) == [
        "note, 2 scans: The volume of 9.5 to 10 ml lies outside of its interval, 2 to 9 ml"
    ]
