"""Results of a DICOM study: their pictures are found again where the run found them."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from annofree.batch.rethreshold import rethreshold
from annofree.batch.run import run
from annofree.errors import InputError
from annofree.evaluation.pairs import find_pairs
from annofree.formats import open_cohort, read_segmentation
from annofree.formats.standing import listed, refuse_shared
from annofree.phantom import phantom_subject
from annofree.pipeline import Choice
from annofree.prepare import Recipe
from annofree.review import review
from annofree.scan import Modality

from .made import write_study


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A phantom's sequences as series, in a folder."""
    scan = phantom_subject(3, kind="glioblastoma", spacing_mm=4.0).scan
    images = {str(kind): np.rint(image).astype(np.int32) for kind, image in scan.images.items()}
    return write_study(tmp_path_factory.mktemp("dicom") / "study", images, scan.affine)


def segmented(study: Path, out: Path, threshold: str | None = None) -> Path:
    report = run(
        open_cohort(study, prepare=Recipe()), Choice("intensity-published", threshold=threshold), out, review=False
    )
    assert len(report.rows) == 1
    return out


def test_new_masks_are_those_of_a_run_with_that_threshold(study: Path, tmp_path: Path) -> None:
    out = segmented(study, tmp_path / "out")
    rethreshold(out, "fixed:2.5", out=tmp_path / "new", locate=False)
    segmented(study, tmp_path / "direct", "fixed:2.5")
    before, new, direct = (
        read_segmentation(folder, next(iter(open_cohort(study).ids)), None).mask("WT")
        for folder in (out, tmp_path / "new", tmp_path / "direct")
    )
    assert 0 < new.sum() < before.sum()
    assert np.array_equal(new, direct)


def test_pages_are_made_again(study: Path, tmp_path: Path) -> None:
    out = segmented(study, tmp_path / "out")
    report = review(out)
    assert (len(report.made), report.failed) == (1, ())
    study.rename(moved := study.with_name("moved"))
    try:
        ((_, why),) = review(out, again=True).failed
    finally:
        moved.rename(study)
    assert re.search(r"not where they were when they were segmented .*study\). Put the images back there", why)
    (out / "run.json").unlink()
    ((scan_id, why),) = review(out, again=True).failed
    assert f"Where the images of '{scan_id}' lie is not known" in why
    with pytest.raises(InputError, match=r"no run\.json in the folder names them"):
        rethreshold(out, "fixed:2.5", out=tmp_path / "new")


def test_one_study_is_not_healthy_and_a_patient(study: Path, tmp_path: Path) -> None:
    shutil.copytree(study, tmp_path / "moved")
    healthy, patients = open_cohort(study), open_cohort(tmp_path / "moved")
    with pytest.raises(InputError, match=f"^{healthy.ids[0]} is among the healthy scans and among the patients"):
        refuse_shared(healthy, patients)
    assert listed(healthy) == listed(patients)
    images = {"FLAIR": np.full((16, 16, 8), 7, np.int32)}
    other = open_cohort(write_study(tmp_path / "other", images, np.eye(4), study="two"))
    refuse_shared(healthy, other)
    again = open_cohort(write_study(tmp_path / "again", images, np.eye(4)))  # the same study with other pictures
    assert again.ids == healthy.ids
    assert listed(again) != listed(healthy)


def test_studies_are_paired_by_person_and_put_in_order_by_day(tmp_path: Path) -> None:
    """Names of studies are hashes; the headers tell, and nothing that names anybody is kept."""
    scan = phantom_subject(3, kind="glioblastoma", spacing_mm=6.0).scan  # fourteen studies with a file to each slice
    flair = {"FLAIR": np.rint(scan.images[Modality.FLAIR]).astype(np.int32)}
    days = {"a1": ("A", "20240301"), "a2": ("A", "20230301"), "a3": ("A", "20250301"), "b1": ("B", "20240301")}
    days |= {"c1": ("C", ""), "c2": ("C", "20240301")}
    of: dict[str, str] = {}

    def results(name: str, *studies: str) -> Path:
        for one in studies:
            person, day = days[one]
            write_study(tmp_path / name / one, flair, scan.affine, study=one, PatientID=person, StudyDate=day)
        cohort = open_cohort(tmp_path / name)
        of.update({scan_id: one for one in studies for scan_id in open_cohort(tmp_path / name / one).ids})
        run(cohort, Choice("intensity-published"), tmp_path / f"out-{name}", review=False, locate=False)
        return tmp_path / f"out-{name}"

    def pairs(before: Path, after: Path | None = None) -> list[tuple[str, str]]:
        return [(of[one.scan_id], of[other.scan_id]) for one, other in find_pairs(before, after)]

    assert pairs(results("all", "a1", "a2", "a3", "b1")) == [("a2", "a1"), ("a1", "a3")]
    assert pairs(results("then", "a2", "b1"), results("now", "a3", "c2")) == [("a2", "a3")]
    with pytest.raises(InputError, match=r"which session .* came first .*have no days of their own\. .*--pair"):
        pairs(results("undated", "c1", "c2"))
    with pytest.raises(InputError, match=r"No scan of the one folder belongs to one of the other.*--pair"):
        pairs(results("several", "a1", "a2"), results("one", "a3", "b1"))
