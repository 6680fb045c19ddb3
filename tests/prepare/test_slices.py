"""Scans to slices and back: nothing moves, nothing is lost."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import annofree.anatomy
from annofree.cli.main import main
from annofree.errors import InputError, OutputError
from annofree.export import export_slices, import_slices
from annofree.formats import open_cohort, open_scan
from annofree.formats.grids import resample
from annofree.formats.slices import published_grid, read_mask_stack, read_png, write_slices
from annofree.phantom import phantom_subject
from annofree.prepare.resample import back as brought_back
from annofree.prepare.slices import SliceSettings, framed, from_slices, to_slices
from annofree.scan import Cohort, Modality, Scan

QUICK = SliceSettings()


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


@pytest.fixture(scope="module")
def subject():  # type: ignore[no-untyped-def]
    return phantom_subject(seed=5, kind="glioblastoma", spacing_mm=3.0)


@pytest.mark.parametrize("published", [False, True])
def test_a_mask_comes_back_where_it_was(subject, published: bool) -> None:  # type: ignore[no-untyped-def]
    how = SliceSettings.published() if published else QUICK
    slices = framed(subject.scan, how)
    assert slices.shape == (128, 128, 120) if published else slices.shape[:2] == (96, 96)
    lesion = subject.labels > 0
    there = resample(lesion, subject.scan.grid, slices.grid, 0)
    back = brought_back(there, slices, subject.scan, order=0)
    assert dice(back, lesion) > 0.93


def test_grey_levels_lie_in_0_to_1_and_are_0_outside_the_brain_only(subject) -> None:  # type: ignore[no-untyped-def]
    slices = framed(subject.scan, QUICK)
    for image in slices.images.values():
        assert image.min() == 0.0
        assert image.max() <= 1.0
        assert np.array_equal(image > 0, slices.brain)
        assert np.median(image[slices.brain]) == pytest.approx(1 / 3, abs=1e-3)


@settings(max_examples=10, deadline=None)
@given(
    shape=st.tuples(*[st.integers(20, 60)] * 3),
    spacing=st.tuples(*[st.floats(1.0, 4.0)] * 3),
    corner=st.tuples(*[st.integers(1, 6)] * 3),
)
def test_any_grid_goes_there_and_back(shape, spacing, corner) -> None:  # type: ignore[no-untyped-def]
    brain = np.zeros(shape, bool)
    brain[tuple(slice(c, -c) for c in corner)] = True
    rng = np.random.default_rng(0)
    image = np.where(brain, rng.uniform(50, 100, shape), 0).astype(np.float32)
    scan = Scan("s", {Modality.T2: image}, np.diag([*spacing, 1.0]), brain=brain)
    assume(max(brain.any(axis=(1, 2)).sum() * spacing[0], brain.any(axis=(0, 2)).sum() * spacing[1]) < 180)
    slices = framed(scan, QUICK)
    assert np.array_equal(from_slices(to_slices(slices.images[Modality.T2])), slices.images[Modality.T2])
    back = brought_back(slices.brain, slices, scan, order=0)
    assert dice(back, brain) > 0.8
    assert back.shape == shape


def test_no_brain_and_a_brain_that_does_not_fit_are_refused(subject) -> None:  # type: ignore[no-untyped-def]
    scan = subject.scan
    with pytest.raises(InputError, match="has no brain"):
        framed(scan.replace(brain=np.zeros(scan.shape, bool)), QUICK)
    with pytest.raises(InputError, match="Check the brain mask"):
        framed(scan, SliceSettings(size=48))


def test_an_export_comes_back_on_the_grid_and_axis_order_of_the_file(tmp_path: Path) -> None:
    subject = phantom_subject(seed=6, kind="glioblastoma", spacing_mm=3.0)
    flipped = np.diag([-3.0, -3.0, 3.0, 1.0])
    flipped[:3, 3] = [80, 85, -79]
    folder = tmp_path / "p1"
    folder.mkdir()
    image = np.ascontiguousarray(subject.scan.images[Modality.FLAIR][::-1, ::-1])
    nibabel.save(nibabel.Nifti1Image(image, flipped), folder / "p1_flair.nii.gz")
    mask = np.ascontiguousarray((subject.labels > 0).astype(np.uint8)[::-1, ::-1])
    nibabel.save(nibabel.Nifti1Image(mask, flipped), folder / "p1_seg.nii.gz")

    out = tmp_path / "out"
    arguments = ["export", "slices", str(folder), "-o", str(out), "--frame", "scan", "--masks", str(folder)]
    with pytest.raises(SystemExit) as done:
        main([*arguments, "--dataset", "site"])
    assert done.value.code in (0, None)
    names = sorted(path.name for path in (out / "img").iterdir())
    assert names[0] == "site_p1_0.png"
    assert names == sorted(path.name for path in (out / "seg").iterdir())

    with pytest.raises(SystemExit):
        main(["export", "volumes", str(out), "-o", str(tmp_path / "back")])
    back = nibabel.load(tmp_path / "back" / "site_p1.nii.gz")
    assert np.allclose(back.affine, flipped)
    assert dice(np.asarray(back.dataobj) > 0, mask > 0) > 0.93


def test_exported_slices_open_as_a_scan_in_its_own_space(subject, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    scan = subject.scan
    export_slices(Cohort.of([scan]), tmp_path / "out", settings=QUICK)
    again = open_scan(tmp_path / "out")
    assert again.id == scan.id
    assert again.sequences == (Modality.FLAIR,)
    cut = framed(scan, QUICK)
    assert again.grid.same_as(cut.grid)
    assert np.abs(again.images[Modality.FLAIR] - 255 * cut.images[Modality.FLAIR]).max() <= 0.5001
    assert open_cohort(tmp_path / "out", reports=tmp_path / "out" / "TXT")[scan.id].report == scan.report


def test_reports_become_mask_slices_on_the_reports_side(tmp_path: Path) -> None:
    """Published slices with texts in, the same slices with the named lobe in `seg/` out."""
    image = np.zeros((128, 128, 120), dtype=np.uint8)
    image[20:108, 20:110, 10:100] = np.random.default_rng(0).integers(1, 255, (88, 90, 90))
    write_slices(tmp_path / "in", "site_1", image)
    (tmp_path / "in" / "TXT").mkdir()
    (tmp_path / "in" / "TXT" / "site_1.txt").write_text("A mass in the right frontal lobe.")
    (tmp_path / "regions.tsv").write_text("index\tname\tside\tlobe\n1\tA\tleft\tFrontal\n2\tB\tright\tFrontal\n")
    labels = np.zeros((197, 233, 189), dtype=np.uint8)
    labels[40:90, 150:180, 80:110], labels[107:157, 150:180, 80:110] = 1, 2
    affine = np.eye(4)
    affine[:3, 3] = (-98.0, -134.0, -72.0)
    nibabel.save(nibabel.Nifti1Image(labels, affine), tmp_path / "atlas.nii.gz")
    arguments = ["export", "slices", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--report-masks"]
    with pytest.raises(SystemExit) as done:
        main([*arguments, "--atlas", str(tmp_path / "atlas.nii.gz"), "--regions", str(tmp_path / "regions.tsv")])
    assert done.value.code in (0, None)
    assert {p.name for p in (tmp_path / "out" / "seg").iterdir()} == {
        p.name for p in (tmp_path / "out" / "img").iterdir()
    }
    plane = read_png(tmp_path / "out" / "seg" / "site_1_65.png")  # template slice 95, inside the boxes
    assert set(np.unique(plane)) == {0, 255}
    assert plane[85, 90] == 255  # right: x = 131 of the template
    assert plane[42, 90] == 0  # left
    with pytest.raises(InputError, match=r"are no truth .*regions that reports name"):  # so nothing is scored on them
        read_mask_stack(tmp_path / "out" / "seg" / "site_1_65.png")
    with pytest.raises(InputError, match="folder or from reports"):
        export_slices(Cohort.of([]), tmp_path / "o", masks=tmp_path, regions=object())  # type: ignore[arg-type]


def test_published_slices_are_in_mni_space_already_and_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(scan: Scan) -> None:
        raise AssertionError("registered")

    monkeypatch.setattr(annofree.anatomy, "register_to_mni", never)
    image = np.zeros((128, 128, 2), dtype=np.float32)
    image[30:90, 20:110] = np.random.default_rng(0).integers(1, 255, (60, 90, 2))
    scan = Scan("one_1", {Modality.T2: image}, published_grid(128, 73, 2).affine)
    cut = framed(scan, SliceSettings.published())
    assert cut.shape == scan.shape
    assert np.corrcoef(cut.images[Modality.T2][30:90, 20:110].ravel(), image[30:90, 20:110].ravel())[0, 1] > 0.99
    assert brought_back(cut.images[Modality.T2], cut, scan).shape == scan.shape


def test_a_brain_a_little_longer_than_a_slice_loses_its_ends_and_the_scan_says_so() -> None:
    image = np.zeros((110, 110, 4), dtype=np.float32)
    image[20:80, 5:103] = 1 + np.random.default_rng(0).random((60, 98, 4))
    scan = Scan("long", {Modality.FLAIR: image}, np.diag([2.0, 2.0, 2.0, 1.0]))
    cut = framed(scan, QUICK)
    assert cut.shape[:2] == (96, 96)
    assert "4 mm longer than a slice" in cut.notes[-1]


def test_a_finished_subject_is_not_cut_again_and_foreign_folders_stay(subject, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    cohort = Cohort.of([subject.scan])
    export_slices(cohort, tmp_path / "out", settings=QUICK)
    file = next((tmp_path / "out" / "img").iterdir())
    before = file.stat().st_mtime_ns
    export_slices(cohort, tmp_path / "out", settings=QUICK)
    assert file.stat().st_mtime_ns == before
    with pytest.raises(OutputError, match=r"cut with other options \(.*\): sequence"):
        export_slices(cohort, tmp_path / "out", settings=QUICK, sequence=Modality.T2)
    with pytest.raises(InputError, match="no such folder of masks"):
        export_slices(cohort, tmp_path / "out", settings=QUICK, masks=tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"No slices were found.*it has no seg/\. Say --kind img"):
        import_slices(tmp_path / "out", tmp_path / "masks")
    import_slices(tmp_path / "out", tmp_path / "back", kind="img")
    with pytest.raises(OutputError, match="folder for the volumes is not empty"):
        import_slices(tmp_path / "out", tmp_path / "back", kind="img")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(OutputError, match="not empty"):
        export_slices(cohort, tmp_path / "mine", settings=QUICK)


def test_slices_from_nowhere_are_refused(subject, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    export_slices(Cohort.of([subject.scan]), tmp_path / "out", settings=QUICK)
    (tmp_path / "out" / "slices.json").unlink()
    with pytest.raises(InputError, match=r"slices\.json.*--like"):
        import_slices(tmp_path / "out", tmp_path / "back", kind="img")
    (tmp_path / "out" / "slices.json").write_text("{")
    with pytest.raises(InputError, match="damaged"):
        import_slices(tmp_path / "out", tmp_path / "back", kind="img")
