"""What annofree reads of a DICOM header: numbers, codes and identifiers, one `Frame` for each 2-D picture.

Only headers are read here, never pixels. Free text of the header (names, institutions, descriptions) stays in this
room: nothing outside it gets to see `Frame.person` or `Frame.text`.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, BinaryIO

from annofree.formats.dicom import elements
from annofree.formats.dicom.words import read_words

#: Everything that is asked of a header; pydicom steps over the rest.
TAGS = (
    *("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"),
    *("PatientID", "PatientName", "PatientBirthDate", "StudyDate", "StudyTime", "SeriesTime", "AcquisitionTime"),
    *("AcquisitionDate", "ContentTime", "Modality", "SeriesNumber", "InstanceNumber", "AcquisitionNumber"),
    *("SeriesDescription", "ProtocolName", "SequenceName", "PulseSequenceName", "ImageType", "BodyPartExamined"),
    *("ScanningSequence", "SequenceVariant", "MRAcquisitionType", "RepetitionTime", "EchoTime", "InversionTime"),
    *("EchoNumbers", "DiffusionBValue", "TemporalPositionIdentifier", "ContrastBolusAgent"),
    *("ContrastBolusVolume", "Rows", "Columns", "PixelSpacing", "SliceThickness", "SpacingBetweenSlices"),
    *("ImagePositionPatient", "ImageOrientationPatient", "SliceLocation", "NumberOfFrames", "SamplesPerPixel"),
    *("PhotometricInterpretation", "RescaleSlope", "RescaleIntercept", "PixelRepresentation"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "EchoTrainLength", "ImagedNucleus"),
    *("BitsAllocated", "ContrastBolusAgentSequence", "PixelPaddingValue", "PixelPaddingRangeLimit"),
    *("ComplexImageComponent", "ContrastBolusAgentAdministered", "BitsStored", "HighBit"),
)


@dataclass(frozen=True, slots=True)
class Frame:
    """One 2-D picture of a DICOM file, with what its header says. Lengths are in mm, times in ms.

    Attributes:
        path: Its file.
        index: Its place in the file, from 0; None in a file with a single picture.
        uid: SOP instance UID of the file.
        person: What identifies the patient; never shown.
        text: Description, protocol and sequence name, as typed at the scanner; never shown as it is.
        position: Centre of the first pixel in DICOM's LPS+ world.
        orientation: Direction of a row and of a column, six numbers.
        spacing_mm: Distance between rows and between columns.
        low_bit: The bit at which its numbers begin: 0 by the standard.
        padding: Lowest and highest stored value that say that there is no picture; None where the header names none.
        begun: Time of day of the acquisition.
    """

    path: Path
    index: int | None
    uid: str
    sop_class: str
    study_uid: str
    series_uid: str
    frame_uid: str
    person: tuple[str, str, str]
    modality: str
    text: str
    image_type: tuple[str, ...]
    body_part: str
    scanning: tuple[str, ...]
    is_3d: bool | None
    when: str
    day: str
    begun: str
    series_number: int | None
    instance: int | None
    acquisition: int | None
    temporal: int | None
    echo: int | None
    rows: int
    columns: int
    samples: int
    photometric: str
    low_bit: int
    padding: tuple[float, float] | None
    spacing_mm: tuple[float, float] | None
    orientation: tuple[float, ...] | None
    position: tuple[float, float, float] | None
    slice_location: float | None
    spacing_between_mm: float | None
    thickness_mm: float | None
    tr_ms: float | None
    te_ms: float | None
    ti_ms: float | None
    echo_train: int | None
    b_value: float | None
    contrast: bool | None
    slope: float
    intercept: float


@contextmanager
def quiet() -> Iterator[None]:
    """Let pydicom be silent: its warnings quote header values, which may be personal."""
    logger = logging.getLogger("pydicom")
    before = logger.disabled
    logger.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = before


def looks_like_dicom(path: Path) -> bool:
    """Whether a file begins like DICOM: with the preamble, or at once with a first element."""
    try:
        with path.open("rb") as handle:
            return begins_like_dicom(handle)
    except OSError:
        return False


def begins_like_dicom(handle: BinaryIO) -> bool:
    """The same for a file that is open; it is left at its beginning."""
    start = handle.read(132)
    handle.seek(0)
    if start[128:132] == b"DICM":
        return True
    return len(start) == 132 and start[:2] in (b"\x08\x00", b"\x02\x00") and start[2:4] in (b"\x00\x00", b"\x05\x00")


def read_frames(path: Path, handle: BinaryIO) -> list[Frame] | None:
    """The pictures of one open file; None where it is no DICOM file that holds pictures, or is damaged."""
    import pydicom

    try:
        tags: Any = [elements.tag(name) for name in (*TAGS, *(inside for *_, inside in _PICTURE.values()))]
        dataset: Any = pydicom.dcmread(handle, stop_before_pixels=True, specific_tags=tags, force=True)
        rows, columns = elements.whole(dataset, "Rows"), elements.whole(dataset, "Columns")
        uid = elements.text(dataset, "SOPInstanceUID")
    except Exception:  # damaged files raise a dozen different classes; the caller counts them
        return None
    if not uid or not elements.text(dataset, "SOPClassUID"):
        return None
    rows, columns = (rows, columns) if rows and columns else (0, 0)
    common = _common(dataset, path, uid, rows or 0, columns or 0)
    per_frame = elements.get(dataset, "PerFrameFunctionalGroupsSequence")
    if per_frame is None:
        count = elements.whole(dataset, "NumberOfFrames") or 1
        picture = {name: read(dataset, element) for name, (read, element, _, _) in _PICTURE.items()}
        return [Frame(index=None if count == 1 else 0, **common, **picture)] * max(count, 1)
    shared_items = elements.get(dataset, "SharedFunctionalGroupsSequence")
    shared = shared_items[0] if shared_items else None
    groups = [_functional(dataset, shared, group) for group in per_frame]
    return [Frame(index=number, **common, **group) for number, group in enumerate(groups)]


def _common(dataset: Any, path: Path, uid: str, rows: int, columns: int) -> dict[str, Any]:
    day = elements.text(dataset, "StudyDate") or elements.text(dataset, "AcquisitionDate")
    words = ("SeriesDescription", "ProtocolName", "SequenceName", "PulseSequenceName")
    bits = elements.whole(dataset, "BitsStored")
    return {
        "path": path,
        "uid": uid,
        "sop_class": elements.text(dataset, "SOPClassUID"),
        "study_uid": elements.text(dataset, "StudyInstanceUID"),
        "series_uid": elements.text(dataset, "SeriesInstanceUID"),
        "frame_uid": elements.text(dataset, "FrameOfReferenceUID"),
        "person": (
            elements.text(dataset, "PatientID"),
            elements.text(dataset, "PatientName"),
            elements.text(dataset, "PatientBirthDate"),
        ),
        "modality": elements.text(dataset, "Modality").upper(),
        "text": " | ".join(elements.text(dataset, word) for word in words),
        "body_part": elements.text(dataset, "BodyPartExamined").upper(),
        "scanning": elements.upper(dataset, "ScanningSequence"),
        "is_3d": {"3D": True, "2D": False}.get(elements.text(dataset, "MRAcquisitionType").upper()),
        "when": elements.text(dataset, "StudyDate") + elements.text(dataset, "StudyTime"),
        "day": day,
        "begun": elements.text(dataset, "AcquisitionTime") or elements.text(dataset, "SeriesTime"),
        "series_number": elements.whole(dataset, "SeriesNumber"),
        "acquisition": elements.whole(dataset, "AcquisitionNumber"),
        "rows": rows,
        "columns": columns,
        "samples": elements.whole(dataset, "SamplesPerPixel") or 1,
        "photometric": elements.text(dataset, "PhotometricInterpretation").upper(),
        "low_bit": (elements.whole(dataset, "HighBit") or 0) + 1 - bits if bits else 0,
        "padding": _padding(dataset),
        "contrast": _contrast(dataset),
    }


def _padding(dataset: Any) -> tuple[float, float] | None:
    value = elements.whole(dataset, "PixelPaddingValue")
    if value is None:
        return None
    limit = elements.whole(dataset, "PixelPaddingRangeLimit")
    # Some scanners write a negative one as if it were unsigned.
    ends = [n & 0xFFFF for n in (value, value if limit is None else limit)]
    if elements.whole(dataset, "PixelRepresentation") == 1:
        ends = [n - 0x10000 if n > 0x7FFF else n for n in ends]
    return min(ends), max(ends)


def _functional(dataset: Any, shared: Any, own: Any) -> dict[str, Any]:
    """What the functional groups of an enhanced multi-frame file say about one picture; some stands beside them.

    Files that were classic before keep the elements that have no group in two groups of their own, under classic names.
    """

    @cache
    def group(name: str) -> Any:
        for place in (own, shared):
            items = None if place is None else elements.get(place, name)
            if items:
                return items[0]
        return None

    converted = [group(f"Unassigned{whose}ConvertedAttributesSequence") for whose in ("PerFrame", "Shared")]
    found = {}
    for name, (read, element, sequence, inside) in _PICTURE.items():
        found[name] = read(group(f"{sequence}Sequence") if sequence else None, inside)
        for place in (*converted, dataset if name in _BESIDE else None):
            if not found[name] and found[name] != 0:
                found[name] = read(place, element)
    return found


#: What enhanced files say of all pictures at once where a functional group does not say it.
_BESIDE = ("image_type", "tr_ms", "te_ms", "ti_ms")


def _contrast(dataset: Any) -> bool | None:
    """Whether contrast agent was given, where the header says so.

    An agent that is named with a volume of 0 says both: some scanners fill in the one, some the other by themselves.
    """
    agent = elements.text(dataset, "ContrastBolusAgent").lower()
    word = next(iter(re.findall(r"\w+", agent)), "unknown")
    volume = elements.number(dataset, "ContrastBolusVolume")
    if word not in ("unknown", "unk"):
        if read_words(agent).contrast is False or word in _NO_AGENT or _NOTHING.fullmatch(agent):
            return False
        return None if volume == 0 else True
    if agents := elements.get(dataset, "ContrastBolusAgentSequence"):
        # Enhanced files name the agent before it is given, too.
        shared = elements.get(dataset, "SharedFunctionalGroupsSequence")
        usage = elements.get(shared[0], "ContrastBolusUsageSequence") if shared else None
        if usage:
            return not all(elements.text(each, "ContrastBolusAgentAdministered") == "NO" for each in usage)
        return None if all(elements.number(each, "ContrastBolusVolume") == 0 for each in agents) else True
    return None if volume is None else volume > 0


#: First words of what technologists type where no contrast agent was given, and a volume of nothing.
_NO_AGENT = {
    *("none", "n", "na", "nil", "nothing", "nein", "keine", "keins", "keines", "aucun", "aucune", "ninguno", "ninguna"),
    *("nessuno", "nessuna", "nenhum", "ingen", "brak", "无", "無"),
}
_NOTHING = re.compile(r"0+(?:[.,]0+)? *(?:ml|cc|mmol|%)?")


_TIMING, _MEASURES, _VALUES = "MRTimingAndRelatedParameters", "PixelMeasures", "PixelValueTransformation"
#: Each fact of a picture: how it is read, its element in classic files, and its group and element in enhanced ones.
_PICTURE: dict[str, tuple[Callable[[Any, str], Any], str, str, str]] = {
    "image_type": (elements.image_type, "ImageType", "MRImageFrameType", "FrameType"),
    "instance": (elements.whole, "InstanceNumber", "FrameContent", "InStackPositionNumber"),
    "temporal": (elements.whole, "TemporalPositionIdentifier", "FrameContent", "TemporalPositionIndex"),
    "echo": (elements.whole, "EchoNumbers", "", "EchoNumbers"),
    "spacing_mm": (elements.pair, "PixelSpacing", _MEASURES, "PixelSpacing"),
    "orientation": (elements.orientation, "ImageOrientationPatient", "PlaneOrientation", "ImageOrientationPatient"),
    "position": (elements.triple, "ImagePositionPatient", "PlanePosition", "ImagePositionPatient"),
    "slice_location": (elements.number, "SliceLocation", "", "SliceLocation"),
    "spacing_between_mm": (elements.number, "SpacingBetweenSlices", _MEASURES, "SpacingBetweenSlices"),
    "thickness_mm": (elements.number, "SliceThickness", _MEASURES, "SliceThickness"),
    "tr_ms": (elements.number, "RepetitionTime", _TIMING, "RepetitionTime"),
    "te_ms": (elements.number, "EchoTime", "MREcho", "EffectiveEchoTime"),
    "ti_ms": (elements.number, "InversionTime", "MRModifier", "InversionTimes"),
    "echo_train": (elements.whole, "EchoTrainLength", _TIMING, "EchoTrainLength"),
    "b_value": (elements.number, "DiffusionBValue", "MRDiffusion", "DiffusionBValue"),
    "slope": (partial(elements.number, absent=1.0), "RescaleSlope", _VALUES, "RescaleSlope"),
    "intercept": (partial(elements.number, absent=0.0), "RescaleIntercept", _VALUES, "RescaleIntercept"),
}
