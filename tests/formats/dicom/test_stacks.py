"""Slices in any order, with any header fault, become the right volume in the right place, or a clear refusal."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.formats import open_cohort, open_scan
from annofree.formats.dicom import open_studies
from annofree.formats.dicom.pixels import read_stack
from annofree.formats.dicom.study import Series
from annofree.scan import canonical_grid, to_canonical

from .made import header, save, slices, uid

SHAPE = (14, 12, 20)


def ramp(shape: tuple[int, int, int] = SHAPE) -> NDArray[np.int32]:
    """Every voxel differs, and the slices change linearly."""
    i, j, k = np.indices(shape)
    return np.asarray(7 * i + 31 * j + 100 * k, np.int32)


def oblique(tilt: float = 0.3, spacing: tuple[float, float, float] = (1.1, 0.9, 3.0)) -> NDArray[np.float64]:
    from scipy.spatial.transform import Rotation

    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", [tilt, -0.2, 0.1]).as_matrix() @ np.diag(spacing)
    affine[:3, 3] = [-60, 40, -25]
    return affine


def only(folder: Path) -> Series:
    (study,) = open_studies(folder)
    (series,) = study.series
    return series


def made(tmp_path: Path, affine: Any = None, **changes: Any) -> list[Any]:
    return slices(ramp(), oblique() if affine is None else affine, header("T2", 1, **changes))


ORDERS = [
    (order, signs)
    for order in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
    for signs in ((1, 1, 1), (-1, 1, 1), (1, -1, 1), (-1, -1, 1), (1, 1, -1), (-1, -1, -1), (-1, 1, -1), (1, -1, -1))
]


@pytest.mark.parametrize(("order", "signs"), ORDERS)
def test_every_axis_order_comes_back_in_its_place(tmp_path: Path, order: Any, signs: Any) -> None:
    affine = oblique()
    affine[:3, :3] = affine[:3, order] * np.array(signs)
    array = ramp()
    series = only(save(tmp_path / "a", slices(array, affine, header("T2", 1))))
    assert series.stack is not None
    read = read_stack(series.stack, "1")
    inverse = np.linalg.inv(series.stack.grid.affine) @ affine
    corners = np.array([[0, 0, 0, 1], [13, 0, 0, 1], [0, 11, 0, 1], [0, 0, 19, 1], [13, 11, 19, 1], [5, 3, 7, 1]])
    for corner in corners:
        place = inverse @ corner
        assert np.abs(place - np.rint(place)).max() < 1e-3
        assert read[tuple(np.rint(place[:3]).astype(int))] == array[tuple(corner[:3])]
    assert np.sort(read.ravel()).tolist() == np.sort(array.ravel()).tolist()


def test_slices_numbered_as_they_were_acquired_go_by_position(tmp_path: Path) -> None:
    """Every second slice first: neither instance numbers nor the order of files is that of the head."""
    datasets = made(tmp_path, np.diag([1.0, 1, 3, 1]))
    half = (len(datasets) + 1) // 2
    for number, dataset in enumerate(datasets):
        dataset.InstanceNumber = number // 2 + 1 + half * (number % 2)
    series = only(save(tmp_path / "a", sorted(datasets, key=lambda dataset: dataset.InstanceNumber)))
    assert series.stack is not None
    read = read_stack(series.stack, "1")
    up = series.stack.grid.affine[2, 2] > 0
    levels = read.reshape(-1, read.shape[-1]).min(axis=0)
    assert np.diff(levels if up else levels[::-1]).tolist() == [100] * (len(datasets) - 1)


def test_echo_times_that_rounding_made_differ_are_one_echo(tmp_path: Path) -> None:
    datasets = made(tmp_path)
    for number, dataset in enumerate(datasets):
        dataset.EchoTime = float(dataset.EchoTime) + 0.0001 * (number % 2)
    series = only(save(tmp_path / "a", datasets))
    assert series.stack is not None
    assert series.stack.grid.shape[2] == len(datasets)


def test_slopes_differ_from_slice_to_slice(tmp_path: Path) -> None:
    datasets = made(tmp_path, np.diag([1.0, 1, 3, 1]))
    for number, dataset in enumerate(datasets):
        dataset.RescaleSlope, dataset.RescaleIntercept = number + 1, -5
    series = only(save(tmp_path / "a", datasets))
    assert series.stack is not None
    read = read_stack(series.stack, "1")
    forward = to_canonical(read, series.stack.grid)
    expected = to_canonical(ramp() * np.arange(1, 21) - 5, only_grid())
    assert np.array_equal(forward, expected)


def only_grid() -> Any:
    from annofree.scan import Grid

    return Grid(SHAPE, np.diag([1.0, 1, 3, 1]))


def test_inverse_grey_levels_are_turned_over(tmp_path: Path) -> None:
    plain = only(save(tmp_path / "p", made(tmp_path)))
    datasets = slices(ramp().max() - ramp(), oblique(), header("T2", 1))
    for dataset in datasets:
        dataset.PhotometricInterpretation = "MONOCHROME1"
    turned = only(save(tmp_path / "t", datasets))
    assert plain.stack is not None
    assert turned.stack is not None
    assert np.array_equal(read_stack(turned.stack, "1"), read_stack(plain.stack, "1"))


@pytest.mark.parametrize(
    ("stored", "kind", "said"), [(-2000, "SS", -2000), (-2000, "US", 63536), (60000, "US", 60000), (0, "US", 0)]
)
@pytest.mark.parametrize("photometric", ["MONOCHROME2", "MONOCHROME1"])
def test_padding_is_air(tmp_path: Path, photometric: str, stored: int, kind: str, said: int) -> None:
    array = ramp() + 5
    array[:2] = stored
    datasets = slices(array, np.diag([1.0, 1, 3, 1]), header("T2", 1))
    for dataset in datasets:
        dataset.add_new("PixelPaddingValue", kind, said)
        dataset.PhotometricInterpretation = photometric
    del datasets[8]  # is interpolated, its padding too
    series = only(save(tmp_path / "a", datasets))
    assert series.stack is not None
    read = read_stack(series.stack, "1")
    rest = np.asarray(ramp() + 5)[2:]
    if photometric == "MONOCHROME1":
        rest = rest.max() + rest.min() - rest
        assert (read[:2].max(axis=(0, 1)) <= read[2:].min(axis=(0, 1))).all()
    else:
        assert (read[:2] == 0).all()
    assert np.array_equal(read[2:], rest)


def test_a_missing_slice_is_named_and_filled(tmp_path: Path) -> None:
    datasets = made(tmp_path, np.diag([1.0, 1, 3, 1]))
    del datasets[8]
    series = only(save(tmp_path / "a", datasets))
    assert series.stack is not None
    assert series.stack.grid.shape == SHAPE
    assert series.stack.grid.spacing_mm == pytest.approx((1, 1, 3))
    assert len(series.stack.frames) == 19
    assert any("1 of 20 slices is missing (at 24.0 mm" in note for note in series.stack.notes), series.stack.notes
    read = to_canonical(read_stack(series.stack, "1"), series.stack.grid)
    assert np.allclose(read, to_canonical(ramp(), only_grid()))  # the slices change linearly, so this is exact


@pytest.mark.parametrize(
    ("thick", "between", "kind", "said"),
    [
        (3.0, None, "2D", ""),
        (2.5, 3.0, "2D", ""),  # a gap of half a millimetre
        (2.5, 0.5, "2D", ""),  # the same, stated as the gap
        (6.0, 3.0, "3D", ""),  # partitions that were interpolated to half their distance
        (4.3, None, "2D", "SliceThickness says 4.3 mm"),
        (3.0, 4.3, "2D", "SpacingBetweenSlices says 4.3 mm"),
        (4.3, 4.3, "3D", "SpacingBetweenSlices says 4.3 mm and SliceThickness says 4.3 mm"),
        (1.2, None, "2D", "SliceThickness says 1.2 mm"),  # as if every other slice were missing
    ],
)
def test_headers_that_disagree_on_the_distance_of_slices_are_told(
    tmp_path: Path, thick: float, between: float | None, kind: str, said: str
) -> None:
    datasets = made(tmp_path, SpacingBetweenSlices=between, MRAcquisitionType=kind)
    for dataset in datasets:
        dataset.SliceThickness = thick
    series = only(save(tmp_path, datasets))
    assert series.stack is not None
    assert np.allclose(series.stack.grid.spacing_mm, (1.1, 0.9, 3.0))
    wanted = f"the slices lie 3 mm apart by their positions, which are believed, but {said}: if the positions are wrong"
    assert [note.startswith(wanted) for note in series.stack.notes] == ([True] if said else [])


def test_too_many_missing_slices_are_refused(tmp_path: Path) -> None:
    datasets = made(tmp_path)
    series = only(save(tmp_path / "a", datasets[:6] + datasets[9:]))
    assert series.stack is None
    assert "3 of 20 slices are missing" in (series.problem or "")


def test_a_single_slice_is_refused_and_no_thickness_is_guessed(tmp_path: Path) -> None:
    series = only(save(tmp_path / "a", made(tmp_path)[:1]))
    assert series.stack is None
    assert "single slice" in (series.problem or "")


def test_one_file_of_a_series_is_said_to_be_one_slice(tmp_path: Path) -> None:
    file = next(save(tmp_path / "a", made(tmp_path)).iterdir())
    for sequence in (None, "FLAIR"):
        with pytest.raises(InputError, match=r"holds one slice only.*Name the folder of its series"):
            open_cohort(file, sequence=sequence)


@pytest.mark.parametrize(("step", "places"), [(1.25, 1), (0.75, 1), (1.3333, 2)])
def test_rounded_positions_keep_the_mean_step(tmp_path: Path, step: float, places: int) -> None:
    """The first gap is 1.2 mm of 1.25: taken for all slices, it would move the far end of a head by millimetres."""
    datasets = made(tmp_path, np.diag([1.0, 1, step, 1]))
    for dataset in datasets:
        dataset.ImagePositionPatient = [round(float(x), places) for x in dataset.ImagePositionPatient]
    series = only(save(tmp_path / "a", datasets))
    assert series.stack is not None
    grid = series.stack.grid
    assert grid.spacing_mm[2] == pytest.approx(step, abs=0.004)
    assert (grid.affine @ [0, 0, SHAPE[2] - 1, 1])[2] == pytest.approx(step * (SHAPE[2] - 1), abs=0.06)


def test_uneven_slices_are_refused(tmp_path: Path) -> None:
    datasets = made(tmp_path, np.diag([1.0, 1, 3, 1]))
    for number, dataset in enumerate(datasets):
        dataset.ImagePositionPatient = [0, 0, 3 * number + 0.1 * number**2]
    series = only(save(tmp_path / "a", datasets))
    assert series.stack is None
    assert "unevenly spaced" in (series.problem or "")


def test_one_position_for_all_falls_back_on_slice_location(tmp_path: Path) -> None:
    datasets = made(tmp_path, np.diag([1.0, 1, 3, 1]))
    for number, dataset in enumerate(datasets):
        dataset.SliceLocation = 3.0 * number
        dataset.ImagePositionPatient = [0, 0, 0]
        dataset.InstanceNumber = 20 - number  # wrong way round: the location has to win
    series = only(save(tmp_path / "a", datasets))
    assert series.stack is not None
    assert any("SliceLocation gives" in note for note in series.stack.notes)
    assert series.stack.grid.spacing_mm[2] == pytest.approx(3)
    read = read_stack(series.stack, "1")
    assert np.array_equal(np.sort(read[0, 0]), read[0, 0])


def test_one_position_and_no_location_falls_back_on_instance_numbers(tmp_path: Path) -> None:
    datasets = made(tmp_path, np.diag([1.0, 1, 3, 1]))
    for dataset in datasets:
        dataset.ImagePositionPatient = [0, 0, 0]
        dataset.SpacingBetweenSlices = 3.6
    series = only(save(tmp_path / "a", datasets))
    assert series.stack is not None
    assert any("instance numbers give the order and SpacingBetweenSlices (3.6 mm)" in n for n in series.stack.notes)
    assert series.stack.grid.spacing_mm[2] == pytest.approx(3.6)
    for dataset in datasets:
        del dataset.SpacingBetweenSlices
    series = only(save(tmp_path / "b", datasets))
    assert series.stack is None
    assert "no SpacingBetweenSlices" in (series.problem or "")


def test_a_tilted_gantry_keeps_its_shear_and_says_so(tmp_path: Path) -> None:
    datasets = made(tmp_path, np.diag([1.0, 1, 3, 1]))
    for number, dataset in enumerate(datasets):
        dataset.ImagePositionPatient = [0, 0.8 * number, 3 * number]
    series = only(save(tmp_path / "a", datasets))
    assert series.stack is not None
    assert any("tilted" in note and "14.9 degrees" in note for note in series.stack.notes)
    # the volume of a voxel is the determinant: 1 x 1 x 3, whatever the shear
    assert canonical_grid(series.stack.grid).voxel_ml == pytest.approx(0.003)


def test_several_echoes_and_planes_of_one_series_are_volumes_of_their_own(tmp_path: Path) -> None:
    common = header("T2", 3)
    early = slices(ramp(), np.diag([1.0, 1, 3, 1]), common | {"EchoTime": 14, "EchoNumbers": 1})
    late = slices(ramp() + 1, np.diag([1.0, 1, 3, 1]), common | {"EchoTime": 90, "EchoNumbers": 2})
    turned = slices(ramp(), np.diag([1.0, 1, 3, 1])[[0, 2, 1, 3]], common | {"EchoTime": 90, "EchoNumbers": 2})
    for number, dataset in enumerate([*early, *late, *turned]):
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid("x", number)
    (study,) = open_studies(save(tmp_path / "a", [*early, *late, *turned]))
    assert [series.key for series in study.series] == ["3", "3.2", "3.3"]
    assert sorted((series.first.te_ms, series.plane) for series in study.series) == [
        (14, "axial"),
        (90, "axial"),
        (90, "coronal"),
    ]
    assert all(series.stack is not None and series.stack.grid.shape[2] == 20 for series in study.series)


def test_copies_are_left_out_and_other_slices_at_one_place_refused(tmp_path: Path) -> None:
    datasets = made(tmp_path)
    save(tmp_path / "a" / "1", datasets)
    save(tmp_path / "a" / "2", datasets[:3])
    (study,) = open_studies(tmp_path / "a")
    assert study.series[0].stack is not None
    assert any("3 pictures are there twice" in note for note in study.notes)

    again = made(tmp_path)[5]
    again.SOPInstanceUID = again.file_meta.MediaStorageSOPInstanceUID = uid("again")
    series = only(save(tmp_path / "b", [*datasets, again]))
    assert series.stack is not None
    assert any("1 slices are exact copies" in note for note in series.notes)

    again.PixelData = bytes(len(again.PixelData))
    series = only(save(tmp_path / "c", [*datasets, again]))
    assert series.stack is None
    assert "same position" in (series.problem or "")


def test_repeated_volumes_are_told_apart(tmp_path: Path) -> None:
    volumes = []
    for time in range(3):
        volume = slices(ramp() + time, oblique(), header("T1", 4))
        for number, dataset in enumerate(volume):
            dataset.InstanceNumber = 20 * time + number + 1
            dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid("t", time, number)
        volumes += volume
    (study,) = open_studies(save(tmp_path / "a", volumes))
    assert [series.repeat for series in study.series] == [(1, 3), (2, 3), (3, 3)]
    read = [read_stack(series.stack, "4") for series in study.series if series.stack]
    assert len(read) == 3
    assert np.array_equal(read[1] - read[0], np.ones_like(read[0]))


def enhanced(classic: list[Any], order: Any) -> Any:
    """One multi-frame file of single ones, its frames in an order of their own."""
    from pydicom.dataset import Dataset

    made = copy.deepcopy(classic[0])
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.4.1"
    shared, per_frame = Dataset(), []
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "EchoTime", "SliceThickness"):
        del made[name]
    shared.PlaneOrientationSequence = [Dataset()]
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = classic[0].ImageOrientationPatient
    shared.PixelMeasuresSequence = [Dataset()]
    shared.PixelMeasuresSequence[0].PixelSpacing = classic[0].PixelSpacing
    shared.MREchoSequence = [Dataset()]
    shared.MREchoSequence[0].EffectiveEchoTime = 95.0
    for number in order:
        group = Dataset()
        group.PlanePositionSequence = [Dataset()]
        group.PlanePositionSequence[0].ImagePositionPatient = classic[number].ImagePositionPatient
        group.PixelValueTransformationSequence = [Dataset()]
        group.PixelValueTransformationSequence[0].RescaleSlope = classic[number].RescaleSlope = int(number) + 1
        group.PixelValueTransformationSequence[0].RescaleIntercept = classic[number].RescaleIntercept = 0
        per_frame.append(group)
    made.SharedFunctionalGroupsSequence, made.PerFrameFunctionalGroupsSequence = [shared], per_frame
    made.NumberOfFrames = len(classic)
    made.PixelData = b"".join(classic[number].PixelData for number in order)
    return made


def test_enhanced_multi_frame(tmp_path: Path) -> None:
    classic = made(tmp_path)
    order = np.random.default_rng(0).permutation(len(classic))
    series = only(save(tmp_path / "e", [enhanced(classic, order)]))
    plain = only(save(tmp_path / "c", classic))
    assert series.stack is not None
    assert plain.stack is not None
    assert series.first.te_ms == 95
    assert series.stack.grid.same_as(plain.stack.grid)
    assert np.array_equal(read_stack(series.stack, "1"), read_stack(plain.stack, "1"))
    (study,) = open_studies(tmp_path / "e" / "IM0000.dcm")  # which is a whole volume
    assert len(study.series[0].frames) == len(classic)


@pytest.mark.parametrize("inside", [True, False])
def test_phase_in_an_enhanced_file_is_no_picture_of_the_head(tmp_path: Path, inside: bool) -> None:
    from pydicom.dataset import Dataset

    from annofree.formats.dicom.kind import classify_series

    file = enhanced(made(tmp_path), range(SHAPE[2]))
    file.ImageType = ["ORIGINAL", "PRIMARY", "T2", "NONE"]
    place = file
    if inside:
        file.ComplexImageComponent = "MIXED"
        file.SharedFunctionalGroupsSequence[0].MRImageFrameTypeSequence = [Dataset()]
        place = file.SharedFunctionalGroupsSequence[0].MRImageFrameTypeSequence[0]
        place.FrameType = file.ImageType
    for component, said in (("MAGNITUDE", False), ("PHASE", True)):
        place.ComplexImageComponent = component
        verdict = classify_series(only(save(tmp_path / component, [file])))
        assert ("is a phase picture" in verdict.reasons) == said


@pytest.mark.parametrize(("bits", "high", "shift"), [(12, 15, 4), (12, 13, 2), (10, 15, 6)])
def test_grey_levels_that_do_not_begin_at_the_first_bit_are_refused(
    tmp_path: Path, bits: int, high: int, shift: int
) -> None:
    """ACR-NEMA allowed it, and pydicom 3.0.2 hands out the lower bits: 717 at bit 4 becomes 3280."""
    datasets = slices(ramp((24, 18, 20)) % 1000, oblique(), header("T2", 1))
    for one in datasets:
        one.BitsStored, one.HighBit = bits, high
        one.PixelData = (np.frombuffer(one.PixelData, np.uint16) << shift).astype(np.uint16).tobytes()
    stack = only(save(tmp_path / "a", datasets)).stack
    assert stack is not None
    with pytest.raises(InputError, match=rf"grey levels of DICOM series 1 cannot be told.*begin at bit {shift} "):
        read_stack(stack, "series 1")


@pytest.mark.parametrize(
    ("given", "volume_ml", "contrast"),
    [(None, None, True), (None, "7.5", True), (None, "0", None), ("YES", "0", True), ("NO", None, False)],
)
def test_an_agent_that_an_enhanced_file_names_need_not_have_been_given(
    tmp_path: Path, given: str | None, volume_ml: str | None, contrast: bool | None
) -> None:
    from pydicom.dataset import Dataset

    file = enhanced(made(tmp_path), range(SHAPE[2]))
    file.ContrastBolusAgentSequence = [Dataset()]
    file.ContrastBolusAgentSequence[0].ContrastBolusAgentNumber = 1
    if volume_ml:
        file.ContrastBolusAgentSequence[0].ContrastBolusVolume = volume_ml
    if given:
        usage = Dataset()
        usage.ContrastBolusAgentNumber, usage.ContrastBolusAgentAdministered = 1, given
        file.SharedFunctionalGroupsSequence[0].ContrastBolusUsageSequence = [usage]
    assert only(save(tmp_path / "e", [file])).first.contrast is contrast


@pytest.mark.parametrize("syntax", ["RLELossless", "JPEG2000Lossless", "JPEGLSLossless"])
def test_compressed_slices(tmp_path: Path, syntax: str) -> None:
    import pydicom.uid

    pytest.importorskip("openjpeg")
    if syntax == "JPEGLSLossless":
        pytest.importorskip("jpeg_ls")  # which writes them
        pytest.importorskip("libjpeg")
    datasets = slices(ramp((64, 48, 20)), oblique(), header("T2", 1))
    plain = only(save(tmp_path / "p", datasets))
    for dataset in datasets:
        dataset.compress(getattr(pydicom.uid, syntax), generate_instance_uid=False)
    series = only(save(tmp_path / "a", datasets))
    assert series.stack is not None
    assert plain.stack is not None
    assert np.array_equal(read_stack(series.stack, "1"), read_stack(plain.stack, "1"))


def test_deflated_slices(tmp_path: Path) -> None:
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    plain = only(save(tmp_path / "p", made(tmp_path)))
    datasets = made(tmp_path)
    for dataset in datasets:
        dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    series = only(save(tmp_path / "a", datasets))
    assert series.stack is not None
    assert plain.stack is not None
    assert np.array_equal(read_stack(series.stack, "1"), read_stack(plain.stack, "1"))


def test_jpeg_lossless_slices(tmp_path: Path) -> None:
    gdcm = pytest.importorskip("gdcm")
    pytest.importorskip("libjpeg")
    plain = only(save(tmp_path / "p", made(tmp_path)))
    (tmp_path / "j").mkdir()
    for path in (tmp_path / "p").iterdir():
        reader, writer, change = gdcm.ImageReader(), gdcm.ImageWriter(), gdcm.ImageChangeTransferSyntax()
        reader.SetFileName(str(path))
        assert reader.Read()
        change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer.SetFileName(str(tmp_path / "j" / path.name))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        assert writer.Write()
    series = only(tmp_path / "j")
    assert series.stack is not None
    assert plain.stack is not None
    assert np.array_equal(read_stack(series.stack, "1"), read_stack(plain.stack, "1"))


def test_a_slice_cut_short_is_one_clear_sentence(tmp_path: Path) -> None:
    from annofree.errors import InputError

    from ..conftest import brain_image

    array = np.asarray(brain_image(), np.int32)
    datasets = slices(array, np.diag([4.5, 4.5, 4.5, 1]), header("FLAIR", 1))
    folder = save(tmp_path / "a", datasets)
    victim = sorted(folder.iterdir())[7]
    victim.write_bytes(victim.read_bytes()[:-900])
    with pytest.raises(
        InputError, match=r"Slice \d+ of DICOM series 1 \(IM0007.dcm\) cannot be read: its pixels are damaged"
    ):
        open_scan(folder)
