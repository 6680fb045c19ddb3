"""BIDS in and out: subjects and sessions keep their names, and the validator has nothing to object to."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from annofree.errors import InputError
from annofree.formats import open_cohort, read_segmentation, written_ids
from annofree.formats.bids_names import bids_folder, bids_stem, participant_of
from annofree.formats.outfolder import read_table
from annofree.formats.participants import participants_table
from annofree.modality import Modality
from annofree.scan import Grid
from annofree.segmentation import LABEL_NAMES, ScoreMap, Segmentation
from command_line import told

from .conftest import AFFINE, SHAPE, brain_image, save


def bids(root: Path) -> Path:
    """Two sessions of one person and one of another, two runs and two acquisitions among them."""
    pre, post = root / "sub-01" / "ses-pre" / "anat", root / "sub-01" / "ses-post" / "anat"
    for seed, (folder, stem) in enumerate(((pre, "sub-01_ses-pre"), (post, "sub-01_ses-post"))):
        save(folder / f"{stem}_FLAIR.nii.gz", brain_image(seed).astype(np.int16))
        save(folder / f"{stem}_ce-gadolinium_T1w.nii.gz", brain_image(seed + 5).astype(np.int16))
    other = root / "sub-B2" / "anat"
    save(other / "sub-B2_run-1_FLAIR.nii.gz", brain_image(7).astype(np.int16))
    save(other / "sub-B2_run-2_FLAIR.nii.gz", brain_image(8).astype(np.int16))
    save(
        other / "sub-B2_acq-thick_T1w.nii.gz",
        brain_image(9)[:, :, ::2].astype(np.int16),
        AFFINE @ np.diag([1, 1, 2, 1]),
    )
    save(other / "sub-B2_acq-thin_T1w.nii.gz", brain_image(10).astype(np.int16))
    description = {"Name": "made", "BIDSVersion": "1.10.0", "DatasetType": "raw"}
    (root / "dataset_description.json").write_text(json.dumps(description))
    (root / "participants.tsv").write_text("participant_id\tgroup\nsub-01\tpatient\nsub-B2\tcontrol\n")
    return root


def errors_of_validator(folder: Path) -> list[str]:
    program = shutil.which("bids-validator-deno", path=str(Path(sys.executable).parent)) or shutil.which(
        "bids-validator-deno"
    )
    if program is None:
        pytest.skip("bids-validator-deno is not installed (pip install bids-validator-deno)")
    done = subprocess.run([program, str(folder), "--json"], capture_output=True, text=True)
    issues = json.loads(done.stdout)["issues"]["issues"]
    return [f"{issue['code']} {issue.get('location')}" for issue in issues if issue.get("severity") == "error"]


def made(scan_id: str) -> Segmentation:
    labels = np.zeros(SHAPE, np.uint8)
    labels[10:20, 20:30, 20:26], labels[12:16, 22:26, 21:24], labels[13, 23, 22] = 2, 1, 3
    grid = Grid(SHAPE, np.diag([4.5, 4.5, 4.5, 1.0]))
    score = ScoreMap((labels > 0).astype(np.float32), "WT", "probability", grid)
    return Segmentation(
        scan_id=scan_id,
        labels=labels,
        affine=grid.affine,
        native=grid,
        regions=("WT", "TC", "ET"),
        scores={"WT": score},
        brain=labels >= 0,
        provenance={"method": "test"},
    )


def test_names_keep_subject_and_session() -> None:
    assert bids_stem("sub-01_ses-pre") == "sub-01_ses-pre"
    assert bids_folder("out", "sub-01_ses-pre") == Path("out/sub-01/ses-pre")
    assert bids_folder("out", "sub-01") == Path("out/sub-01")
    assert bids_stem("sub-01_ses") == "sub-sub01ses"  # no name of BIDS
    assert participant_of("sub-01_ses-pre") == "01"


def test_derivatives_pass_the_validator(tmp_path: Path) -> None:
    ids = ("sub-01_ses-pre", "sub-01_ses-post", "sub-B2", "p_3")
    for scan_id in ids:
        made(scan_id).save(tmp_path / "out")
    assert written_ids(tmp_path / "out") == tuple(sorted(ids))
    for scan_id in ids:
        back = read_segmentation(tmp_path / "out", scan_id)
        assert np.array_equal(back.labels, made(scan_id).labels)
    table = next((tmp_path / "out" / "sub-01" / "ses-pre" / "anat").glob("*_dseg.tsv"))
    rows = [line.split("\t") for line in table.read_text().splitlines()]
    assert rows[0] == ["index", "name", "abbreviation", "color"]
    assert [row[0] for row in rows[1:]] == ["0", "1", "2", "3"]
    snap = [line.split(maxsplit=7) for line in (tmp_path / "out" / "labels.label").read_text().splitlines()[4:]]
    slicer = [line.split() for line in (tmp_path / "out" / "labels.ctbl").read_text().splitlines()[2:]]
    assert [row[0] for row in snap] == [row[0] for row in slicer] == ["0", "1", "2", "3"]
    assert [row[1:4] for row in snap] == [row[2:5] for row in slicer]
    assert [row[1] for row in slicer] == [row[1] for row in rows[1:]] == [*LABEL_NAMES.values()]
    about = json.loads((tmp_path / "out" / "dataset_description.json").read_text())
    assert about["GeneratedBy"][0]["Name"] == "annofree"
    assert errors_of_validator(tmp_path / "out") == []


def test_the_validator_would_object(tmp_path: Path) -> None:
    """The check above can fail: a file without a BIDS name is an error."""
    made("sub-01").save(tmp_path / "out")
    folder = tmp_path / "out" / "sub-01" / "anat"
    shutil.copy(next(folder.glob("*_dseg.nii.gz")), folder / "dseg.nii.gz")
    assert errors_of_validator(tmp_path / "out") != []


def test_sessions_runs_and_acquisitions(tmp_path: Path) -> None:
    cohort = open_cohort(bids(tmp_path / "data"))
    assert set(cohort.ids) == {"sub-01_ses-pre", "sub-01_ses-post", "sub-B2"}
    assert cohort["sub-01_ses-pre"].sequences == (Modality.T1C, Modality.FLAIR)
    scan = cohort["sub-B2"]
    assert scan.shape == SHAPE
    assert any("sub-B2_run-2_FLAIR.nii.gz, not sub-B2_run-1_FLAIR.nii.gz" in note for note in scan.notes)
    assert any("sub-B2_acq-thin_T1w.nii.gz, not sub-B2_acq-thick_T1w.nii.gz" in note for note in scan.notes)


def test_called_as_a_bids_app(tmp_path: Path) -> None:
    root, out = bids(tmp_path / "data"), tmp_path / "out"
    how = ("--method", "intensity-published", "--no-locate")
    command = [sys.executable, "-c", "from annofree.cli.main import main; main()", "segment", str(root), str(out)]
    given = [*command, "participant", "--participant-label", "01", *how]
    done = subprocess.run(given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert written_ids(out) == ("sub-01_ses-post", "sub-01_ses-pre")
    assert (out / "sub-01" / "ses-pre" / "sub-01_ses-pre.html").is_file()
    page = (out / "index.html").read_text()
    assert "sub-01/ses-pre/sub-01_ses-pre.html" in page
    assert errors_of_validator(out) == []
    done = told("segment", root, out, "participant", *how)
    assert "2 done before" in done.stdout
    assert written_ids(out) == ("sub-01_ses-post", "sub-01_ses-pre", "sub-B2")


def test_groups_are_read_and_written(tmp_path: Path) -> None:
    root, out = bids(tmp_path / "data"), tmp_path / "out"
    cohort = open_cohort(root)
    assert {scan_id: cohort.group(scan_id) for scan_id in cohort.ids} == {
        "sub-01_ses-pre": "patient",
        "sub-01_ses-post": "patient",
        "sub-B2": "control",
    }
    how = ("--method", "intensity-published", "--no-locate")
    assert told("segment", root, out, "participant", *how).returncode == 0

    def written() -> dict[str, str]:
        return {row["id"]: row["group"] for row in read_table(out / "results.tsv")}

    assert written() == {"sub-01_ses-pre": "patient", "sub-01_ses-post": "patient", "sub-B2": "control"}
    people = (out / "participants.tsv").read_text()
    assert people == "participant_id\tgroup\nsub-01\tpatient\nsub-B2\tcontrol\n"
    assert errors_of_validator(out) == []
    assert told("rethreshold", out, "--threshold", "mad:2", "--no-locate", "--overwrite").returncode == 0
    assert written()["sub-B2"] == "control"
    (root / "participants.tsv").write_text("participant_id\tgroup\nsub-01\tpatient\nsub-B2\tpatient\n")
    assert told("segment", root, out, "participant", *how).returncode == 0
    assert written()["sub-B2"] == "patient"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("participant_id\tgroup\nsub-01\ta\nsub-01\tb\n", r"'01' belongs to two groups.*'a' and, in line 3, 'b'"),
        ("subject\tgroup\n01\ta\n", r"names none.*line 2 has nothing in a column participant_id"),
    ],
)
def test_a_wrong_table_of_participants_is_refused(tmp_path: Path, text: str, said: str) -> None:
    root = bids(tmp_path / "data")
    (root / "participants.tsv").write_text(text)
    with pytest.raises(InputError, match=said):
        open_cohort(root)


def test_without_groups_persons_are_named(tmp_path: Path) -> None:
    root = bids(tmp_path / "data")
    (root / "participants.tsv").write_text("\ufeffparticipant_id\tage\nsub-01\t40\nsub-B2\tn/a\n")
    cohort = open_cohort(root)
    assert cohort.group("sub-B2") is None
    rows = [{"id": "sub-01_ses-pre"}, {"id": "sub-01_ses-post"}, {"id": "p_3"}]
    assert participants_table(rows) == "participant_id\nsub-01\nsub-p3\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("participant", "--participant-label", "77"), "no participant '77': the data set has 01, B2"),
        (("group",), "annofree has no group level"),
        (("participants",), "No output folder was given"),
        ((), "No output folder was given"),
    ],
)
def test_wrong_calls_are_one_sentence(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    done = told("segment", bids(tmp_path / "data"), tmp_path / "out", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert not (tmp_path / "out").exists()
