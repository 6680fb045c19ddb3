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
        tags: Any = list(_tags().values())
        dataset: Any = pydicom.dcmread(handle, stop_before_pixels=True, specific_tags=tags, force=True)
        rows, columns = _whole(dataset, "Rows"), _whole(dataset, "Columns")
        uid = _text(dataset, "SOPInstanceUID")
    except Exception:  # damaged files raise a dozen different classes; the caller counts them
        return None
    if not uid or not _text(dataset, "SOPClassUID"):
        return None
    rows, columns = (rows, columns) if rows and columns else (0, 0)
    common = _common(dataset, path, uid, rows or 0, columns or 0)
    per_frame = _get(dataset, "PerFrameFunctionalGroupsSequence")
    if per_frame is None:
        count = _whole(dataset, "NumberOfFrames") or 1
        picture = {name: read(dataset, element) for name, (read, element, _, _) in _PICTURE.items()}
        return [Frame(index=None if count == 1 else 0, **common, **picture)] * max(count, 1)
    shared_items = _get(dataset, "SharedFunctionalGroupsSequence")
    shared = shared_items[0] if shared_items else None
    groups = [_functional(dataset, shared, group) for group in per_frame]
    return [Frame(index=number, **common, **group) for number, group in enumerate(groups)]


def _common(dataset: Any, path: Path, uid: str, rows: int, columns: int) -> dict[str, Any]:
    day = _text(dataset, "StudyDate") or _text(dataset, "AcquisitionDate")
    words = ("SeriesDescription", "ProtocolName", "SequenceName", "PulseSequenceName")
    return {
        "path": path,
        "uid": uid,
        "sop_class": _text(dataset, "SOPClassUID"),
        "study_uid": _text(dataset, "StudyInstanceUID"),
        "series_uid": _text(dataset, "SeriesInstanceUID"),
        "frame_uid": _text(dataset, "FrameOfReferenceUID"),
        "person": (_text(dataset, "PatientID"), _text(dataset, "PatientName"), _text(dataset, "PatientBirthDate")),
        "modality": _text(dataset, "Modality").upper(),
        "text": " | ".join(_text(dataset, word) for word in words),
        "body_part": _text(dataset, "BodyPartExamined").upper(),
        "scanning": _upper(dataset, "ScanningSequence"),
        "is_3d": {"3D": True, "2D": False}.get(_text(dataset, "MRAcquisitionType").upper()),
        "when": _text(dataset, "StudyDate") + _text(dataset, "StudyTime"),
        "day": day,
        "begun": _text(dataset, "AcquisitionTime") or _text(dataset, "SeriesTime"),
        "series_number": _whole(dataset, "SeriesNumber"),
        "acquisition": _whole(dataset, "AcquisitionNumber"),
        "rows": rows,
        "columns": columns,
        "samples": _whole(dataset, "SamplesPerPixel") or 1,
        "photometric": _text(dataset, "PhotometricInterpretation").upper(),
        "low_bit": (_whole(dataset, "HighBit") or 0) + 1 - bits if (bits := _whole(dataset, "BitsStored")) else 0,
        "padding": _padding(dataset),
        "contrast": _contrast(dataset),
    }


def _padding(dataset: Any) -> tuple[float, float] | None:
    value = _whole(dataset, "PixelPaddingValue")
    if value is None:
        return None
    limit = _whole(dataset, "PixelPaddingRangeLimit")
    # Some scanners write a negative one as if it were unsigned.
    ends = [n & 0xFFFF for n in (value, value if limit is None else limit)]
    if _whole(dataset, "PixelRepresentation") == 1:
        ends = [n - 0x10000 if n > 0x7FFF else n for n in ends]
    return min(ends), max(ends)


def _functional(dataset: Any, shared: Any, own: Any) -> dict[str, Any]:
    """What the functional groups of an enhanced multi-frame file say about one picture; some stands beside them.

    Files that were classic before keep the elements that have no group in two groups of their own, under classic names.
    """

    @cache
    def group(name: str) -> Any:
        for place in (own, shared):
            items = None if place is None else _get(place, name)
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
    agent = _text(dataset, "ContrastBolusAgent").lower()
    word = next(iter(re.findall(r"\w+", agent)), "unknown")
    volume = _number(dataset, "ContrastBolusVolume")
    if word not in ("unknown", "unk"):
        if read_words(agent).contrast is False or word in _NO_AGENT or _NOTHING.fullmatch(agent):
            return False
        return None if volume == 0 else True
    if agents := _get(dataset, "ContrastBolusAgentSequence"):
        # Enhanced files name the agent before it is given, too.
        shared = _get(dataset, "SharedFunctionalGroupsSequence")
        usage = _get(shared[0], "ContrastBolusUsageSequence") if shared else None
        if usage:
            return not all(_text(each, "ContrastBolusAgentAdministered") == "NO" for each in usage)
        return None if all(_number(each, "ContrastBolusVolume") == 0 for each in agents) else True
    return None if volume is None else volume > 0


#: First words of what technologists type where no contrast agent was given, and a volume of nothing.
_NO_AGENT = {
    *("none", "n", "na", "nil", "nothing", "nein", "keine", "keins", "keines", "aucun", "aucune", "ninguno", "ninguna"),
    *("nessuno", "nessuna", "nenhum", "ingen", "brak", "无", "無"),
}
_NOTHING = re.compile(r"0+(?:[.,]0+)? *(?:ml|cc|mmol|%)?")


@cache
def _tags() -> dict[str, Any]:
    """Numbers of the elements that are asked for, by name."""
    from pydicom.tag import Tag

    return {name: Tag(name) for name in {*TAGS, *(inside for *_, inside in _PICTURE.values())}}


