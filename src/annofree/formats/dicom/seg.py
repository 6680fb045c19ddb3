"""A segmentation as a DICOM SEG object on the slices of the series that it was made on.

Every source slice gets a frame, also where there is no tumour: highdicom leaves empty frames out unless told otherwise,
and readers that rebuild the volume from the frames alone then give back a shorter one. The parts of a tumour do not
overlap, so the binary and the label-map form say the same.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.extras import explained
from annofree.formats.dicom.case import DicomCase
from annofree.formats.dicom.header import quiet
from annofree.formats.dicom.study import Series
from annofree.formats.outfolder import atomic_write
from annofree.scan import to_native
from annofree.version import VERSION

if TYPE_CHECKING:
    from annofree.segmentation import Segmentation

#: What is copied from a source picture: its place, its size and its UIDs, never who it shows.
_COPIED = (
    *("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "Modality"),
    *("Rows", "Columns", "PixelSpacing", "SliceThickness", "SpacingBetweenSlices", "ImagePositionPatient"),
    *("ImageOrientationPatient", "NumberOfFrames", "InstanceNumber", "SamplesPerPixel", "PhotometricInterpretation"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "DimensionOrganizationSequence"),
)
#: What is copied besides where the user keeps ids.
_PERSONAL = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate"),
    *("StudyTime", "ReferringPhysicianName", "StudyDescription"),
)
#: Of the functional groups of a multi-frame file, those that place a frame.
_GROUPS = {
    "PlanePositionSequence": ("ImagePositionPatient",),
    "PlaneOrientationSequence": ("ImageOrientationPatient",),
    "PixelMeasuresSequence": ("PixelSpacing", "SliceThickness", "SpacingBetweenSlices"),
    "FrameContentSequence": ("StackID", "InStackPositionNumber", "DimensionIndexValues"),
}


@dataclass(frozen=True)
class Segment:
    """A part of the tumour and the codes that name it: value, scheme, meaning."""

    label: int
    name: str
    code: tuple[str, str, str]
    colour: tuple[int, int, int]


#: The labels of BraTS 2023, in its usual colours.
SEGMENTS = (
    Segment(1, "Tumour core without enhancement", ("C81175", "NCIt", "Non-Enhancing Lesion"), (255, 0, 0)),
    Segment(2, "Oedema and infiltration", ("79654002", "SCT", "Edema"), (0, 255, 0)),
    Segment(3, "Enhancing tumour", ("C113842", "NCIt", "Enhancing Lesion"), (255, 255, 0)),
)
WHOLE = Segment(1, "Whole tumour", ("108369006", "SCT", "Neoplasm"), (255, 0, 0))
#: The core of a scan that cannot show what of it enhances.
CORE = Segment(1, "Tumour core", ("108369006", "SCT", "Neoplasm"), (255, 0, 0))


def segments_of(result: Segmentation) -> tuple[Segment, ...]:
    """The parts of the tumour that a segmentation tells apart, or the whole."""
    if len(result.regions) == 1:
        return (WHOLE,)
    return SEGMENTS if "ET" in result.regions else (CORE, SEGMENTS[1])


def write_dicom_seg(
    result: Segmentation, case: DicomCase, path: Path, *, labelmap: bool = False, keep_ids: bool = False
) -> Path:
    """Write a segmentation as DICOM SEG.

    `labelmap` is for viewers that know that form instead of the binary one; `keep_ids` copies the patient's name, id
    and dates.

    Raises:
        InputError: The segmentation is not in the space of any series, or that series' positions are assumed.
        OptionalDependency: highdicom is not installed.
    """
    with explained("DICOM SEG"):
        import highdicom
    hd: Any = highdicom
    series = source_series(result, case)
    sources, planes = sources_of(series, keep_ids)
    segments = segments_of(result)
    labels = to_native(result.labels, result.native)
    if len(result.regions) == 1:
        labels = (labels > 0).astype(np.uint8)
    frames = _frames(labels, series, planes)
    method = str(result.provenance.get("method") or "annofree")
    algorithm = hd.AlgorithmIdentificationSequence(
        name=f"annofree {method}", version=VERSION, family=code(hd, ("123110", "DCM", "Artificial Intelligence"))
    )
    # The same answer gets the same UIDs, so that an archive that holds it already sees no second one.
    parts = [series.first.series_uid, method, VERSION, str(labelmap), hashlib.sha256(frames.tobytes()).hexdigest()]
    described = [_description(hd, segment, algorithm, derived_uid(*parts, segment.name)) for segment in segments]
    kind = hd.seg.SegmentationTypeValues
    pixels = frames if labelmap else np.stack([frames == segment.label for segment in segments], axis=-1)
    with quiet():
        made = hd.seg.Segmentation(
            source_images=sources,
            pixel_array=pixels.astype(np.uint8) if labelmap else pixels,
            segmentation_type=kind.LABELMAP if labelmap else kind.BINARY,
            segment_descriptions=described,
            series_instance_uid=derived_uid(*parts, "series"),
            series_number=9000 + (series.first.series_number or 0) % 900,
            sop_instance_uid=derived_uid(*parts, "instance"),
            instance_number=1,
            manufacturer="annofree",
            manufacturer_model_name="annofree",
            software_versions=VERSION,
            device_serial_number="0",
            content_label="TUMOUR",
            content_description="Brain tumour, research use only",
            omit_empty_frames=False,
        )
        made.SeriesDescription = f"annofree {method}"
        save_dicom(made, path)
    return path


def source_series(result: Segmentation, case: DicomCase) -> Series:
    """The series of a study whose grid a segmentation lies on.

    Raises:
        InputError: There is none, or its slices have no positions of their own.
    """
    assert case.study is not None
    fitting = [s for s in case.study.series if s.stack is not None and s.stack.grid.same_as(result.native)]
    if not fitting:
        raise InputError(
            f"The segmentation of '{result.scan_id}' lies on the slices of no series of the study",
            file=case.folder,
            why="its voxel grid is another one",
            fix="Name the DICOM folder that it was made from",
        )
    chosen = {verdict.series.key for verdict in case.chosen().values()} if len(fitting) > 1 else set()
    series = next((s for s in fitting if s.key in chosen), fitting[0])
    assert series.stack is not None
    positions = {frame.position for frame in series.stack.frames}
    if len(positions) < len(series.stack.frames):
        raise InputError(
            f"No DICOM SEG can be made on series {series.key}",
            file=case.folder,
            why="its slices have no positions of their own in the headers",
            fix="Use the NIfTI results",
        )
    return series


def sources_of(series: Series, keep_ids: bool) -> tuple[list[Any], list[int]]:
    """Datasets of the source pictures, slice by slice, and the slice of the stack that each frame is (-1: none)."""
    import pydicom

    assert series.stack is not None
    slots = series.stack.slots
    with quiet():
        if series.first.index is not None:  # one multi-frame file
            header = pydicom.dcmread(series.first.path, stop_before_pixels=True)
            places = {frame.index: number for number, frame in enumerate(slots) if frame is not None}
            planes = [places.get(index, -1) for index in range(int(header.NumberOfFrames))]
            return [_stripped(header, keep_ids)], planes
        present = [(number, frame) for number, frame in enumerate(slots) if frame is not None]
        headers = [pydicom.dcmread(frame.path, stop_before_pixels=True) for _, frame in present]
        return [_stripped(header, keep_ids) for header in headers], [number for number, _ in present]


def _stripped(header: Any, keep_ids: bool) -> Any:
    """A header with nothing in it but what places the picture, and the person where ids are kept."""
    from pydicom.dataset import Dataset, FileMetaDataset

    found = Dataset()
    for name in (*_COPIED, *(_PERSONAL if keep_ids else ())):
        if name in header:
            found[name] = header[name]
    for name in _PERSONAL:
        if name not in found and name != "StudyDescription":
            setattr(found, name, "")
    if "SharedFunctionalGroupsSequence" in header:
        found.SharedFunctionalGroupsSequence = [_placed(header.SharedFunctionalGroupsSequence[0])]
    if "PerFrameFunctionalGroupsSequence" in header:
        found.PerFrameFunctionalGroupsSequence = [_placed(group) for group in header.PerFrameFunctionalGroupsSequence]
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = header.file_meta.TransferSyntaxUID
    return found


def _placed(group: Any) -> Any:
    from pydicom.dataset import Dataset

    found = Dataset()
    for name, elements in _GROUPS.items():
        if name in group and group[name].value:
            inner = Dataset()
            for element in elements:
                if element in group[name].value[0]:
                    inner[element] = group[name].value[0][element]
            setattr(found, name, [inner])
    return found


def _frames(labels: NDArray[Any], series: Series, planes: list[int]) -> NDArray[np.uint8]:
    """Labels of each source frame, (frames, rows, columns); frames that are no slice of the stack stay empty."""
    frames = np.zeros((len(planes), series.first.rows, series.first.columns), np.uint8)
    for number, plane in enumerate(planes):
        if plane >= 0:
            frames[number] = labels[:, :, plane].T
    return frames


def code(hd: Any, named: tuple[str, str, str]) -> Any:
    """A code of highdicom from value, scheme and meaning."""
    return hd.sr.CodedConcept(value=named[0], scheme_designator=named[1], meaning=named[2])


def derived_uid(*parts: str) -> str:
    """A UID that is the same for the same parts."""
    from pydicom.uid import generate_uid

    return str(generate_uid(entropy_srcs=list(parts)))


def _description(hd: Any, segment: Segment, algorithm: Any, tracking_uid: str) -> Any:
    return hd.seg.SegmentDescription(
        segment_number=segment.label,
        segment_label=segment.name,
        segmented_property_category=code(hd, ("49755003", "SCT", "Morphologically Abnormal Structure")),
        segmented_property_type=code(hd, segment.code),
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=algorithm,
        anatomic_regions=[code(hd, ("12738006", "SCT", "Brain"))],
        tracking_uid=tracking_uid,
        tracking_id=segment.name,
        display_color=hd.color.CIELabColor.from_rgb(*segment.colour),
    )


def save_dicom(dataset: Any, path: Path) -> None:
    """Write a dataset atomically."""
    from io import BytesIO

    held = BytesIO()
    dataset.save_as(held, enforce_file_format=True)
    atomic_write(path, held.getvalue())
