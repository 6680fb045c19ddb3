"""The command line as a user meets it: exit codes, one sentence, no traceback."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from annofree.cli.main import VERBS
from annofree.phantom import write_cohort
from command_line import call


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantoms")
    write_cohort(folder, n=2, seed=2, spacing_mm=4.0, healthy_fraction=0.0)
    return folder


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(verb, "--help") == 0
    assert "Usage: annofree" in capsys.readouterr().out


def test_segment_evaluate_rethreshold_in_a_row(
    phantoms: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert call("segment", phantoms / "scans", "-o", out, "--method", "intensity-published", "--no-locate") == 0
    assert "tier T2" in capsys.readouterr().out
    assert call("evaluate", out, "--truth", phantoms / "truth") == 0
    assert "Dice" in capsys.readouterr().out
    assert call("rethreshold", out, "--threshold", "mad:2", "--no-locate", "--overwrite") == 0
    assert "evaluation.tsv has the scores of older answers" in capsys.readouterr().err


def test_part_failure_is_exit_code_3_and_names_the_scan(
    phantoms: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(b"not an image")
    good = next((phantoms / "scans").iterdir())
    code = call(
        "segment",
        good,
        broken,
        "-o",
        tmp_path / "out",
        "--method",
        "intensity-published",
        "--sequence",
        "FLAIR",
        "--no-locate",
    )
    assert code == 3
    assert "failed broken" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["segment", "nowhere", "-o", "out"], "nowhere"),
        (["segment", "{scan}", "-o", "out", "--method", "intensty"], "did you mean 'intensity'?"),
        (["segment", "{scan}", "-o", "out", "--threshold", "fixd:2"], "fixed"),
        (["segment", "{scan}", "-o", "out", "--model", "nowhere"], "There is no such folder of a model"),
        (["segment", "{scan}", "-o", "out", "--model", "{scan}"], "This is not a model folder"),
        (["adapt", "shiped", "--patients", "{scan}", "-o", "out"], "or 'shipped' for the default"),
        (["segment", "{scan}", "-o", "out", "--method", "intensity", "--model", "m"], "Both a method and a model"),
        (["segment", "{scan}", "-o", "deep/out", "--quality", "nonsense"], "'fast', 'default' or 'best'"),
        (
            ["segment", "{scan}", "-o", "out", "--method", "intensity", "--quality", "best"],
            "means nothing to 'intensity'",
        ),
        (["segment", "{scan}", "-o", "out", "--series", "4"], "are for DICOM, and none was given"),
        (["evaluate", "nowhere", "--truth", "nowhere"], "nowhere"),
        (["fit", "intensity", "-o", "model"], "nothing to fit"),
        (["fit", "intensity", "-o", "model", "--healthy", "{scan}", "--set", "sigma=2"], "sigma_mm"),
        (["fit", "atlas-z", "-o", "model", "--healthy", "{scan}"], "at least 3 healthy scans"),
    ],
)
def test_bad_input_is_one_sentence_exit_code_2_and_no_folder(
    arguments: list[str],
    words: str,
    phantoms: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    scan = str(next((phantoms / "scans").iterdir()))
    assert call(*(a.format(scan=scan) for a in arguments)) == 2
    said = capsys.readouterr().err
    assert words in said
    assert "Traceback" not in said
    assert len(said.strip().splitlines()) == 1
    assert not any(tmp_path.iterdir())


def test_one_file_is_segmented_and_its_sequence_shown(phantoms: Path, tmp_path: Path) -> None:
    flair = next(next((phantoms / "scans").iterdir()).glob("*flair*"))
    command = [sys.executable, "-m", "annofree", "segment", str(flair), "-o", str(tmp_path / "out")]
    done = subprocess.run(
        [*command, "--method", "intensity-published", "--no-locate"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "FLAIR" in (tmp_path / "out" / "results.tsv").read_text()


def test_an_unwritable_folder_is_said_not_raised(
    phantoms: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("a file, not a folder")
    scan = next((phantoms / "scans").iterdir())
    assert call("segment", scan, "-o", tmp_path / "file" / "out", "--method", "intensity-published") == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_nibabel_image_and_a_scan_segment_from_python(phantoms: Path) -> None:
    import nibabel

    import annofree as af

    flair = next(next((phantoms / "scans").iterdir()).glob("*flair*"))
    image = nibabel.load(flair)
    from_image = af.segment(image, sequence="FLAIR", method="intensity-published", locate=False)
    from_scan = af.segment(af.open_scan(flair), method="intensity-published", locate=False)
    assert np.array_equal(from_image.labels, from_scan.labels)
    assert from_scan.lesions
    assert not any(lesion.label_ml for lesion in from_scan.lesions)  # it tells no oedema from a core


@pytest.mark.parametrize(
    "arguments", [("segment", "", "-o", "o"), ("segment", "x", "-o", " "), ("evaluate", "o", "--truth=")]
)
def test_an_empty_text_is_no_path(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from annofree.errors import AnnofreeError
    from annofree.formats import open_cohort, open_scan
    from annofree.formats.outfolder import claim_folder

    monkeypatch.chdir(tmp_path)
    assert call(*arguments) == 2
    assert "An empty text was given" in capsys.readouterr().err
    for take in (open_cohort, open_scan, claim_folder):
        with pytest.raises(AnnofreeError, match="An empty text"):
            take("")
    assert not list(tmp_path.iterdir())


def test_when_all_fail_there_is_nothing_to_look_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "flair.nii.gz"
    broken.write_bytes(b"not an image")
    assert call("segment", broken, "-o", tmp_path / "out", "--method", "intensity-published") == 2
    said = capsys.readouterr()
    assert "to look at them" not in said.out
    assert "written to" not in said.out
    assert f"no scan was segmented; {tmp_path / 'out' / 'failures.tsv'} says why" in said.out
    assert str(broken) in said.err
    assert str(broken) in (tmp_path / "out" / "failures.tsv").read_text()


def test_a_fault_of_ours_is_a_line_and_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr("annofree.batch.run.run", broken)
    (tmp_path / "flair.nii.gz").write_bytes(b"x")
    assert call("segment", tmp_path / "flair.nii.gz", "-o", tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert "an unexpected error: RuntimeError: two lines (test_cli.py, line" in said
    assert "Traceback" not in said


def test_a_threshold_that_no_score_can_reach_is_refused_before_any_image_is_read(
    phantoms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("annofree.batch.worker.Worker.__call__", lambda *_: pytest.fail("a scan was begun"))
    assert call("segment", phantoms / "scans", "-o", tmp_path / "out", "--threshold", "fixed:7") == 2
    assert "The threshold 7 of WT is outside 0 to 1" in capsys.readouterr().err


def test_slices_are_said_to_lie_where_they_lie(
    phantoms: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scan = sorted((phantoms / "scans").iterdir())[0]
    for _ in range(2):  # the second time nothing is written
        assert call("export", "slices", scan, "-o", tmp_path / "out", "--frame", "scan") == 0
        said = capsys.readouterr().out
        assert f"of 1 subjects are in {tmp_path / 'out' / 'img'}" in said
        assert "written" not in said
    assert len(list((tmp_path / "out" / "img").iterdir())) == int(said.split()[0])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("export", "slices", "in", "-o", "out", "--dicom", "x"), "--dicom means nothing to 'export slices'"),
        (("export", "volumes", "in", "-o", "out", "--size", "96"), "--size means nothing to 'export volumes'"),
        (("export", "dicom-seg", "in", "-o", "out", "--kind", "img"), "it is for volumes"),
        (("segment", "in", "-o", "out", "--labelmap"), "Add --dicom-seg"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(
    arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*arguments) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(("verb", "keeps"), [("segment", True), ("evaluate", False)])
def test_ctrl_c_promises_to_go_on_only_where_the_verb_does(
    verb: str, keeps: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*given: object, **named: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("annofree.formats.open_cohort", stop)
    monkeypatch.setattr("annofree.evaluation.evaluate.evaluate", stop)
    words = ("segment", tmp_path, "-o", tmp_path / "o") if keeps else ("evaluate", tmp_path, "--truth", tmp_path)
    assert call(*words) == 130
    assert ("goes on from there" in capsys.readouterr().err) == keeps


@pytest.mark.parametrize(
    ("words", "keeps"),
    [
        (("class-folders", "-o", "o"), False),
        (("in.nii.gz", "i.nii.gz", "l.nii.gz"), False),
        (("mix", "-o", "o"), True),
        (("-o", "o"), True),
    ],
)
def test_ctrl_c_promises_to_go_on_only_where_the_form_of_synth_does(
    words: tuple[str, ...], keeps: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*given: object, **named: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("annofree.phantom.disk.write_class_folders", stop)
    for name in ("synthesise", "synthesise_one", "mix"):
        monkeypatch.setattr(f"annofree.synthesis.synthesise.{name}", stop)
    assert call("synth", *words) == 130
    said = capsys.readouterr().err
    assert ("goes on from there" in said) == keeps
    assert ("stopped before it was done" in said) != keeps


@pytest.mark.parametrize(
    ("number", "name", "code", "words"),
    [
        (errno.ENOSPC, None, 2, "A file cannot be read or written: No space left on device"),
        (errno.EACCES, "x.nii.gz", 2, "A file cannot be read or written (x.nii.gz)"),
        (errno.ENOENT, "x.nii.gz", 1, "an unexpected error: FileNotFoundError"),
    ],
)
def test_only_the_disk_is_blamed_for_what_the_disk_does(
    number: int,
    name: str | None,
    code: int,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*given: object, **named: object) -> None:
        raise OSError(number, os.strerror(number), *([name] if name else []))

    monkeypatch.setattr("annofree.formats.open_cohort", fail)
    assert call("segment", tmp_path, "-o", tmp_path / "o") == code
    assert words in capsys.readouterr().err


def test_what_the_disk_refuses_is_no_fault_of_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data"
    (data / "labelsTr").mkdir(parents=True)
    (data / "dataset.json").write_text('{"channel_names": {"0": "FLAIR"}, "labels": {"background": 0, "tumour": 1}}')
    (tmp_path / "file").write_text("in the way")
    assert call("nnunet", data, "-o", tmp_path / "file", "--script") == 2
    said = capsys.readouterr().err
    where = tmp_path / "file"
    assert (
        said == f"annofree: The output folder cannot be made ({where}): it is a file. Choose another folder with -o.\n"
    )


@pytest.mark.parametrize(
    "words",
    [
        ("review",),
        ("evaluate", "--truth", "TRUTH"),
        ("rethreshold", "--threshold", "otsu", "-o", "NEW"),
        ("compare", "OUT", "-o", "NEW"),
    ],
)
def test_a_verb_that_reads_results_says_what_it_was_given_instead(
    words: tuple[str, ...], phantoms: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, new = tmp_path / "out", tmp_path / "new"
    scan = sorted((phantoms / "scans").iterdir())[0]
    assert call("segment", scan, "-o", out, "--method", "intensity-published", "--no-locate", "--no-review") == 0
    (tmp_path / "empty").mkdir()
    assert call("review", out, "--method", "atlas-z") == 2  # not one page
    assert "No segmentation is by 'atlas-z'" in capsys.readouterr().err
    verb, *options = [{"TRUTH": phantoms / "truth", "NEW": new, "OUT": out}.get(word, word) for word in words]
    (subject,) = out.glob("sub-*")
    for given, said in (
        (out / "results.tsv", f"A file was given where a folder is needed ({out / 'results.tsv'})."),
        (tmp_path / "gone", f"There is no such folder ({tmp_path / 'gone'})."),
        (tmp_path / "empty", "Run annofree segment first, or give the folder that it wrote."),
        (subject, f"it lies within a folder that annofree wrote. Give {out}."),
    ):
        capsys.readouterr()
        assert call(verb, given, *options) == 2
        assert said in capsys.readouterr().err
    assert not new.exists()
