"""A dry run says what a run would do, and does none of it."""

from __future__ import annotations

import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from annofree.batch.dry_run import expect
from annofree.formats import open_cohort
from annofree.phantom import write_cohort
from annofree.pipeline import Choice
from command_line import call


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dry")
    write_cohort(folder / "made", n=2, seed=2, spacing_mm=4.0, healthy_fraction=0.0)
    scans = folder / "made" / "scans"
    (scans / "phantom-001" / "phantom-001_t2.nii.gz").unlink()
    (scans / "bad").mkdir()
    (scans / "bad" / "bad_flair.nii.gz").write_bytes(b"no image")
    return scans


def test_it_names_files_sequences_grids_costs_and_what_would_fail(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("segment", scans, "-o", tmp_path / "out", "--dry-run", "--method", "intensity") == 3
    text = capsys.readouterr().out
    shape = " x ".join(map(str, nib.load(scans / "phantom-000" / "phantom-000_flair.nii.gz").shape))
    assert f"FLAIR: phantom-000_flair.nii.gz, {shape} voxels of 4 x 4 x 4 mm" in text
    assert "T1C: phantom-000_t1ce.nii.gz" in text
    assert "not there: T2" in text.split("\nphantom-001\n")[1]
    assert "not there" not in text.split("phantom-000\n")[1].split("\nphantom-001\n")[0]
    assert re.search(r"^  would fail: A file is not NIfTI \(.*bad_flair.nii.gz\): [^:]*\. ", text.split("bad\n")[1])
    assert "\nwould fail, for what is said above: bad\n" in text
    assert "2 of 3 scans would be segmented" in text
    assert "minutes" in text
    assert "GB of memory" in text


def test_it_writes_nothing(scans: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in scans.rglob("*")}
    call("segment", scans, "-o", tmp_path / "out", "--dry-run")
    assert not (tmp_path / "out").exists()
    assert {path: path.stat().st_mtime_ns for path in scans.rglob("*")} == before


def test_a_sequence_that_the_method_needs_is_named(scans: Path) -> None:
    method = Choice("mvit-ae-published").build()
    told = expect(open_cohort(scans), "phantom-001", method)
    assert told.problems == ("'mvit-ae-published' needs T2, which is missing",)
    assert expect(open_cohort(scans), "phantom-000", method).problems == ()


def test_a_larger_scan_is_expected_to_cost_more(tmp_path: Path) -> None:
    for name, size in (("small", 60), ("large", 180)):
        ball = np.linalg.norm(np.indices((size,) * 3) / (size / 2) - 1, axis=0) < 0.8
        folder = tmp_path / name
        folder.mkdir()
        grey = np.random.default_rng(0).normal(100, 5, ball.shape)
        image = nib.Nifti1Image((grey * ball).astype(np.float32), np.diag([180 / size] * 3 + [1]))
        nib.save(image, folder / f"{name}_flair.nii.gz")
    cohort, method = open_cohort(tmp_path), Choice("intensity").build()
    small, large = (expect(cohort, name, method) for name in ("small", "large"))
    assert small.problems == large.problems == ()
    assert large.seconds > small.seconds
    assert large.memory_gb > small.memory_gb
    default = expect(cohort, "large", Choice().build())  # one sequence of 5.8 million voxels: a sixth of a usual scan
    assert 3 < default.seconds < 6
    assert 0.3 < default.memory_gb < 0.6
