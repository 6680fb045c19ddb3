"""A whole comparison on three phantoms."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from annofree import processes
from annofree.bench import compare
from annofree.bench.compare import _learned_from, bench
from annofree.bench.plan import MARK, PLAIN, Contender, Data, Folders, Phantoms, Plan
from annofree.bench.results import Bench
from annofree.bench.runs import Cost, Place
from annofree.cli.main import main
from annofree.errors import InputError, OutputError
from annofree.evaluation.evaluate import evaluate
from annofree.formats import read_segmentation
from annofree.formats.outfolder import read_table
from annofree.methods.intensity import Intensity
from annofree.pipeline import Choice

PLAN = """\
data:
  - name: phantoms
    phantoms: {n: 3, seed: 5, spacing_mm: 4.0}
methods:
  - method: intensity
thresholds: [own, "fixed:2.0", oracle]
refiners: [own, none]
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Bench]:
    folder = tmp_path_factory.mktemp("bench")
    (folder / "plan.yaml").write_text(PLAN)
    return folder, bench(folder / "plan.yaml", folder / "out")


def test_every_row_is_there(made: tuple[Path, Bench]) -> None:
    folder, result = made
    assert result.failures == []
    rows = read_table(folder / "out" / "bench.tsv")
    whole = [(r["kind"], r["method"], r["threshold"], r["refiners"]) for r in rows if r["region"] == "WT"]
    for threshold in ("own", "fixed:2.0"):
        for refiners in ("own", "none"):
            assert ("method", "intensity", threshold, refiners) in whole
    assert ("method", PLAIN, "own", "own") in whole
    assert {name for kind, name, _, _ in whole if kind == "sanity"} == {
        "all background",
        "all foreground",
        "shuffled truth",
        "region of the report",
    }
    assert {row["tier"] for row in rows if row["kind"] == "oracle"} == {"T3"}
    (named,) = (r for r in rows if r["method"] == "region of the report")
    assert 0 < float(named["dice"]) < 0.6  # a lobe is much larger than a tumour
    assert next(r for r in rows if r["method"] == "all background")["dice"] == "0"
    assert all(float(r["seconds"]) > 0 and float(r["peak_gb"]) > 0.05 for r in rows if r["seconds"] != "n/a")


def test_numbers_are_those_of_evaluate(made: tuple[Path, Bench]) -> None:
    folder, result = made
    (group,) = result.groups
    rows = read_table(folder / "out" / "bench.tsv")
    cases = read_table(folder / "out" / "cases.tsv")
    plain = {r["case"]: float(r["dice"]) for r in cases if r["method"] == PLAIN}
    for entry in group.entries:
        again = evaluate(entry.answers, group.place.truth, out=folder / f"{entry.title[:30]}.tsv", overwrite=True)
        dices = np.array([case.value("dice") for case in again.cases])
        (row,) = (
            r
            for r in rows
            if (r["method"], r["threshold"], r["refiners"]) == (entry.name, entry.threshold, entry.refiners)
            and r["kind"] == "method"
            and r["region"] == "WT"
        )
        assert float(row["dice"]) == pytest.approx(dices.mean(), abs=1e-5)
        assert float(row["dice_low"]) <= dices.mean() <= float(row["dice_high"])
        if entry.name != PLAIN:
            less = [case.value("dice") - plain[case.case] for case in again.cases]
            assert float(row["minus_plain"]) == pytest.approx(np.mean(less), abs=1e-5)
    own = next(e for e in group.entries if e.own and e.name == "intensity")
    assert own.scores.oracles is not None
    raw = next(e for e in group.entries if (e.threshold, e.refiners) == ("fixed:2.0", "none"))
    mean = np.mean([case.value("dice") for case in raw.scores.cases])
    assert own.scores.oracles.best[0] >= mean - 1e-6  # no threshold beats the one that the truth chose


def test_other_rules_decide_from_saved_scores(made: tuple[Path, Bench]) -> None:
    _, result = made
    raw = next(e for e in result.groups[0].entries if (e.threshold, e.refiners) == ("fixed:2.0", "none"))
    answer = read_segmentation(raw.answers, "phantom-000")
    assert answer.brain is not None
    expected = (answer.scores["WT"].values > 2.0) & answer.brain
    assert np.array_equal(answer.mask("WT"), expected)


