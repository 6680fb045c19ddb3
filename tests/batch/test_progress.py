"""On a pipe, too, a user sees which scan is at which stage."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from annofree.phantom import write_cohort
from annofree.progress import listening, stage, working_on


def test_a_pipe_gets_one_line_a_stage(tmp_path: Path) -> None:
    write_cohort(tmp_path / "in", n=2, seed=2, spacing_mm=4.0, healthy_fraction=0.0)
    command = [sys.executable, "-m", "annofree", "segment", str(tmp_path / "in" / "scans"), "-o", str(tmp_path / "out")]
    done = subprocess.run([*command, "--method", "intensity"], capture_output=True, text=True, check=True)
    lines = done.stderr.splitlines()
    stages = [line.split(": ", 1)[1] for line in lines if line.startswith("[1/2] phantom-000: ")]
    assert stages[:-1] == [
        "reading",
        "finding the tumour",
        "thresholds and clean-up",
        "naming sides and lobes",
        "writing",
        "making its page",
    ]
    assert re.fullmatch(r"done, \d+ s since the start", stages[-1])
    assert sum(line.startswith("[2/2] phantom-001: ") for line in lines) == len(stages)


def test_a_failure_is_told_when_it_happens(tmp_path: Path) -> None:
    (tmp_path / "bad_flair.nii.gz").write_bytes(b"no image")
    command = [
        sys.executable,
        "-m",
        "annofree",
        "segment",
        str(tmp_path / "bad_flair.nii.gz"),
        "-o",
        str(tmp_path / "out"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert re.search(r"^\[1/1\] .*: failed, \d+ s", done.stderr, re.MULTILINE)


def test_who_does_not_listen_hears_nothing() -> None:
    heard: list[tuple[str, str]] = []
    stage("before")
    with listening(lambda scan_id, what: heard.append((scan_id, what))):
        working_on("p1")
        stage("reading")
    stage("after")
    assert heard == [("p1", "reading")]
