"""Report texts by id: no text is lost, and none is taken for another's."""

from __future__ import annotations

from pathlib import Path

import pytest

from annofree.errors import InputError
from annofree.formats.report_texts import read_reports


def test_parts_in_columns_of_their_own_are_one_report(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("id,Findings,Impression\n001,Ventricles normal.,Left frontal glioma.\n")
    assert read_reports(tmp_path / "r.csv") == {"001": "FINDINGS: Ventricles normal.\nIMPRESSION: Left frontal glioma."}


def test_a_table_with_semicolons_is_read(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text('id;text\n007;"Mass, 2,5 cm; left frontal."\n')
    assert read_reports(tmp_path / "r.csv") == {"007": "Mass, 2,5 cm; left frontal."}


def test_spaces_around_an_id_are_none_of_it(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(" id , text\n 007 ,Left frontal mass.\n")
    assert read_reports(tmp_path / "r.csv") == {"007": "Left frontal mass."}


def test_lines_may_end_with_a_carriage_return_alone(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_bytes(b'id,text\r007,"Mass; left; frontal."')
    assert read_reports(tmp_path / "r.csv") == {"007": "Mass; left; frontal."}


def test_capital_endings_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.TXT").write_text("No mass.")
    assert read_reports(tmp_path) == {"a": "No mass."}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("r.csv", "id,text\n7,Left frontal glioma.\n7,No mass.\n"),
        ("r.json", '[{"id": 7, "text": "Left frontal glioma."}, {"id": "7", "text": "No mass."}]'),
        ("r.json", '{"7": "Left frontal glioma.", "7": "No mass."}'),
    ],
)
def test_two_reports_of_one_id_are_refused(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=r"Two different reports have the id '7'"):
        read_reports(tmp_path / name)


def test_the_same_report_twice_is_one(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("id,text\n7,No mass.\n7,No mass.\n")
    assert read_reports(tmp_path / "r.csv") == {"7": "No mass."}


def test_a_report_without_id_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("id,text\n7,No mass.\n,Left frontal glioma.\n")
    with pytest.raises(InputError, match="A report has no id"):
        read_reports(tmp_path / "r.csv")
