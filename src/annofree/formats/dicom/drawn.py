"""DICOM SEG that others drew: its segments on a grid of its own, each frame placed by its position.

Frames in which nothing is drawn may be missing, so that the frames alone do not tell how far slices lie apart: the grid
of the scan says it where it fits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.formats.dicom.files import is_dicom_file, is_zip, may_be_dicom, walk
from annofree.formats.dicom.header import Frame, begins_like_dicom, quiet, read_frames
from annofree.formats.dicom.stack import RAS, affine_of, normal_of
from annofree.formats.dicom.study import frame_name, study_name
from annofree.formats.drawn import Segment
from annofree.formats.named_labels import is_surrounding, meaning_of
from annofree.formats.names import anothers, own_part
from annofree.formats.nifti import MAX_VOXELS
from annofree.formats.volume_files import DICOM_MASKS
from annofree.scan import Grid

#: Segmentations, and segmentations as label maps.
_CLASSES = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
_AGAIN = "Export it again"
_ON_THE_SCAN = "Give the one that was drawn on the scan's own pictures"
#: Parts of a step, and of the smallest edge, by which frames may lie off the scan's slices.
_SAME_STEP, _OFF = 0.05, 0.3
#: Slices whose distance is less than so many times their thickness have no other between them.
_CONTIGUOUS = 1.5


def read_dicom_seg(
    path: Path, grid: Grid | None = None, files: Iterable[str] = ()
) -> tuple[list[Segment], Grid] | None:
    """The segments of a DICOM SEG and their grid, (column, row, slice); None for a file that is no DICOM.

    A fractional segment is what lies at one half or above.

    Args:
        path: Any file.
        grid: The canonical grid of the scan that it was drawn on.
        files: What a record says of where the scan's sequences are from; it tells their study.

    Raises:
        InputError: It is another kind of DICOM, of another study, damaged, or its segments or places cannot be told.
    """
    if not is_dicom_file(path) or is_zip(path):
        return None
    import pydicom

    with quiet():
        try:
            held: Any = pydicom.dcmread(path)
            kind = str(held.SOPClassUID)
            with path.open("rb") as handle:
                frames = read_frames(path, handle) or []
            pixels = np.asarray(held.pixel_array if kind in _CLASSES else ())  # which sees that single bits are missing
        except Exception:  # pydicom raises a dozen classes, and their texts may hold names
            raise InputError("A DICOM file is damaged or cut short", file=path, fix=_AGAIN) from None
    if kind not in _CLASSES:
        modality = str(held.get("Modality", "")) or "no segmentation"
        raise InputError(
            "A DICOM file is read as a mask only if it is a SEG", file=path, why=f"it is {modality}", fix=DICOM_MASKS
        )
    _refuse_another(held, files, path)
    pixels = pixels.reshape(-1, *pixels.shape[-2:])
    places, native = _placed(frames, grid, path)
    if len(pixels) != len(frames) or np.prod(native.shape, dtype=object) > MAX_VOXELS:
        raise InputError("A DICOM SEG is damaged or cut short", file=path, fix=_AGAIN)
    if held.SegmentationType == "FRACTIONAL":
        pixels = pixels >= float(held.get("MaximumFractionalValue", 255)) / 2
    whose = None if held.SegmentationType == "LABELMAP" else _numbers(held, path)
    segments = []
    for item in held.SegmentSequence:
        number = int(item.SegmentNumber)
        if number == 0:  # the background of a label map
            continue
        mask = np.zeros(native.shape, bool)
        for at, place in enumerate(places):
            if whose is None or whose[at] == number:
                mask[:, :, place] |= number == pixels[at].T if whose is None else pixels[at].T > 0
        segments.append(Segment(_name(item, path), number, mask))
    return segments, native


def in_frame_of(path: Path, files: Iterable[str]) -> bool:
    """Whether a file is a DICOM SEG in the one frame of reference of all series that a scan's `files` tell of."""
    known, held = list(files), _seg_header(path)
    own = "" if held is None else frame_name(str(held.get("FrameOfReferenceUID", "")))
    told = (words.startswith("DICOM series") and words.endswith(f" in {own}") for words in known)
    return bool(own and known) and all(told)


