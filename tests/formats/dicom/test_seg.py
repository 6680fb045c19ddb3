"""DICOM SEG says the same as the masks: for every axis order and tilt, read back by highdicom and by dcmqi."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.formats.dicom import DicomCase, find
from annofree.formats.dicom.results import export_dicom_seg
from annofree.formats.dicom.seg import source_series, write_dicom_seg
from annofree.scan import Grid, canonical_grid, to_canonical
from annofree.segmentation import Lesion, Segmentation

from .made import PLANTED, PLANTED_ID, header, save, slices
from .test_stacks import ORDERS, oblique

highdicom = pytest.importorskip("highdicom")

SHAPE = (24, 18, 20)


def labels_of(shape: tuple[int, int, int] = SHAPE) -> NDArray[np.uint8]:
    """Nested boxes in a corner, so that a flip or a shift shows; most slices are empty."""
    labels = np.zeros(shape, np.uint8)
    labels[3:12, 2:9, 4:9] = 2
    labels[4:9, 3:7, 5:8] = 1
    labels[5:8, 4:6, 6:7] = 3
    return labels


def made(folder: Path, affine: Any, regions: tuple[str, ...] = ("WT", "TC", "ET"), drop: int | None = None) -> Any:
    """A series with noise in it, and a segmentation on it."""
    rng = np.random.default_rng(1)
    array = rng.integers(0, 900, SHAPE).astype(np.int32)
    datasets = slices(array, affine, header("FLAIR", 4))
    if drop is not None:
        del datasets[drop]
    (case,) = find(save(folder, datasets))
    assert isinstance(case, DicomCase)
    assert case.study is not None
    (series,) = case.study.series
    assert series.stack is not None
    native = series.stack.grid
    labels = labels_of()
    grid = canonical_grid(native)
    inverse = np.linalg.inv(affine)
    index = np.stack([*np.indices(native.shape), np.ones(native.shape)]).reshape(4, -1)
    place = np.rint(inverse @ native.affine @ index)[:3].astype(int)
    own = labels[tuple(place)].reshape(native.shape)
    if len(regions) == 1:
        own = np.where(own > 0, 2, 0).astype(np.uint8)
    result = Segmentation(
        scan_id=case.id,
        labels=np.ascontiguousarray(to_canonical(own, native)),
        affine=grid.affine,
        native=native,
        regions=regions,
        provenance={"method": "test"},
    )
    return result, case, own


def by_place(volume: NDArray[Any], affine_lps: NDArray[Any], grid: Grid) -> NDArray[Any]:
    """A volume of highdicom, (slice, row, column) with its affine, on a grid of ours."""
    to_ras = np.diag([-1.0, -1, 1, 1])
    index = np.stack([*np.indices(grid.shape), np.ones(grid.shape)]).reshape(4, -1)
    place = np.linalg.inv(to_ras @ affine_lps) @ grid.affine @ index
    assert np.abs(place - np.rint(place)).max() < 0.02
    return np.asarray(volume[tuple(np.rint(place[:3]).astype(int))]).reshape(grid.shape)


@pytest.mark.parametrize(("order", "signs"), ORDERS[::3])
@pytest.mark.parametrize("labelmap", [False, True])
def test_highdicom_reads_every_axis_order_back(tmp_path: Path, order: Any, signs: Any, labelmap: bool) -> None:
    affine = oblique()
    affine[:3, :3] = affine[:3, order] * np.array(signs)
    result, case, own = made(tmp_path / "a", affine)
    path = write_dicom_seg(result, case, tmp_path / "seg.dcm", labelmap=labelmap)
    read = highdicom.seg.segread(path)
    assert list(read.segment_numbers) == [1, 2, 3]
    assert [d.SegmentNumber for d in read.SegmentSequence] == ([0, 1, 2, 3] if labelmap else [1, 2, 3])
    volume = read.get_volume(combine_segments=True)
    assert sorted(volume.spatial_shape) == sorted(SHAPE)  # every slice, also the empty ones
    assert np.array_equal(by_place(volume.array, volume.affine, result.native), own)
    sources = {frame.uid for frame in source_series(result, case).frames}
    assert {item[2] for item in read.get_source_image_uids()} == sources


def test_one_region_is_one_segment(tmp_path: Path) -> None:
    result, case, own = made(tmp_path / "a", oblique(), regions=("WT",))
    read = highdicom.seg.segread(write_dicom_seg(result, case, tmp_path / "seg.dcm"))
    assert [d.SegmentLabel for d in read.SegmentSequence] == ["Whole tumour"]
    volume = read.get_volume(combine_segments=True)
    assert np.array_equal(by_place(volume.array, volume.affine, result.native), own > 0)


def test_what_no_image_shows_is_no_segment_and_no_measurement(tmp_path: Path) -> None:
    result, _, own = made(tmp_path / "a", oblique(), regions=("WT", "TC"))
    result.replace(labels=np.where(result.labels == 3, np.uint8(1), result.labels)).save(tmp_path / "out", page=False)
    seg, report = export_dicom_seg(tmp_path / "out", tmp_path / "a", report=True)
    names = [d.SegmentLabel for d in highdicom.seg.segread(seg).SegmentSequence]
    assert names == ["Tumour core", "Oedema and infiltration"]
    groups = highdicom.sr.srread(report).content.get_volumetric_roi_measurement_groups()
    measured = {group.tracking_identifier: float(group.get_measurements()[0].value) for group in groups}
    core_ml = np.isin(own, (1, 3)).sum() * result.grid.voxel_ml
    assert list(measured) == names
    assert measured["Tumour core"] == pytest.approx(core_ml, abs=1e-3)


def test_a_filled_slice_gets_no_frame(tmp_path: Path) -> None:
    result, case, own = made(tmp_path / "a", oblique(), drop=6)
    read = highdicom.seg.segread(write_dicom_seg(result, case, tmp_path / "seg.dcm"))
    stack = source_series(result, case).stack
    assert stack is not None
    uids = [frame.uid for frame in stack.slots if frame is not None]
    assert len(uids) == 19
    frames = read.get_pixels_by_source_instance(uids, combine_segments=True)
    present = [number for number, frame in enumerate(stack.slots) if frame is not None]
    assert np.array_equal(frames, own[:, :, present].transpose(2, 1, 0))


@pytest.mark.parametrize("labelmap", [False, True])
@pytest.mark.parametrize(("order", "signs"), [ORDERS[0], ORDERS[13], ORDERS[30]])
def test_dcmqi_reads_it_back(tmp_path: Path, order: Any, signs: Any, labelmap: bool) -> None:
    reader = shutil.which("segimage2itkimage")
    if reader is None:
        pytest.skip("dcmqi is not installed (pip install dcmqi)")
    import nibabel as nib

    affine = oblique()
    affine[:3, :3] = affine[:3, order] * np.array(signs)
    result, case, own = made(tmp_path / "a", affine)
    path = write_dicom_seg(result, case, tmp_path / "seg.dcm", labelmap=labelmap)
    (tmp_path / "out").mkdir()
    command = [reader, "--inputDICOM", str(path), "--outputDirectory", str(tmp_path / "out"), "--outputType", "nii"]
    done = subprocess.run([*command, "--mergeSegments"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    files = sorted((tmp_path / "out").glob("*.nii*"))
    assert files
    found = np.zeros(result.native.shape, int)
    for file in files:
        image: Any = nib.load(file)
        array = np.asarray(image.dataobj)
        index = np.stack([*np.indices(result.native.shape), np.ones(result.native.shape)]).reshape(4, -1)
        place = np.rint(np.linalg.inv(image.affine) @ result.native.affine @ index)[:3].astype(int)
        found = np.maximum(found, array[tuple(place)].reshape(result.native.shape))
    assert np.array_equal(found, own)


def test_no_person_is_in_it_unless_asked(tmp_path: Path) -> None:
    result, case, _ = made(tmp_path / "a", oblique())
    content = write_dicom_seg(result, case, tmp_path / "a.dcm").read_bytes()
    assert not [word for word in PLANTED if word.encode() in content]
    content = write_dicom_seg(result, case, tmp_path / "b.dcm", keep_ids=True).read_bytes()
    assert PLANTED_ID.encode() in content


def test_the_same_answer_has_the_same_uids(tmp_path: Path) -> None:
    import pydicom

    result, case, _ = made(tmp_path / "a", oblique())
    one = pydicom.dcmread(write_dicom_seg(result, case, tmp_path / "1.dcm"))
    two = pydicom.dcmread(write_dicom_seg(result, case, tmp_path / "2.dcm"))
    other = pydicom.dcmread(write_dicom_seg(result, case, tmp_path / "3.dcm", labelmap=True))
    assert one.SOPInstanceUID == two.SOPInstanceUID != other.SOPInstanceUID


def test_another_grid_is_refused(tmp_path: Path) -> None:
    result, case, _ = made(tmp_path / "a", oblique())
    moved = Grid(result.native.shape, result.native.affine + np.eye(4)[:, 3:] * 5)
    with pytest.raises(InputError, match=r"lies on the slices of no series"):
        write_dicom_seg(result.replace(native=moved), case, tmp_path / "1.dcm")


@pytest.mark.parametrize("labelmap", [False, True])
@pytest.mark.parametrize("regions", [("WT", "TC", "ET"), ("WT",)])
def test_the_report_says_what_the_tables_say(tmp_path: Path, labelmap: bool, regions: tuple[str, ...]) -> None:
    import pydicom

    result, _, _ = made(tmp_path / "a", oblique(), regions=regions)
    lesions = (
        Lesion(1, 12.3456, (1.0, 2.0, 3.0), "left", "Frontal"),
        Lesion(2, 0.75, (1.0, 2.0, 3.0), "midline", "Deep grey"),
        Lesion(3, 0.1, (1.0, 2.0, 3.0)),
    )
    result.replace(lesions=lesions).save(tmp_path / "out", page=False)
    seg, path = export_dicom_seg(tmp_path / "out", tmp_path / "a", labelmap=labelmap, report=True)
    content = path.read_bytes()
    assert not [word for word in PLANTED if word.encode() in content]
    report = highdicom.sr.srread(path)
    segments = report.content.get_volumetric_roi_measurement_groups()
    voxel_ml, labels = result.grid.voxel_ml, result.labels
    wanted = (
        [(labels == k).sum() * voxel_ml for k in (1, 2, 3)] if len(regions) > 1 else [(labels > 0).sum() * voxel_ml]
    )
    assert [float(group.get_measurements()[0].value) for group in segments] == pytest.approx(wanted, abs=1e-3)
    held = pydicom.dcmread(seg)
    for group, segment in zip(segments, held.SegmentSequence[-len(segments) :], strict=True):
        item = group.referenced_segment[0].ReferencedSOPSequence[0]
        assert item.ReferencedSOPInstanceUID == held.SOPInstanceUID
        assert item.ReferencedSegmentNumber == segment.SegmentNumber
        assert group.tracking_identifier == segment.SegmentLabel
    told = []
    for group in report.content.get_image_measurement_groups():
        (site,), (volume,) = group.finding_sites, group.get_measurements()
        assert (volume.name.meaning, volume.unit.value) == ("Volume", "mL")
        side = None if site.laterality is None else site.laterality.meaning
        told.append((group.tracking_identifier, float(volume.value), site.value.meaning, side))
    assert told == [
        ("Lesion 1", 12.3456, "Frontal lobe", "Left"),
        ("Lesion 2", 0.75, "Deep grey", "Midline"),
        ("Lesion 3", 0.1, "Brain", None),
    ]
    assert report.StudyInstanceUID == held.StudyInstanceUID
    assert report.PatientID == ""
    again = export_dicom_seg(tmp_path / "out", tmp_path / "a", labelmap=labelmap, report=True)[1]
    assert highdicom.sr.srread(again).SOPInstanceUID == report.SOPInstanceUID
    _, named = export_dicom_seg(tmp_path / "out", tmp_path / "a", tmp_path / "b", labelmap=labelmap, report=True)
    assert named.parent == tmp_path / "b"


def test_a_report_never_refers_to_a_segmentation_that_was_replaced(tmp_path: Path) -> None:
    import pydicom

    result, _, _ = made(tmp_path / "a", oblique())
    result.replace(lesions=(Lesion(1, 12.3, (1.0, 2.0, 3.0), "left", "Frontal"),)).save(tmp_path / "out", page=False)
    seg, report = export_dicom_seg(tmp_path / "out", tmp_path / "a", report=True)
    assert export_dicom_seg(tmp_path / "out", tmp_path / "a", labelmap=True) == [seg, report]
    groups = highdicom.sr.srread(report).content.get_volumetric_roi_measurement_groups()
    refers = {group.referenced_segment[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID for group in groups}
    assert refers == {pydicom.dcmread(seg).SOPInstanceUID}
    result.replace(labels=np.flip(result.labels, 0).copy()).save(tmp_path / "out", page=False)
    assert not seg.exists()
    assert not report.exists()  # both told of the mask before


def test_several_folders_of_one_run_get_theirs_although_one_failed(tmp_path: Path) -> None:
    """Two folders of one study are told apart by their names, as the run called the scans."""
    result, case, own = made(tmp_path / "a", oblique())
    for name in "bc":
        shutil.copytree(tmp_path / "a", tmp_path / name)
    folders = [tmp_path / name for name in "abc"]
    result.replace(scan_id=f"b_{case.id}").save(tmp_path / "out", page=False)
    (path,) = export_dicom_seg(tmp_path / "out", folders)
    volume = highdicom.seg.segread(path).get_volume(combine_segments=True)
    assert np.array_equal(by_place(volume.array, volume.affine, result.native), own)
    with pytest.raises(InputError, match=r"No segmentation belongs to a study.*Name all that annofree segment read"):
        export_dicom_seg(tmp_path / "out", folders[0])


def test_results_among_the_pictures_change_no_name(tmp_path: Path) -> None:
    result, case, _ = made(tmp_path / "a", oblique())
    result.save(tmp_path / "a" / "out", page=False)
    (seg,) = export_dicom_seg(tmp_path / "a" / "out", tmp_path / "a")
    assert [one.id for one in find(tmp_path / "a")] == [case.id]
    shutil.copy(seg, tmp_path / "a" / "sent_back.dcm")  # from an archive: of the same study, and of nobody
    assert [one.id for one in find(tmp_path / "a")] == [case.id]


def test_export_finds_the_results_of_a_folder(tmp_path: Path) -> None:
    result, case, own = made(tmp_path / "a", oblique())
    result.save(tmp_path / "out")
    (path,) = export_dicom_seg(tmp_path / "out", tmp_path / "a")
    assert path.parent == tmp_path / "out" / f"sub-{case.id.replace('-', '')}" / "anat"
    volume = highdicom.seg.segread(path).get_volume(combine_segments=True)
    assert np.array_equal(by_place(volume.array, volume.affine, result.native), own)
    shutil.rmtree(path.parents[1])
    with pytest.raises(InputError, match=r"No segmentation belongs to a study"):
        export_dicom_seg(tmp_path / "out", tmp_path / "a")
