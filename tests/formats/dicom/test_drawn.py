"""DICOM SEG as truth: every frame in its place, every segment by its name, and what is of another scan refused."""

from __future__ import annotations

import io
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annofree.errors import InputError
from annofree.evaluation.accept import accept
from annofree.evaluation.evaluate import evaluate
from annofree.formats import open_cohort, open_truth
from annofree.formats.dicom import drawn as drawn_files
from annofree.formats.dicom.case import _volume
from annofree.formats.dicom.drawn import find_dicom_segs
from annofree.formats.dicom.results import export_dicom_seg
from annofree.formats.dicom.seg import code, save_dicom, source_series, sources_of, write_dicom_seg
from annofree.formats.dicom.study import frame_name
from annofree.formats.nifti import Volume
from annofree.formats.truth import find_truth, label_values
from annofree.scan import Grid, canonical_grid, scoring, to_canonical

from .made import uid
from .test_seg import made
from .test_stacks import ORDERS, oblique

hd: Any = pytest.importorskip("highdicom")
pydicom: Any = pytest.importorskip("pydicom")
EDEMA, CORE, ENHANCING = "Edema", "Necrosis", "Enhancing Lesion"


def read(path: Path, result: Any, **more: Any) -> tuple[Any, tuple[str, ...]]:
    """The labels of a truth on the scan's canonical grid, and the regions that it tells apart."""
    truth = open_truth(path, result.scan_id, canonical_grid(result.native), native=result.native, **more)
    assert not truth.note
    with scoring():
        return truth.labels, truth.regions


def changed(path: Path, change: Callable[[Any], None]) -> Path:
    held = pydicom.dcmread(path)
    change(held)
    save_dicom(held, path)
    return path


def drawn(
    folder: Path, result: Any, case: Any, segments: list[tuple[str, str]], masks: Any, kind: str = "BINARY", **more: Any
) -> Path:
    """A SEG that another program drew: segments as label and coded type, masks (i, j, k) in the order of the series."""
    series = source_series(result, case)
    sources, planes = sources_of(series, False)
    frames = np.stack([mask.transpose(2, 1, 0)[planes] for mask in masks], axis=-1)
    described = [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=label,
            segmented_property_category=code(hd, ("49755003", "SCT", "Morphologically Abnormal Structure")),
            segmented_property_type=code(hd, (f"T{number}", "99TEST", meaning)),
            algorithm_type="MANUAL",
        )
        for number, (label, meaning) in enumerate(segments, 1)
    ]
    made = hd.seg.Segmentation(
        source_images=sources,
        pixel_array=frames,
        segmentation_type=kind,
        segment_descriptions=described,
        series_instance_uid=uid("drawn"),
        series_number=90,
        sop_instance_uid=uid("drawn", 1),
        instance_number=1,
        manufacturer="other",
        manufacturer_model_name="other",
        software_versions="1",
        device_serial_number="0",
        omit_empty_frames=True,
        **more,
    )
    folder.mkdir(exist_ok=True)
    save_dicom(made, folder / "seg.dcm")
    return folder / "seg.dcm"


def parts(own: Any) -> list[Any]:
    return [own == 2, own == 1, own == 3]


@pytest.mark.parametrize(("order", "signs"), ORDERS[::4])
@pytest.mark.parametrize("form", ["binary", "labelmap", "whole"])
def test_what_annofree_wrote_comes_back_bit_for_bit(tmp_path: Path, order: Any, signs: Any, form: str) -> None:
    affine = oblique()
    affine[:3, :3] = affine[:3, order] * np.array(signs)
    regions = ("WT",) if form == "whole" else ("WT", "TC", "ET")
    result, case, _ = made(tmp_path / "a", affine, regions=regions)
    path = write_dicom_seg(result, case, tmp_path / "seg.dcm", labelmap=form == "labelmap")
    labels, told = read(path, result)
    assert np.array_equal(labels, result.labels)
    assert told == regions


@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL", "LABELMAP"])
@pytest.mark.parametrize("tilt", [0.0, 0.6])
def test_frames_that_are_missing_are_empty_and_types_say_the_same(tmp_path: Path, kind: str, tilt: float) -> None:
    result, case, own = made(tmp_path / "a", oblique(tilt))
    masks = parts(own)
    more: dict[str, Any] = {}
    if kind == "FRACTIONAL":
        masks = [np.where(mask, 0.5, np.where(own > 0, 0.45, 0.0)) for mask in masks]
        more = {"fractional_type": "PROBABILITY", "max_fractional_value": 100}
    segments = [("Segment_1", EDEMA), ("Segment_2", CORE), ("Segment_3", ENHANCING)]
    path = drawn(tmp_path / "b", result, case, segments, masks, kind, **more)
    assert int(pydicom.dcmread(path).NumberOfFrames) < 20
    labels, told = read(path, result)
    assert np.array_equal(labels, result.labels)
    assert told == ("WT", "TC", "ET")
    assert label_values(path) == {0, 1, 2, 3}