def test_a_second_run_does_nothing_again_and_gives_the_same_bytes(made: tuple[Path, Bench]) -> None:
    folder, _ = made
    out = folder / "out"
    names = ("bench.tsv", "cases.tsv", "bench.md", "index.html")
    before = {name: (out / name).read_bytes() for name in names}
    masks = {path: os.stat(path).st_mtime_ns for path in out.rglob("*_mask.nii.gz")}
    assert masks
    bench(folder / "plan.yaml", out)
    assert {path: os.stat(path).st_mtime_ns for path in out.rglob("*_mask.nii.gz")} == masks
    assert {name: (out / name).read_bytes() for name in names} == before


def test_page_and_markdown(made: tuple[Path, Bench]) -> None:
    folder, _ = made
    page = (folder / "out" / "index.html").read_text()
    assert "http-equiv" in page
    assert "https://" not in page  # nothing from any network
    assert page.count("<circle") == 5 * 3  # a dot for each of five rows and three scans
    assert "Worst cases of the best method" in page
    assert "data:image/jpeg;base64," in page
    text = (folder / "out" / "bench.md").read_text()
    assert "| `intensity`, threshold fixed:2.0, refiners none | T2 |" in text  # a number that somebody gives is no T0
    assert "Without any method" in text


def test_a_model_that_learned_from_the_scans_is_told_apart(made: tuple[Path, Bench]) -> None:
    place = made[1].groups[0].place
    assert not _learned_from(Choice(Intensity()), place)
    assert _learned_from(Choice(Intensity().replace(card={"patients": ["phantom-001"]})), place)


def test_a_method_that_cannot_run_is_told_and_the_others_stand(
    made: tuple[Path, Bench], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # without the processes of their own that the rows above were made in
    monkeypatch.setattr(processes, "as_they_come", lambda work, jobs, _: ((job, work(job)) for job in jobs))
    place = made[1].groups[0].place
    (tmp_path / "plan.yaml").write_text(
        f"data:\n  - {{name: T2 alone, scans: {place.scans}, truth: {place.truth}, sequence: T2}}\n"
        "methods:\n  - method: mvit-ae-published\n  - method: intensity\ncurve: false\n"
    )
    result = bench(tmp_path / "plan.yaml", tmp_path / "out")
    (sentence,) = result.failures
    assert sentence.startswith("mvit-ae-published on T2 alone: No scan could be segmented")
    rows = read_table(tmp_path / "out" / "bench.tsv")
    assert {row["method"] for row in rows if row["kind"] == "method"} == {"intensity", PLAIN}
    assert not [row for row in rows if row["kind"] == "oracle"]
    (named,) = (row for row in rows if row["method"] == "region of the report")
    assert (named["n"], named["dice"]) == ("0", "n/a")  # no texts, yet the row is there
    assert "Not run" in (tmp_path / "out" / "bench.md").read_text()


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(PLAN)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="not empty"):
        bench(tmp_path / "plan.yaml", tmp_path / "out")
    assert not (tmp_path / "out" / MARK).exists()


def test_the_command_line_refuses_a_bad_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "plan.yaml").write_text(PLAN.replace("intensity", "intensty"))
    with pytest.raises(SystemExit) as caught:
        main(["bench", str(tmp_path / "plan.yaml"), "-o", str(tmp_path / "out")])
    assert caught.value.code == 2
    assert "plan.yaml, line 5" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_rule_that_fails_on_the_data_takes_no_other_row_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contender = Contender(method="intensity")
    plan = Plan(data=(Data(name="d", phantoms=Phantoms()),), methods=(contender,), thresholds=("otsu",))
    place = Place(plan.data[0], tmp_path, tmp_path, None)

    def rules(place: Place, one: Contender, threshold: str, *_: object) -> Path:
        if threshold == "otsu":
            raise InputError("The scores are flat")
        return tmp_path

    monkeypatch.setattr(compare, "run_own", lambda *_: Cost(1.0, None, ()))
    monkeypatch.setattr(compare, "run_rules", rules)
    monkeypatch.setattr(compare, "scored", lambda *_: None)
    monkeypatch.setattr(compare, "_learned_from", lambda *_: False)
    result = Bench(plan, tmp_path)
    entries = compare._entries(place, contender, result, Folders(tmp_path), lambda _: None)
    assert [entry.threshold for entry in entries] == ["own"]
    assert result.failures == ["intensity on d, threshold otsu, refiners own: The scores are flat."]
