"""Nothing that names a person reaches an output, a log, an error or a page, unless the user asks for it."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from annofree.phantom import phantom_subject
from command_line import told

from .made import PLANTED, PLANTED_ID, header, plant, save, slices


def annofree(*arguments: object, check: bool = True) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from annofree.cli.main import main; main()", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four series of a phantom; every text element of every file holds a made name."""
    folder = tmp_path_factory.mktemp("dicom") / "export"
    scan = phantom_subject(3, kind="glioblastoma", spacing_mm=6.0).scan
    for number, (kind, image) in enumerate(scan.images.items(), 1):
        datasets = slices(np.rint(image).astype(np.int32), scan.affine, header(str(kind), number))
        for dataset in datasets:
            plant(dataset)
        save(folder / f"s{number}", datasets)
    return folder


def leaks(text: bytes) -> list[str]:
    return [word for word in PLANTED if word.lower().encode() in text.lower()]


def leaks_of_folder(folder: Path) -> dict[str, list[str]]:
    found = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        held = leaks(content) + leaks(str(path.relative_to(folder)).encode())
        if held:
            found[path.name] = held
    return found


def test_segment_and_list_let_nothing_out(planted: Path, tmp_path: Path) -> None:
    done = annofree("segment", planted, "-o", tmp_path / "out", "--method", "intensity-published", "--dicom-sr")
    assert leaks((done.stdout + done.stderr).encode()) == []
    written = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert any(path.suffix == ".html" for path in written)
    assert any(path.name.endswith("_seg.dcm") for path in written)
    assert any(path.name.endswith("_sr.dcm") for path in written)
    assert leaks_of_folder(tmp_path / "out") == {}
    command = ("export", "dicom-seg", tmp_path / "out", "--dicom", planted, "-o", tmp_path / "seg", "--labelmap")
    assert "_seg.dcm" in annofree(*command).stdout
    assert leaks_of_folder(tmp_path / "seg") == {}
    shown = annofree("dicom", "list", planted)
    assert leaks((shown.stdout + shown.stderr).encode()) == []
    assert "T1C" in shown.stdout


def test_errors_let_nothing_out(planted: Path, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "damaged"
    shutil.copytree(planted, folder)
    for path in folder.rglob("*.dcm"):
        path.write_bytes(path.read_bytes()[:-100])
    done = annofree("segment", folder, "-o", tmp_path / "out", "--method", "intensity-published", check=False)
    assert done.returncode != 0
    assert "cannot be read" in done.stderr
    assert leaks((done.stdout + done.stderr).encode()) == []
    assert leaks_of_folder(tmp_path / "out") == {}


def test_dicom_seg_of_other_formats_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    done = told("segment", tmp_path / "in", "-o", tmp_path / "out", "--dicom-seg")
    assert done.returncode == 2
    assert "DICOM SEG and SR can be made of DICOM only" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_series_that_is_not_there_is_told(planted: Path) -> None:
    for wrong, why in (("9", "has no series 9"), ("T9=1", "'T9' is not a sequence"), ("FLAIR=", "names no series")):
        done = told("dicom", "list", planted, "--series", wrong)
        assert (done.returncode, why in done.stderr) == (2, True)


def test_ids_are_kept_where_the_user_asks(planted: Path, tmp_path: Path) -> None:
    done = told(
        *("segment", planted, "-o", tmp_path / "out", "--method", "intensity-published", "--keep-ids", "--no-review")
    )
    assert PLANTED_ID in done.stdout
    assert (tmp_path / "out" / f"sub-{PLANTED_ID}").is_dir()


def test_a_second_run_redoes_nothing(planted: Path, tmp_path: Path) -> None:
    command = ("segment", planted, "-o", tmp_path / "out", "--method", "intensity-published", "--no-review")
    assert told(*command).returncode == 0
    assert "1 done before" in told(*command).stdout