def test_two_slices_far_apart_stay_where_they_are(tmp_path: Path) -> None:
    result, case, own = made(tmp_path / "a", oblique())
    lesions = np.zeros(own.shape, bool)
    lesions[3:6, 4:8, 2], lesions[9:12, 4:8, 15] = True, True
    labels, told = read(drawn(tmp_path / "b", result, case, [("Tumor", "Neoplasm")], [lesions]), result)
    assert np.array_equal(labels > 0, to_canonical(lesions, result.native))
    assert told == ("WT",)


def test_segments_that_overlap_are_nested(tmp_path: Path) -> None:
    result, case, own = made(tmp_path / "a", oblique())
    segments = [("ET", ENHANCING), ("whole", "Neoplasm"), ("TC", "Tumor core")]
    labels, told = read(
        drawn(tmp_path / "b", result, case, segments, [own == 3, own > 0, np.isin(own, (1, 3))]), result
    )
    assert np.array_equal(labels, result.labels)
    assert told == ("WT", "TC", "ET")


@pytest.mark.parametrize(
    ("segments", "regions"),
    [
        ([("Edema", EDEMA), ("Core", CORE)], ("WT", "TC")),
        ([("Edema", EDEMA)], ("WT",)),
        ([("Edema", EDEMA), ("Core", CORE), ("Enhancing", ENHANCING)], ("WT", "TC", "ET")),
    ],
)
def test_a_part_without_a_segment_is_not_told_and_one_with_an_empty_segment_is(
    tmp_path: Path, segments: list[tuple[str, str]], regions: tuple[str, ...]
) -> None:
    result, case, own = made(tmp_path / "a", oblique())
    masks = [own == 2, own == 1, np.zeros_like(own, bool)][: len(segments)]
    assert read(drawn(tmp_path / "b", result, case, segments, masks), result)[1] == regions


def test_labels_of_a_set_do_not_change_what_names_say(tmp_path: Path) -> None:
    """Numbers of segments are the order of drawing, whatever a label set calls them."""
    result, case, own = made(tmp_path / "a", oblique())
    path = drawn(tmp_path / "b", result, case, [("oedema", EDEMA), ("core", CORE), ("ET", ENHANCING)], parts(own))
    assert np.array_equal(read(path, result, labels="msd")[0], result.labels)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda held: setattr(held, "StudyInstanceUID", uid("other")), r"of another study than the scan.*study-"),
        (lambda held: setattr(held, "FrameOfReferenceUID", uid("other")), r"of another frame of reference.*frame-"),
        (
            lambda held: setattr(held.SegmentSequence[0], "SegmentLabel", "Enhancing"),
            r"segment of a DICOM SEG is cannot be told .*it is called Enhancing and coded as Non-Enhancing Lesion",
        ),
        (
            lambda held: (
                [setattr(item, "SegmentLabel", "Putamen") for item in held.SegmentSequence[:1]]
                and delattr(held.SegmentSequence[0], "SegmentedPropertyTypeCodeSequence")
            ),
            r"What the segments of a segmentation are cannot be told.*Putamen",
        ),
        (lambda held: setattr(held, "PixelData", held.PixelData[:40]), "damaged or cut short"),
        (
            lambda held: delattr(held.SharedFunctionalGroupsSequence[0], "PlaneOrientationSequence"),
            "has no place in space",
        ),
        (lambda held: setattr(held, "SOPClassUID", "1.2.840.10008.5.1.4.1.1.481.3"), r"it is SEG.*plastimatch"),
    ],
)
def test_what_is_of_another_scan_or_cannot_be_told_is_refused(
    tmp_path: Path, change: Callable[[Any], None], says: str
) -> None:
    result, case, _ = made(tmp_path / "a", oblique())
    volume = _volume(case.id, case.verdicts[0])
    assert isinstance(volume, Volume)
    path = changed(write_dicom_seg(result, case, tmp_path / "seg.dcm"), change)
    with pytest.raises(InputError, match=says) as caught:
        read(path, result, files=[volume.source])
    assert str(path) in str(caught.value)


