"""Whole folders: resume, failures, tables, rethreshold, evaluation."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from annofree.batch.rethreshold import rethreshold
from annofree.batch.run import BatchReport, run
from annofree.errors import InputError, OutputError, SettingsError
from annofree.evaluation.evaluate import evaluate
from annofree.formats import open_cohort, read_segmentation, written_ids
from annofree.formats.outfolder import read_table
from annofree.pipeline import Choice
from annofree.segmentation import Segmentation
from command_line import call

from .conftest import rows

CHOICE = Choice(method="intensity-published")


@pytest.fixture
def broken(phantoms: Path, tmp_path: Path) -> Path:
    """The cohort with one scan cut short."""
    scans = tmp_path / "scans"
    scans.mkdir()
    for folder in sorted((phantoms / "scans").iterdir()):
        (scans / folder.name).mkdir()
        for file in folder.iterdir():
            (scans / folder.name / file.name).write_bytes(file.read_bytes())
    victim = next(sorted(scans.iterdir())[1].glob("*flair*"))
    victim.write_bytes(victim.read_bytes()[:500])
    return scans


def go(source: Path, out: Path, **options: object) -> BatchReport:
    return run(open_cohort(source), CHOICE, out, locate=False, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def whole(phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a run over all phantoms; not to be changed."""
    out = tmp_path_factory.mktemp("whole") / "out"
    assert len(go(phantoms / "scans", out).rows) == 3
    return out