class SegFile(NamedTuple):
    """A DICOM SEG: its study, its person, and whether a person drew at least a part of it."""

    path: Path
    study: str
    person: str
    by_persons: bool


#: From a folder to what `segs_below` finds there.
Segs: TypeAlias = Callable[[Path], Sequence[SegFile]]


def segs_below(folder: Path) -> tuple[SegFile, ...]:
    """The DICOM SEG below a folder; every file is opened for it, so who asks for many scans keeps the answer."""
    found = []
    for path in walk(folder, tolerant=True):
        if (held := _seg_header(path)) is None:
            continue
        with quiet():
            try:
                by_persons = any(item.SegmentAlgorithmType != "AUTOMATIC" for item in held.SegmentSequence)
                study, person = study_name(str(held.StudyInstanceUID)), str(held.get("PatientID", ""))
            except Exception:  # damaged: no truth
                continue
        found.append(SegFile(path, study, person, by_persons))
    return tuple(found)


def find_dicom_segs(folder: Path, scan_id: str, segs: Segs = segs_below) -> Iterator[SegFile]:
    """The DICOM SEG below a folder that are of a scan: of its study or patient, or its name or its folder's says so."""
    for seg in segs(folder):
        path = seg.path
        parts = (folder.absolute().name, *path.relative_to(folder).parts[:-1])
        own = own_part(path.name, scan_id)
        named = own and not anothers(path.stem[len(own) :])
        patients = seg.person and scan_id.split("_visit-")[0] == seg.person
        if seg.study in scan_id or scan_id in parts or named or patients:
            yield seg


def _seg_header(path: Path) -> Any:
    """The header of a DICOM SEG, or None for any other file and for a damaged one; the file is opened once."""
    if not may_be_dicom(path):
        return None
    import pydicom

    with quiet():
        try:
            with path.open("rb") as handle:
                if not begins_like_dicom(handle):
                    return None
                start = handle.read(1024)  # where the kind of object stands
                handle.seek(0)
                ours = any(kind.encode() in start for kind in _CLASSES)
                return pydicom.dcmread(handle, stop_before_pixels=True) if ours else None
        except Exception:  # pydicom raises a dozen classes
            return None


def _refuse_another(held: Any, files: Iterable[str], path: Path) -> None:
    """Refuse what was drawn on another study, or in another frame of reference, than a scan of DICOM."""
    known = [words for words in files if words.startswith("DICOM series")]
    study, frame = study_name(str(held.StudyInstanceUID)), frame_name(str(held.get("FrameOfReferenceUID", "")))
    for what, own, says in (
        ("study", study, known),
        ("frame of reference", frame, [w for w in known if "frame-" in w]),
    ):
        if own and says and not any(own in words for words in says):
            raise InputError(
                f"A DICOM SEG is of another {what} than the scan",
                file=path,
                why=f"it is of {own}, and the scan is {says[0]}",
                fix=_ON_THE_SCAN,
            )


def _numbers(held: Any, path: Path) -> list[int]:
    """The number of each frame's segment."""
    try:
        shared = held.SharedFunctionalGroupsSequence[0].get("SegmentIdentificationSequence")
        groups = held.PerFrameFunctionalGroupsSequence
        return [
            int((group.get("SegmentIdentificationSequence") or shared)[0].ReferencedSegmentNumber) for group in groups
        ]
    except (AttributeError, IndexError, TypeError, ValueError):
        raise InputError("A DICOM SEG does not say which segment its frames show", file=path, fix=_AGAIN) from None