def test_a_seg_on_other_slices_is_refused(tmp_path: Path) -> None:
    result, case, own = made(tmp_path / "a", oblique())
    path = drawn(tmp_path / "b", result, case, [("Tumor", "Neoplasm")], [own > 0])
    grid = canonical_grid(result.native)
    finer = Grid((grid.shape[0], grid.shape[1], 3 * grid.shape[2]), grid.affine @ np.diag([1, 1, 1 / 3, 1]))
    moved = Grid(grid.shape, grid.affine + np.eye(4)[:, 2:3] @ [[0, 0, 0, 1.4]])
    for other in (finer, moved):
        with pytest.raises(InputError, match="lies on another grid than the scan"):
            open_truth(path, result.scan_id, other)
    short = Grid((grid.shape[0] - 16, *grid.shape[1:]), grid.affine)
    with pytest.raises(InputError, match="reaches beyond the scan"):
        open_truth(path, result.scan_id, short)


def finer(grid: Grid, times: int) -> Grid:
    """The same field of view in thinner slices."""
    thin = np.diag([1, 1, 1 / times, 1])
    thin[2, 3] = (1 - times) / (2 * times)
    return Grid((*grid.shape[:2], times * grid.shape[2]), grid.affine @ thin)


def source_of(case: Any) -> str:
    volume = _volume(case.id, case.verdicts[0])
    assert isinstance(volume, Volume)
    return volume.source


@pytest.mark.parametrize("tilt", [0.0, 0.6])
def test_a_seg_on_another_series_of_the_frame_of_reference_is_carried_onto_the_scan(
    tmp_path: Path, tilt: float
) -> None:
    result, case, own = made(tmp_path / "a", oblique(tilt))
    segments = [("Edema", EDEMA), ("Core", CORE), ("Enhancing", ENHANCING)]
    path = drawn(tmp_path / "b", result, case, segments, parts(own))
    grid, files = canonical_grid(result.native), [source_of(case)]
    axis = int(np.argmax(grid.spacing_mm))
    assert axis == 2
    truth = open_truth(path, result.scan_id, finer(grid, 3), files=files)
    assert "another series of the same frame of reference" in truth.note
    assert truth.regions == ("WT", "TC", "ET")
    with scoring():
        labels = truth.labels
    wanted = np.repeat(result.labels, 3, axis=2)
    for members in ((1, 2, 3), (1, 3), (3,)):
        one, other = np.isin(labels, members), np.isin(wanted, members)
        assert one.sum() == pytest.approx(other.sum(), rel=0.01)
        assert 2 * (one & other).sum() / (one.sum() + other.sum()) > 0.93
    with pytest.raises(InputError, match="another frame of reference"):
        open_truth(path, result.scan_id, finer(grid, 3), files=[files[0][:-4] + "0000"])
    for unknown in ([], [files[0].split(" in ")[0]], [*files, "t1.nii.gz"]):
        with pytest.raises(InputError, match="lies on another grid than the scan"):
            open_truth(path, result.scan_id, finer(grid, 3), files=unknown)
    part = Grid((grid.shape[0], grid.shape[1], 4), finer(grid, 3).affine)
    with pytest.raises(InputError, match=r"reaches beyond the scan .*% of it lies in the scan's field of view"):
        open_truth(path, result.scan_id, part, files=files)


def test_slices_that_are_missing_between_two_that_are_drawn_are_empty_on_another_grid_too(tmp_path: Path) -> None:
    result, case, own = made(tmp_path / "a", oblique())
    lesions = np.zeros(own.shape, bool)
    lesions[3:9, 4:9, 2], lesions[9:12, 4:8, 15] = True, True
    path = drawn(tmp_path / "b", result, case, [("Tumor", "Neoplasm")], [lesions])
    grid, files = canonical_grid(result.native), [source_of(case)]

    def state(between: float | None, thickness: float | None) -> None:
        def change(held: Any) -> None:
            measures = held.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
            for name, value in (("SpacingBetweenSlices", between), ("SliceThickness", thickness)):
                if name in measures:
                    delattr(measures, name)
                if value is not None:
                    setattr(measures, name, value)

        changed(path, change)

    step = float(grid.spacing_mm[2])
    state(step, None)
    with scoring():
        labels = open_truth(path, result.scan_id, finer(grid, 3), files=files).labels
    assert np.count_nonzero(labels) == pytest.approx(3 * lesions.sum(), rel=0.01)
    for thickness in (step, None):
        state(None, thickness)
        with pytest.raises(InputError, match="How far apart the slices of a DICOM SEG lie cannot be told"):
            open_truth(path, result.scan_id, finer(grid, 3), files=files)
        if thickness:
            assert np.count_nonzero(read(path, result)[0]) == lesions.sum()  # the scan's own slices tell it


