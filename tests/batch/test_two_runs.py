"""One run a folder, no result of a replaced file, and tables that a spreadsheet cannot be made to run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from annofree.batch.fingerprint import origin_hashes
from annofree.batch.rethreshold import rethreshold
from annofree.batch.run import run
from annofree.batch.worker import explain
from annofree.errors import InputError, OutputError
from annofree.formats import open_cohort
from annofree.formats.bids_names import bids_label
from annofree.formats.lock import LOCK, only_run
from annofree.formats.outfolder import claim_folder, table
from annofree.pipeline import Choice
from annofree.processes import sensible
from annofree.scan import Origin

from .conftest import rows

CHOICE = Choice(method="intensity-published")
HOLD = """
import sys, time
from pathlib import Path
from annofree.formats.lock import only_run
with only_run(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_second_run_into_one_folder_is_refused_while_the_first_lives(tmp_path: Path, balls: Path) -> None:
    out = claim_folder(tmp_path / "out")
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(out)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(OutputError, match=rf"Another run.*process {holder.pid} on .*begun"):
            run(open_cohort(balls), CHOICE, out, locate=False)
    finally:
        holder.kill()
        holder.wait()
    assert (out / LOCK).exists()  # left by the killed one, and no hindrance
    report = run(open_cohort(balls), CHOICE, out, locate=False)
    assert len(report.rows) == 3
    assert not (out / LOCK).exists()


def test_a_lock_is_free_again_after_its_block(tmp_path: Path) -> None:
    for _ in range(3):
        with only_run(tmp_path), pytest.raises(OutputError, match="Another run"), only_run(tmp_path):
            pass


def test_a_lock_on_a_full_disk_holds_without_words(tmp_path: Path) -> None:
    """What is written next tells of the disk, and which file it had no room for."""
    (tmp_path / LOCK).symlink_to("/dev/full")
    with only_run(tmp_path):
        pass


def test_a_file_replaced_within_the_second_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "flair.nii.gz"
    path.write_bytes(b"one content")
    origin = Origin((("FLAIR", path),))
    known = origin_hashes(origin)
    stamp = path.stat()
    path.write_bytes(b"two content")
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert origin_hashes(origin, known)[0]["sha256"] != known[0]["sha256"]
    other = tmp_path / "other"
    other.write_bytes(b"six content")
    shutil.copystat(path, other)
    other.replace(path)
    assert origin_hashes(origin, known)[0]["sha256"] not in {known[0]["sha256"]}


def test_an_old_file_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "flair.nii.gz"
    path.write_bytes(b"one content")
    origin = Origin((("FLAIR", path),))
    (entry,) = origin_hashes(origin)
    entry["read_ns"] += 3_000_000_000
    monkeypatch.setattr("annofree.batch.fingerprint.file_hash", lambda path: pytest.fail("it was read again"))
    assert origin_hashes(origin, [entry])[0]["sha256"] == entry["sha256"]


def test_no_more_processes_than_scans_and_cores() -> None:
    cores = len(os.sched_getaffinity(0))
    assert sensible(999, 2) == min(2, cores)
    assert sensible(999, 10_000) == cores
    assert sensible(1, 0) == 1


def test_a_failure_names_its_file(tmp_path: Path) -> None:
    failure = explain("p", InputError("A file is empty", file=tmp_path / "flair.nii.gz", why="it has 0 bytes"))
    assert failure.what == f"A file is empty ({tmp_path / 'flair.nii.gz'})"
    assert "x.nii" in explain("p", FileNotFoundError(2, "No such file or directory", "x.nii")).what


@pytest.mark.parametrize("text", ["=2+2", "+cmd|' /C calc'!A0", "@SUM(A1)", "-2+3", "=HYPERLINK(1)"])
def test_no_cell_is_a_formula(text: str) -> None:
    assert table([{"id": text, "x": -1.5}]) == f"id\tx\n'{text}\t-1.5\n"
    assert table([{"id": "-2.5"}, {"id": "n/a"}, {"id": "a=b"}]) == "id\n-2.5\nn/a\na=b\n"


def test_a_long_id_still_has_a_file_name() -> None:
    one, other = bids_label("x" * 300), bids_label("x" * 301)
    assert len(one) == len(other) == 120
    assert one != other
    assert bids_label("BraTS2021_00006") == "BraTS202100006"


def test_ctrl_c_says_so_and_the_next_run_goes_on(tmp_path: Path, balls: Path) -> None:
    command = [sys.executable, "-m", "annofree", "segment", str(balls), "-o", str(tmp_path / "out"), "--no-locate"]
    code = (
        "import sys, signal, annofree.batch.worker as w, annofree.cli.main as m, os\n"
        # a process started in the background ignores Ctrl-C
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "w.segment_scan = lambda *a, **k: os.kill(os.getpid(), signal.SIGINT)\n"
        f"m.main({[*command[3:], '--method', 'intensity-published']!r})"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=600)
    assert ended.returncode == 130
    assert "annofree: stopped; what was done is kept, the same command goes on from there." in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_link_to_itself_fails_alone(tmp_path: Path, balls: Path) -> None:
    for name in ("good", "bad"):
        (tmp_path / "c" / name).mkdir(parents=True)
    shutil.copy(next(balls.rglob("*flair*")), tmp_path / "c" / "good" / "flair.nii.gz")
    (tmp_path / "c" / "bad" / "flair.nii.gz").symlink_to("flair.nii.gz")
    (tmp_path / "c" / "loop").symlink_to("loop")
    report = run(open_cohort(tmp_path / "c"), CHOICE, tmp_path / "out", locate=False)
    assert [row["id"] for row in report.rows] == ["good"]
    (failure,) = report.failures
    assert failure.id == "bad"
    assert "flair.nii.gz" in failure.what


def _two_patients(folder: Path, balls: Path, *names: str) -> list[Path]:
    """Patients of two sites; with one name, they are still different patients."""
    places = []
    for number, name in enumerate(names):
        place = folder / f"site{number}" / name
        place.mkdir(parents=True)
        shutil.copy(sorted(balls.rglob("*flair*"))[number], place / "flair.nii.gz")
        places.append(place)
    return places


def test_tables_and_page_cover_the_runs_before(tmp_path: Path, balls: Path) -> None:
    first, second = _two_patients(tmp_path, balls, "anna", "bert")
    empty = tmp_path / "carl"
    empty.mkdir()
    (empty / "flair.nii.gz").write_bytes(b"")
    out = tmp_path / "out"
    run(open_cohort([first, empty]), CHOICE, out, locate=False, review=True)
    report = run(open_cohort(second), CHOICE, out, locate=False, review=True)
    assert [row["id"] for row in report.rows] == ["bert"]
    assert [row["id"] for row in rows(out / "results.tsv")] == ["bert", "anna"]
    assert [row["id"] for row in rows(out / "failures.tsv")] == ["carl"]
    page = (out / "index.html").read_text(encoding="utf-8")
    assert all(f">{name}<" in page for name in ("anna", "bert", "carl"))
    assert len(list(out.glob("run-*.json"))) == 1
    run(open_cohort([first, second]), CHOICE, out, locate=False, review=False)
    assert [row["id"] for row in rows(out / "results.tsv")] == ["anna", "bert"]
    (empty / "flair.nii.gz").write_bytes((first / "flair.nii.gz").read_bytes())
    run(open_cohort(empty), CHOICE, out, locate=False, review=False)
    assert not (out / "failures.tsv").exists()
    assert "3 scans" in (out / "index.html").read_text(encoding="utf-8")


def test_another_method_adds_its_row_and_its_own_page(tmp_path: Path, balls: Path) -> None:
    (first,) = _two_patients(tmp_path, balls, "anna")
    out = tmp_path / "out"
    run(open_cohort(first), CHOICE, out, locate=False, review=True)
    run(open_cohort(first), Choice(method="intensity"), out, locate=False, review=True)
    assert len(list(out.glob("run-*.json"))) == 1
    assert [row["method"] for row in rows(out / "results.tsv")] == ["intensity", "intensity-published"]
    assert (out / "index.html").read_text(encoding="utf-8").count('href="sub-anna/sub-anna.html"') == 2  # one row's
    again = run(open_cohort(first), CHOICE, out, locate=False)
    assert [(row["id"], row["method"]) for row in again.rows] == [("anna", "intensity-published")]
    assert [row["method"] for row in rows(out / "results.tsv")] == ["intensity-published", "intensity"]


def test_another_patient_of_the_same_name_is_refused(tmp_path: Path, balls: Path) -> None:
    first, second = _two_patients(tmp_path, balls, "patient1", "patient1")
    out = tmp_path / "out"
    run(open_cohort(first), CHOICE, out, locate=False)
    mask = next(out.rglob("*label-lesion*mask.nii.gz")).read_bytes()
    report = run(open_cohort(second), CHOICE, out, locate=False)
    (failure,) = report.failures
    assert failure.what.startswith("Another scan called 'patient1' lies in the output folder")
    assert str(first) in failure.why
    assert str(second) in failure.why
    assert next(out.rglob("*label-lesion*mask.nii.gz")).read_bytes() == mask
    import annofree

    with pytest.raises(OutputError, match="Another scan called 'patient1'"):
        annofree.segment(second, method="intensity-published").save(out)
    assert len(run(open_cohort([first, second]), CHOICE, tmp_path / "both", locate=False).rows) == 2


def test_the_same_scan_at_another_place_is_the_same(tmp_path: Path, balls: Path) -> None:
    (first,) = _two_patients(tmp_path, balls, "anna")
    out = tmp_path / "out"
    run(open_cohort(first), CHOICE, out, locate=False)
    moved = Path(shutil.move(first, tmp_path / "elsewhere" / "anna"))
    assert len(run(open_cohort(moved), CHOICE, out, locate=False).rows) == 1
    shutil.copy(sorted(balls.rglob("*flair*"))[1], moved / "flair.nii.gz")  # a file that was corrected in place
    assert len(run(open_cohort(moved), CHOICE, out, locate=False).rows) == 1


def test_of_two_methods_one_is_decided_again(tmp_path: Path, balls: Path) -> None:
    first, second = _two_patients(tmp_path, balls, "anna", "bert")
    out = tmp_path / "out"
    for method in ("intensity-published", "intensity"):
        run(open_cohort([first, second]), Choice(method=method), out, locate=False)
    with pytest.raises(InputError, match=r"more than one segmentation.*Name the method \(--method\)\.$"):
        rethreshold(out, "fixed:2", overwrite=True, locate=False)
    with pytest.raises(InputError, match=r"No segmentation is by 'dae'.*Name intensity or intensity-published\.$"):
        rethreshold(out, "fixed:2", method="dae", overwrite=True, locate=False)
    report = rethreshold(out, "fixed:2", method="intensity-published", overwrite=True, locate=False)
    assert {row["threshold_WT"] for row in report.rows} == {"2"}
    shown = {(row["id"], row["method"]): row["threshold_WT"] for row in rows(out / "results.tsv")}
    assert len(shown) == 4
    assert shown["anna", "intensity-published"] == "2" != shown["anna", "intensity"]
    with pytest.raises(InputError, match=r"no scores for ET: it keeps WT\.$"):
        rethreshold(out, "fixed:2", method="intensity", region="ET", overwrite=True)


def test_segmentations_do_not_replace_the_page_of_reports(tmp_path: Path, balls: Path) -> None:
    out = claim_folder(tmp_path / "out")
    (out / "reports.tsv").write_text("id\n")
    with pytest.raises(OutputError, match="holds what 'annofree reports' wrote"):
        run(open_cohort(balls), CHOICE, out, locate=False)