def _get(dataset: Any, name: str) -> Any:
    """The value as pydicom understands it, which takes it most of its time."""
    if dataset is None:
        return None
    try:
        return dataset.get(name)
    except Exception:  # a value that does not parse counts as absent
        return None


def _plain(dataset: Any, name: str) -> str | None:
    """A text or number that stands in plain ASCII in the file, as it stands there; "" where there is none.

    None for anything else, which is left to pydicom.
    """
    raw = None if dataset is None else dataset.get_item(_tags()[name])
    if raw is None:
        return ""
    value = raw.value
    if not isinstance(value, bytes):
        return None
    if raw.VR == "US" and len(value) == 2:
        return str(int.from_bytes(value, "little" if raw.is_little_endian else "big"))
    if raw.VR not in _PLAIN or not value.isascii() or b"\x1b" in value:
        return None  # an escape begins letters of another alphabet
    return value.decode("ascii").strip(" \0")


#: Kinds of elements (value representations) that are text.
_PLAIN = frozenset(("AE", "CS", "DA", "DS", "IS", "LO", "PN", "SH", "TM", "UI"))


def _text(dataset: Any, name: str) -> str:
    plain = _plain(dataset, name)
    if plain is not None:
        return plain
    value = _get(dataset, name)
    return "" if value is None else str(value).strip()


def _texts(dataset: Any, name: str) -> tuple[str, ...]:
    plain = _plain(dataset, name)
    if plain is not None:
        return tuple(part.strip() for part in plain.split("\\")) if plain else ()
    value = _get(dataset, name)
    if value is None or value == "":
        return ()
    parts = [value] if isinstance(value, str) else value
    return tuple(str(part).strip() for part in parts)


def _numbers(dataset: Any, name: str) -> tuple[float, ...]:
    plain = _plain(dataset, name)
    value: Any = _get(dataset, name) if plain is None else plain
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        value = value.split("\\")
    parts = value if hasattr(value, "__iter__") else [value]
    try:
        found = tuple(float(part) for part in parts)
    except (TypeError, ValueError):
        return ()
    return found if all(abs(number) < 1e12 for number in found) else ()  # false for NaN too


def _upper(dataset: Any, name: str) -> tuple[str, ...]:
    return tuple(part.upper() for part in _texts(dataset, name))


def _kind(dataset: Any, name: str) -> tuple[str, ...]:
    """An image type; enhanced files say that a picture shows the phase in an element of its own."""
    part = _upper(dataset, "ComplexImageComponent")
    return (*_upper(dataset, name), *(word for word in part if word not in ("MAGNITUDE", "MIXED")))


def _number(dataset: Any, name: str, absent: float | None = None) -> float | None:
    return next(iter(_numbers(dataset, name)), absent)


def _whole(dataset: Any, name: str) -> int | None:
    found = _number(dataset, name)
    return None if found is None else int(found)


def _pair(dataset: Any, name: str) -> tuple[float, ...] | None:
    numbers = _numbers(dataset, name)
    return numbers if len(numbers) == 2 and min(numbers) > 0 else None


def _triple(dataset: Any, name: str) -> tuple[float, ...] | None:
    numbers = _numbers(dataset, name)
    return numbers if len(numbers) == 3 else None


def _orientation(dataset: Any, name: str) -> tuple[float, ...] | None:
    """Six direction cosines of two unit vectors at a right angle; None for anything else."""
    numbers = _numbers(dataset, name)
    if len(numbers) != 6:
        return None
    row, column = numbers[:3], numbers[3:]
    lengths = [sum(x * x for x in vector) ** 0.5 for vector in (row, column)]
    across = sum(a * b for a, b in zip(row, column, strict=True))
    if any(abs(length - 1) > 0.02 for length in lengths) or abs(across) > 0.02:
        return None
    return numbers


_TIMING, _MEASURES, _VALUES = "MRTimingAndRelatedParameters", "PixelMeasures", "PixelValueTransformation"
#: Each fact of a picture: how it is read, its element in classic files, and its group and element in enhanced ones.
_PICTURE: dict[str, tuple[Callable[[Any, str], Any], str, str, str]] = {
    "image_type": (_kind, "ImageType", "MRImageFrameType", "FrameType"),
    "instance": (_whole, "InstanceNumber", "FrameContent", "InStackPositionNumber"),
    "temporal": (_whole, "TemporalPositionIdentifier", "FrameContent", "TemporalPositionIndex"),
    "echo": (_whole, "EchoNumbers", "", "EchoNumbers"),
    "spacing_mm": (_pair, "PixelSpacing", _MEASURES, "PixelSpacing"),
    "orientation": (_orientation, "ImageOrientationPatient", "PlaneOrientation", "ImageOrientationPatient"),
    "position": (_triple, "ImagePositionPatient", "PlanePosition", "ImagePositionPatient"),
    "slice_location": (_number, "SliceLocation", "", "SliceLocation"),
    "spacing_between_mm": (_number, "SpacingBetweenSlices", _MEASURES, "SpacingBetweenSlices"),
    "thickness_mm": (_number, "SliceThickness", _MEASURES, "SliceThickness"),
    "tr_ms": (_number, "RepetitionTime", _TIMING, "RepetitionTime"),
    "te_ms": (_number, "EchoTime", "MREcho", "EffectiveEchoTime"),
    "ti_ms": (_number, "InversionTime", "MRModifier", "InversionTimes"),
    "echo_train": (_whole, "EchoTrainLength", _TIMING, "EchoTrainLength"),
    "b_value": (_number, "DiffusionBValue", "MRDiffusion", "DiffusionBValue"),
    "slope": (partial(_number, absent=1.0), "RescaleSlope", _VALUES, "RescaleSlope"),
    "intercept": (partial(_number, absent=0.0), "RescaleIntercept", _VALUES, "RescaleIntercept"),
}
