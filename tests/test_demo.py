"""The demo shows the default method on phantoms that it finds, and says what good is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import annofree.demo as rooms
from annofree.batch.worker import Failure
from annofree.cli.demo import demo
from annofree.errors import OutputError
from annofree.pipeline import DEFAULT_METHOD


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> rooms.Demo:
    return rooms.demo(tmp_path_factory.mktemp("demo") / "out", n=2, spacing_mm=3.0)


def test_the_default_method_finds_the_phantoms(made: rooms.Demo) -> None:
    assert {row["method"] for row in made.report.rows} == {DEFAULT_METHOD}
    assert made.shortfalls == ()
    with_tumour = [case for case in made.evaluation.cases if case.value("truth_ml") > 0]
    assert len(with_tumour) == 1
    assert with_tumour[0].value("dice") >= rooms.GOOD_DICE


def test_there_are_pictures(made: rooms.Demo) -> None:
    assert "data:image/jpeg" in (made.report.out / "index.html").read_text()
    assert len(list(made.report.out.glob("sub-*/sub-*.html"))) == 2


def test_its_own_scores_are_not_called_old(
    made: rooms.Demo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first command of the README said of the table that it had just made that it was of older answers."""
    monkeypatch.setattr(rooms, "demo", lambda *_, **__: made)
    demo(Path("demo"))
    told = capsys.readouterr()
    assert "all of it is good" in told.out
    assert told.err == ""


def test_a_poor_result_is_not_called_good(made: rooms.Demo) -> None:
    poor = tuple(
        replace(
            case,
            rows=tuple(
                row._replace(value={"dice": 0.3, "predicted_ml": 20.0}.get(row.metric, row.value)) for row in case.rows
            ),
        )
        for case in made.evaluation.cases
    )
    failed = replace(made.report, failures=[Failure("p9", "A file is damaged", "n/a", "n/a")])
    told = rooms.Demo(failed, replace(made.evaluation, cases=poor)).shortfalls
    assert len(told) == 3
    assert any("Dice 0.30" in sentence for sentence in told)
    assert any("20.0 ml were called" in sentence for sentence in told)
    assert any("p9 failed" in sentence for sentence in told)


def test_nothing_but_a_demo_is_ever_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot be written"):
        rooms.demo(tmp_path / "file" / "d", n=2)
    with pytest.raises(OutputError, match="no demo wrote"):
        rooms.demo(tmp_path, overwrite=True)
    assert (tmp_path / "mine.txt").read_text() == "keep"