def _name(item: Any, path: Path) -> str:
    """What a segment is called: its label, or its coded type where the label says nothing or only tumour.

    Raises:
        InputError: They say two things.
    """
    label = str(item.get("SegmentLabel", "")).strip()
    coded = item.get("SegmentedPropertyTypeCodeSequence")
    kind = str(coded[0].get("CodeMeaning", "")).strip() if coded else ""
    names = [name for name in (label, kind) if meaning_of(name) is not None]
    sure = [name for name in names if meaning_of(name) != 2 or is_surrounding(name)]
    if len({meaning_of(name) for name in sure}) > 1:
        raise InputError(
            "What a segment of a DICOM SEG is cannot be told",
            file=path,
            why=f"it is called {label} and coded as {kind}",
            fix="Let its label and its code say the same",
        )
    return next(iter((*sure, *names, label)))


def _placed(frames: list[Frame], grid: Grid | None, path: Path) -> tuple[list[int], Grid]:
    """The slice of each frame, and the grid of all slices between the first and the last."""
    first = frames[0] if frames else None
    if (
        first is None
        or first.orientation is None
        or first.spacing_mm is None
        or any(f.position is None for f in frames)
    ):
        raise InputError("A DICOM SEG has no place in space", file=path, why="positions are missing", fix=_AGAIN)
    planes = np.array([(*(frame.orientation or ()), *(frame.spacing_mm or ())) for frame in frames])
    normal = normal_of(first.orientation)
    points = np.array([frame.position for frame in frames], dtype=float)
    origin = points[np.argmin(points @ normal)]
    points_from = points - origin
    step = _step(first, points_from, normal, grid, path)
    places = np.rint(points_from @ normal / (step @ normal)).astype(int)
    if np.ptp(planes, axis=0).max() > 1e-3 or np.abs(points_from - places[:, None] * step).max() > _OFF * abs(
        step @ normal
    ):
        raise InputError(
            "The frames of a DICOM SEG are no slices of one volume",
            file=path,
            why="they lie unevenly or in several planes",
            fix="Export one volume, or the label map as NIfTI",
        )
    affine = affine_of(first.orientation, first.spacing_mm, step, origin)
    return places.tolist(), Grid((first.columns, first.rows, int(places.max()) + 1), affine)


def _step(
    first: Frame, points: NDArray[np.float64], normal: NDArray[np.float64], grid: Grid | None, path: Path
) -> NDArray[np.float64]:
    """From one slice to the next, mm in DICOM's LPS+: the scan's own step where the frames lie on its slices."""
    along = np.sort(points @ normal)
    gaps = np.diff(along)[np.diff(along) > 0.02]
    between = abs(first.spacing_between_mm or 0.0)
    told = between or first.thickness_mm or 0.0
    steps = gaps / between if between else gaps
    whole = bool(between) and bool((np.abs(steps - np.rint(steps)) <= _SAME_STEP).all())
    smallest = between if whole else float(gaps.min()) if gaps.size else told or 1.0
    if grid is not None:
        axes = RAS @ np.asarray(grid.affine)[:3, :3]
        heights = normal @ axes
        axis = int(np.argmax(np.abs(heights) / grid.spacing_mm))
        step, height = np.asarray(axes[:, axis] * np.sign(heights[axis])), abs(float(heights[axis]))
        off = points - np.rint(points @ normal / height)[:, None] * step
        if min(abs(smallest - height), abs(told - height)) <= _SAME_STEP * height and (
            np.abs(off).max() <= _OFF * min(grid.spacing_mm)
        ):
            return step
        if not (whole or (told and smallest < _CONTIGUOUS * told)):
            raise InputError(
                "How far apart the slices of a DICOM SEG lie cannot be told",
                file=path,
                why="those in which nothing is drawn are missing, it states no distance, and the scan has other slices",
                fix=_ON_THE_SCAN,
            )
    if not gaps.size:
        return normal * smallest
    last = points[np.argmax(points @ normal)]
    return np.asarray(last / np.rint(last @ normal / smallest))