def test_the_seg_of_a_study_is_found_among_its_pictures_and_scored(tmp_path: Path) -> None:
    result, case, own = made(tmp_path / "a", oblique())
    result = result.replace(
        provenance={"method": "test", "tier": "T0", "files": {"FLAIR": f"DICOM series 4 of {case.id}"}}
    )
    result.save(tmp_path / "out", page=False)
    with pytest.raises(InputError, match=r"there is DICOM, and no SEG of this scan.*an RTSTRUCT with plastimatch"):
        evaluate(tmp_path / "out", tmp_path / "a")
    (answer,) = export_dicom_seg(tmp_path / "out", tmp_path / "a", tmp_path / "a")
    with pytest.raises(InputError, match=rf"by names, headers or label tables: .*{answer.name}"):
        evaluate(tmp_path / "out", tmp_path / "a")  # the answer is not scored against itself
    shutil.copy(drawn(tmp_path / "b", result, case, [("Tumor", "Neoplasm")], [own > 0]), tmp_path / "a" / "IM9000")
    assert find_truth(tmp_path / "a", case.id) == tmp_path / "a" / "IM9000"
    assert evaluate(tmp_path / "out", tmp_path / "a").cases[0].value("dice", "WT") == 1
    assert open_cohort(tmp_path / "a").ids == (case.id,)


@pytest.mark.parametrize("name", ["p1_seg.dcm", "p1.dcm", "p1", "p1/1.dcm"])
def test_a_seg_is_found_by_the_name_of_a_scan(tmp_path: Path, name: str) -> None:
    result, case, own = made(tmp_path / "a", oblique())
    path = tmp_path / "truth" / name
    path.parent.mkdir(parents=True)
    shutil.copy(drawn(tmp_path / "b", result, case, [("Tumor", "Neoplasm")], [own > 0]), path)
    assert find_truth(tmp_path / "truth", "p1") == path
    assert find_truth(tmp_path / "truth", "p10") is None
    assert find_truth(tmp_path / "truth", "p") is None
    shutil.copy(path, tmp_path / "truth" / "p2_1_seg.dcm")
    assert find_truth(tmp_path / "truth", "p2") is None  # another visit's


def test_each_file_is_opened_once_to_find_a_seg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result, case, own = made(tmp_path / "a", oblique())
    shutil.copy(drawn(tmp_path / "b", result, case, [("Tumor", "Neoplasm")], [own > 0]), tmp_path / "a" / "IM9000")
    opened: Counter[str] = Counter()
    real = io.open

    def counting(file: Any, *rest: Any, **more: Any) -> Any:
        opened[str(file)] += 1
        return real(file, *rest, **more)

    monkeypatch.setattr(io, "open", counting)
    monkeypatch.setattr("builtins.open", counting)
    assert [seg.path.name for seg in find_dicom_segs(tmp_path / "a", case.id)] == ["IM9000"]
    assert opened == {str(path): 1 for path in (tmp_path / "a").iterdir()}


def test_dicom_is_opened_once_to_score_many_scans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of truth with thousands of slices in it was opened file by file for each scan again."""
    result, case, own = made(tmp_path / "a", oblique())
    for name in ("p1", "p2", "p3"):
        result.replace(scan_id=name).save(tmp_path / "out", page=False)
    (tmp_path / "truth").mkdir()
    for name in ("p1", "p2"):
        shutil.copy(
            drawn(tmp_path / name, result, case, [("Tumor", "Neoplasm")], [own > 0]), tmp_path / "truth" / f"{name}.dcm"
        )
    looked: Counter[str] = Counter()
    real = drawn_files._seg_header

    def counting(path: Path) -> Any:
        looked[path.name] += 1
        return real(path)

    monkeypatch.setattr(drawn_files, "_seg_header", counting)
    found = evaluate(tmp_path / "out", tmp_path / "truth")
    assert [case.case for case in found.cases] == ["p1", "p2"]
    assert ["'p3'" in sentence for sentence in found.skipped] == [True]
    assert looked == {"p1.dcm": 1, "p2.dcm": 1}


def test_a_corrected_seg_is_accepted(tmp_path: Path) -> None:
    result, case, _ = made(tmp_path / "a", oblique())
    result.save(tmp_path / "out", page=False)
    (original,) = (tmp_path / "out").rglob("*_dseg.nii.gz")
    path = write_dicom_seg(result, case, tmp_path / original.name.replace(".nii.gz", ".dcm"))
    assert [row["dice"] for row in accept(path, tmp_path / "out")] == [1, 1, 1]


def test_frames_of_reference_are_told_by_no_uid() -> None:
    assert frame_name("") == ""
    assert frame_name("1.2.3") not in ("", frame_name("1.2.4"))