@pytest.fixture
def out(whole: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
    return shutil.copytree(whole, tmp_path / "out")


def test_a_failing_scan_does_not_stop_the_others(broken: Path, tmp_path: Path) -> None:
    report = go(broken, tmp_path / "out")
    assert len(report.rows) == 2
    (failure,) = rows(tmp_path / "out" / "failures.tsv")
    assert failure["id"] == sorted(p.name for p in broken.iterdir())[1]
    assert failure["what"]
    assert failure["next"] != "n/a"
    assert {row["id"] for row in rows(tmp_path / "out" / "results.tsv")} == {row["id"] for row in report.rows}


def test_a_mended_scan_is_taken_up_and_nothing_else_is_done_again(broken: Path, phantoms: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = go(broken, out)
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*mask.nii.gz")}
    victim = first.failures[0].id
    for file in (phantoms / "scans" / victim).iterdir():
        (broken / victim / file.name).write_bytes(file.read_bytes())
    second = go(broken, out)
    assert not second.failures
    assert not (out / "failures.tsv").exists()
    assert sorted(second.reused) == sorted(row["id"] for row in first.rows)
    assert all(path.stat().st_mtime_ns == when for path, when in before.items())


def test_a_run_cut_short_and_resumed_ends_with_the_same_bytes(phantoms: Path, whole: Path, tmp_path: Path) -> None:
    cohort = open_cohort(phantoms / "scans")
    run(cohort.subset(cohort.ids[:1]), CHOICE, tmp_path / "resumed", locate=False)
    report = go(phantoms / "scans", tmp_path / "resumed")
    assert report.reused == list(cohort.ids[:1])
    for name in ("results.tsv",):
        assert (whole / name).read_bytes() == (tmp_path / "resumed" / name).read_bytes()


def test_another_threshold_is_not_mistaken_for_work_done(phantoms: Path, tmp_path: Path) -> None:
    cohort = open_cohort(phantoms / "scans").subset(open_cohort(phantoms / "scans").ids[:1])
    run(cohort, CHOICE, tmp_path / "out", locate=False)
    other = run(cohort, Choice(method="intensity-published", threshold="fixed:2.5"), tmp_path / "out", locate=False)
    assert other.reused == []
    assert json.loads((tmp_path / "out" / "run.json").read_text())["choice"]["threshold"] == "fixed:2.5"


def test_two_workers_give_the_bytes_of_one(phantoms: Path, whole: Path, tmp_path: Path) -> None:
    go(phantoms / "scans", tmp_path / "two", workers=2)
    assert (whole / "results.tsv").read_bytes() == (tmp_path / "two" / "results.tsv").read_bytes()


def test_others_files_are_not_written_over(phantoms: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputError):
        go(phantoms / "scans", tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "years of work"


def test_a_threshold_changes_from_saved_scores_alone(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = rows(out / "results.tsv")

    def forbidden(*_: object) -> None:
        raise AssertionError("rethreshold ran the method again")

    monkeypatch.setattr("annofree.methods.intensity.Intensity.score", forbidden)
    after = rethreshold(out, "fixed:2.5", overwrite=True, locate=False)
    for old, new in zip(before, after.rows, strict=True):
        assert float(new["WT_ml"]) < float(old["WT_ml"])
        assert new["threshold_WT"] == "2.5"
    again = rethreshold(out, "fixed:1.5", overwrite=True, locate=False)
    for old, new in zip(before, again.rows, strict=True):
        assert float(new["WT_ml"]) == pytest.approx(float(old["WT_ml"]), rel=2e-3)  # scores are kept as int16
    with pytest.raises(SettingsError, match="fixed"):
        rethreshold(out, "fixd:2")
    with pytest.raises(InputError, match="no scores for ET"):
        rethreshold(out, "fixed:2", region="ET", overwrite=True)
    (tmp_path / "empty").mkdir()
    for new in ("new/deep", "empty"):
        with pytest.raises(InputError, match="no scores for XX"):
            rethreshold(out, "fixed:2", region="XX", out=tmp_path / new)
    assert not (tmp_path / "new").exists()
    assert not any((tmp_path / "empty").iterdir())
    assert len(written_ids(out)) == len(before)


def test_a_change_of_thresholds_that_is_stopped_leaves_tables_that_fit_the_masks(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {row["id"]: row["WT_ml"] for row in rows(out / "results.tsv")}
    module = sys.modules["annofree.batch.rethreshold"]
    decide = module._decide_again

    def stopped(old: Segmentation, *more: Any) -> Segmentation:
        if old.scan_id != min(before):
            raise KeyboardInterrupt
        result: Segmentation = decide(old, *more)
        return result

    monkeypatch.setattr(module, "_decide_again", stopped)
    with pytest.raises(KeyboardInterrupt):
        rethreshold(out, "fixed:2.5", overwrite=True, locate=False)
    told = {row["id"]: row for row in read_table(out / "results.tsv")}
    assert {i: row["threshold_WT"] for i, row in told.items() if i == min(before)} == {min(before): "2.5"}
    for scan_id, row in told.items():
        assert float(row["WT_ml"]) == pytest.approx(read_segmentation(out, scan_id).volumes_ml["WT"], abs=1e-3)
        assert (row["WT_ml"] == before[scan_id]) == (scan_id != min(before))
    assert sorted(told) == sorted(before)


def test_a_cohort_page_that_finds_no_room_costs_nothing_else(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (out / "index.html").touch()

    def full(*_: object) -> None:
        raise OutputError("A result cannot be written", why="No space left on device")

    monkeypatch.setattr("annofree.review.remake.write_cohort_review", full)
    report = rethreshold(out, "fixed:2.5", overwrite=True, locate=False)
    assert len(report.rows) == 3
    assert report.pageless == [("the cohort", "A result cannot be written: No space left on device.")]
    assert {row["threshold_WT"] for row in read_table(out / "results.tsv")} == {"2.5"}


def test_new_masks_that_find_no_room_leave_the_old_answers_whole(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}

    def full(*_: object, **__: object) -> None:
        raise OutputError("A result cannot be written", why="No space left on device")

    monkeypatch.setattr("annofree.batch.rethreshold.write_record", full)
    with pytest.raises(InputError, match=r"No scan could be decided again.*cannot be written.*No space left"):
        rethreshold(out, "fixed:2.5", overwrite=True, locate=False)
    told = ("run.json", "results.tsv", "participants.tsv")  # written anew, of the same answers
    assert {p: p.read_bytes() for p in out.rglob("*") if p.is_file() and p.name not in told} == {
        path: content for path, content in before.items() if path.name not in told
    }
    assert (out / "results.tsv").read_bytes() == before[out / "results.tsv"]


def test_pages_that_find_no_room_are_named(
    phantoms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from annofree.review import patient

    write = patient.atomic_write

    def full(path: Path, content: str) -> None:
        if path.stem == "sub-phantom001":
            raise OutputError("A result cannot be written", file=path, why="No space left on device")
        write(path, content)

    monkeypatch.setattr(patient, "atomic_write", full)
    command = ("segment", phantoms / "scans", "-o", tmp_path / "out", "--method", "intensity-published", "--no-locate")
    assert call(*command) == 3
    said = capsys.readouterr()
    assert "3 of 3 scans" in said.out
    assert "no page for phantom-001: A result cannot be written" in said.err
    assert "No space left on device" in said.err
    monkeypatch.undo()
    assert call(*command) == 0
    assert (tmp_path / "out" / "sub-phantom001" / "sub-phantom001.html").is_file()


def test_scores_against_truth_match_what_was_written(phantoms: Path, out: Path) -> None:
    evaluation = evaluate(out, phantoms / "truth")
    assert len(evaluation.cases) == 3
    assert not evaluation.skipped
    table = rows(evaluation.path)
    for case in evaluation.cases:
        written = read_segmentation(out, case.case)
        assert case.value("predicted_ml") == pytest.approx(written.volumes_ml["WT"], rel=1e-4)
        cell = next(r for r in table if (r["case"], r["region"], r["metric"]) == (case.case, "WT", "dice"))
        assert float(cell["value"]) == pytest.approx(case.value("dice"), abs=1e-5)


def test_scans_without_truth_are_named_not_dropped(phantoms: Path, out: Path, tmp_path: Path) -> None:
    some = tmp_path / "truth"
    some.mkdir()
    one = sorted((phantoms / "truth").glob("*_seg.nii.gz"))[0]
    (some / one.name).write_bytes(one.read_bytes())
    evaluation = evaluate(out, some)
    assert len(evaluation.cases) == 1
    assert len(evaluation.skipped) == 2
    with pytest.raises(InputError, match="Nothing could be scored"):
        evaluate(out, out)


def test_an_answer_of_an_earlier_run_is_scored_with_a_note(phantoms: Path, tmp_path: Path) -> None:
    scans, out = tmp_path / "scans", tmp_path / "out"
    shutil.copytree(phantoms / "scans", scans)
    go(scans, out)
    first = sorted(scans.iterdir())[0]
    t2 = next(first.glob("*_t2.nii.gz"))
    t2.rename(tmp_path / "elsewhere")
    (gone,) = rethreshold(out, "fixed:3", out=tmp_path / "new", locate=False).failures
    assert (gone.id, gone.what) == (first.name, f"Images are not where they were when they were segmented ({t2})")
    t2.write_bytes(b"damaged on the way")
    assert len(go(scans, out).failures) == 1
    evaluation = evaluate(out, phantoms / "truth")
    assert [scan_id for scan_id, note in evaluation.notes if "the answer of an earlier one" in note] == [first.name]


def test_a_link_that_leads_nowhere_is_named_as_the_user_named_it(phantoms: Path, tmp_path: Path) -> None:
    scan = tmp_path / "p1"
    scan.mkdir()
    (scan / "p1_flair.nii.gz").symlink_to(tmp_path / "elsewhere" / "gone.nii.gz")
    (failure,) = go(scan, tmp_path / "out").failures
    assert "p1_flair.nii.gz" in failure.what
    assert (failure.why, failure.next) == ("it is a link that leads nowhere", "Check the path")
    with pytest.raises(InputError, match=r"p1_flair.nii.gz.*leads nowhere"):
        open_cohort(scan / "p1_flair.nii.gz")


def test_a_patient_whose_folder_is_named_in_an_old_alphabet_is_segmented_like_another(
    balls: Path, tmp_path: Path
) -> None:
    """Archives packed elsewhere leave such bytes in names; no text in UTF-8 can hold them as they are."""
    scans, name = tmp_path / "scans", "M\udcfcller"
    try:
        shutil.copytree(balls, scans)
        (scans / "ball-000").rename(scans / name)
    except (OSError, UnicodeError):
        pytest.skip("this disk takes no such name")
    for file in list((scans / name).iterdir()):
        file.rename(file.with_name(file.name.replace("ball-000", name)))
    report = go(scans, tmp_path / "out", review=True)
    assert not report.failures
    assert len(go(scans, tmp_path / "out").reused) == 3
    assert name in written_ids(tmp_path / "out")
    assert read_segmentation(tmp_path / "out", name).provenance["files"]["FLAIR"].startswith(str(scans / name))


def test_the_rule_in_use_typed_again_changes_nothing(
    phantoms: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    cohort = open_cohort(phantoms / "scans")
    scan_id, other = sorted(cohort.ids)[:2]
    run(cohort.subset([scan_id, other]), Choice(method="atlas-z"), out, locate=False)
    before = read_segmentation(out, scan_id)
    rule = before.provenance["rules"]["WT"]
    own = f"healthy-quantile:{rule['quantile']},floor={rule['floor']}"
    report = rethreshold(out, own, overwrite=True, locate=False)
    after = read_segmentation(out, scan_id)
    assert {row["tier"] for row in report.rows} == {before.provenance["tier"]} == {"T0"}
    assert after.provenance["rules"] == before.provenance["rules"]
    assert (after.labels == before.labels).all()
    assert "The tier changes" not in " ".join(row["notes"] for row in report.rows)
    assert call("rethreshold", out, "--threshold", "fixed:9", "--no-locate", "--overwrite") == 0
    assert capsys.readouterr().out.count("The tier changes") == 1
