"""From loose pictures to a stack with a place in the world: order, gaps, duplicates, tilt.

Slices are ordered by their position along the normal of their plane and by nothing else, unless the headers give all
of them one position; then SliceLocation, or instance numbers with SpacingBetweenSlices, stand in, and a note says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree.errors import some
from annofree.formats.dicom.header import Frame
from annofree.scan import Grid

#: From DICOM's LPS+ to RAS+.
RAS = np.diag([-1.0, -1.0, 1.0])
#: Slices in a row that are filled by interpolation, and the part of the stack that may be filled.
MAX_HOLE = 2
MAX_FILLED = 0.1
#: Parts of a step by which slices may lie off an even spacing before that is refused, or said.
_UNEVEN, _UNEVEN_SAID = 0.15, 0.02
#: Slices closer than this along the normal lie at one position.
_SAME_MM = 0.02
#: Part by which two statements of a distance may differ before that is said.
_STATED = 0.05
#: Degrees by which the slices' direction may leave the normal before that is said.
_TILT_DEG = 0.1


class Unusable(Exception):
    """Why pictures cannot be stacked; the message goes into the table, it is no error by itself."""


@dataclass(frozen=True, eq=False)
class Stack:
    """Slices of one volume, in order.

    Attributes:
        slots: A frame for each slice, along the normal; None where a slice is missing and gets interpolated.
        grid: Where the voxels (column, row, slice) lie, RAS+.
        notes: What was done to get the order, in sentences.
    """

    slots: tuple[Frame | None, ...]
    grid: Grid
    notes: tuple[str, ...] = ()

    @property
    def frames(self) -> tuple[Frame, ...]:
        """The frames that are there."""
        return tuple(frame for frame in self.slots if frame is not None)


def normal_of(orientation: Sequence[float]) -> NDArray[np.float64]:
    """The unit normal of a plane from the directions of its rows and columns."""
    normal = np.cross(np.asarray(orientation[:3], float), np.asarray(orientation[3:], float))
    return np.asarray(normal / np.linalg.norm(normal))


def affine_of(
    orientation: Sequence[float], spacing_mm: Sequence[float], step: NDArray[np.float64], origin: NDArray[np.float64]
) -> NDArray[np.float64]:
    """From voxels (column, row, slice) to RAS+ mm (4, 4): slices follow each other by `step` from `origin`, in LPS+."""
    row = np.asarray(orientation[:3], float)
    row /= np.linalg.norm(row)
    column = np.cross(normal_of(orientation), row)
    affine = np.eye(4)
    between_rows, between_columns = spacing_mm
    affine[:3, :3] = RAS @ np.column_stack([row * between_columns, column * between_rows, step])
    affine[:3, 3] = RAS @ origin
    return affine


def stack(frames: Sequence[Frame]) -> Stack:
    """Stack frames of one size and one orientation.

    Raises:
        Unusable: They have no place in the world, or lie unevenly, or too many are missing.
    """
    first = frames[0]
    if first.orientation is None or first.spacing_mm is None:
        lacks = "orientation" if first.orientation is None else "pixel spacing"
        raise Unusable(f"its headers give no usable {lacks}")
    if len(frames) < 2:
        raise Unusable("it has a single slice")
    normal = normal_of(first.orientation)
    if any(frame.position is None for frame in frames):
        raise Unusable("its headers give no position in space")
    points = np.array([frame.position for frame in frames], dtype=float)
    along = points @ normal
    notes: list[str] = []
    if np.ptp(points, axis=0).max() < 1e-3:
        points, notes = _stand_ins(frames, points[0], normal)
        along = points @ normal
    order = np.argsort(along, kind="stable")
    frames, points, along = [frames[i] for i in order], points[order], along[order]
    slots, step, more = _slots(frames, points, along)
    affine = affine_of(first.orientation, first.spacing_mm, step, points[0])
    tilt = float(np.degrees(np.arccos(min(1.0, abs(float(step @ normal)) / float(np.linalg.norm(step))))))
    if tilt > _TILT_DEG:
        more.append(
            f"the slices are tilted: their direction leaves the normal of their plane by {tilt:.1f} degrees; "
            "the voxel grid keeps that shear"
        )
    if not notes:  # where positions are made from a header, there is nothing to compare it with
        more += _disagreement(frames, abs(float(step @ normal)))
    grid = Grid((first.columns, first.rows, len(slots)), affine)
    return Stack(tuple(slots), grid, (*notes, *more))


def _slots(
    frames: Sequence[Frame], points: NDArray[Any], along: NDArray[Any]
) -> tuple[list[Frame | None], NDArray[np.float64], list[str]]:
    """Where each frame stands on an even ladder of positions, the ladder's step, and notes."""
    gaps = np.diff(along)
    base = float(np.median(gaps))
    if base < 1e-3:
        raise Unusable("several slices lie at the same position")
    rungs = np.rint(gaps / base).astype(int)
    if (rungs < 1).any():
        at = int(np.argmax(rungs < 1))
        raise Unusable(
            f"two slices lie at the same position or closer than the others (at {along[at]:.1f} mm along the normal)"
        )
    numbers = np.concatenate([[0], np.cumsum(rungs)])
    step = (points[-1] - points[0]) / numbers[-1]
    off = np.abs(points - (points[0] + numbers[:, None] * step)).max()
    length = float(np.linalg.norm(step))
    if off > _UNEVEN * length:
        raise Unusable(
            f"its slices are unevenly spaced (steps of {gaps.min():.2f} to {gaps.max():.2f} mm, up to {off:.2f} mm off "
            "an even ladder)"
        )
    notes = []
    if off > _UNEVEN_SAID * length:
        notes.append(f"slices lie up to {off:.2f} mm off an even spacing of {length:.2f} mm; even spacing is taken")
    slots: list[Frame | None] = [None] * (int(numbers[-1]) + 1)
    for number, frame in zip(numbers, frames, strict=True):
        slots[number] = frame
    missing = [number for number, frame in enumerate(slots) if frame is None]
    if missing:
        places = some([f"{along[0] + number * base:.1f}" for number in missing], 5)
        verb = "is" if len(missing) == 1 else "are"
        said = f"{len(missing)} of {len(slots)} slices {verb} missing (at {places} mm along the normal)"
        if rungs.max() - 1 > MAX_HOLE or len(missing) > max(1, MAX_FILLED * len(slots)):
            raise Unusable(f"{said}, too many to fill")
        notes.append(f"{said} and filled by interpolation between the neighbours")
    return slots, step, notes


def _disagreement(frames: Sequence[Frame], step_mm: float) -> list[str]:
    """What else the headers say of the distance between slices, where it is not that of their positions.

    The distance may be stated from middle to middle, as DICOM wants it, or as the gap between two slices, as some
    scanners write it. Slices thicker than their distance overlap, which is rare and meant in 3-D series only.
    """
    thick = float(np.median([frame.thickness_mm or 0.0 for frame in frames]))
    stated = float(np.median([frame.spacing_between_mm or 0.0 for frame in frames]))
    said = []
    if stated > 0 and not any(abs(found - step_mm) <= _STATED * step_mm for found in (stated, stated + thick)):
        said.append(f"SpacingBetweenSlices says {stated:.3g} mm")
    meant = frames[0].is_3d is not False and abs(thick - 2.0 * step_mm) <= _STATED * thick
    if thick > 0 and not meant and not (1.0 - _STATED) * thick <= step_mm <= 2.0 * (1.0 + _STATED) * thick:
        said.append(f"SliceThickness says {thick:.3g} mm")
    if not said:
        return []
    where = f"the slices lie {step_mm:.3g} mm apart by their positions, which are believed, but {' and '.join(said)}"
    return [f"{where}: if the positions are wrong, so are all volumes; compare with the scanner's protocol"]


def _stand_ins(
    frames: Sequence[Frame], point: NDArray[Any], normal: NDArray[np.float64]
) -> tuple[NDArray[np.float64], list[str]]:
    """Positions for slices whose headers all give the same one."""
    # Scanners count SliceLocation along the axis of the patient that the normal is nearest to.
    axis = int(np.argmax(np.abs(normal)))
    direction = normal * np.sign(normal[axis])
    places = [frame.slice_location for frame in frames]
    if all(place is not None for place in places) and len(set(places)) == len(places):
        heights = np.array(places, dtype=float)
        anchor = int(np.argmin(np.abs(heights - point[axis])))
        said = "all slices have one ImagePositionPatient; their SliceLocation gives the order and the spacing"
    else:
        numbers, spacing = [frame.instance for frame in frames], frames[0].spacing_between_mm
        if any(number is None for number in numbers) or len(set(numbers)) != len(numbers):
            raise Unusable(
                "all its slices have one ImagePositionPatient, and neither SliceLocation nor instance "
                "numbers order them"
            )
        if not spacing or spacing <= 0:
            raise Unusable(
                "all its slices have one ImagePositionPatient, and no SpacingBetweenSlices or SliceLocation "
                "tells how far apart they are"
            )
        heights = np.array(numbers, dtype=float) * spacing
        anchor = int(np.argmin(heights))
        said = (
            f"all slices have one ImagePositionPatient; instance numbers give the order and SpacingBetweenSlices "
            f"({spacing:g} mm) the spacing"
        )
    points = point + (heights - heights[anchor])[:, None] * direction
    return points, [f"{said}; which end is up is an assumption"]


def drop_double(frames: Sequence[Frame]) -> tuple[list[Frame], int]:
    """Frames without those that are there twice (a file copied twice), and how many were dropped."""
    # Some anonymisers give all pictures one UID; only what also has the same place is the same picture.
    kept = {_identity(frame): frame for frame in reversed(frames)}
    unique = [frame for frame in frames if kept[_identity(frame)] is frame]
    return unique, len(frames) - len(unique)


def _identity(frame: Frame) -> tuple[object, ...]:
    return (frame.study_uid, frame.series_uid, frame.uid, frame.index, frame.position, frame.instance, frame.te_ms)


def repeats(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Volumes at the same positions (dynamic, repeated), each as its own list; one list where there is one volume."""
    if any(frame.position is None or frame.orientation is None for frame in frames):
        return [list(frames)]
    points = np.array([frame.position for frame in frames], dtype=float)
    if np.ptp(points, axis=0).max() < 1e-3:
        return [list(frames)]
    along = points @ normal_of(frames[0].orientation or ())
    groups: list[list[Frame]] = []
    last = None
    for i in np.argsort(along, kind="stable"):
        if last is None or along[i] - last > _SAME_MM:
            groups.append([])
        groups[-1].append(frames[i])
        last = along[i]
    counts = {len(group) for group in groups}
    if len(counts) > 1 or counts == {1}:
        return [list(frames)]
    for group in groups:
        group.sort(key=lambda f: (f.temporal or 0, f.acquisition or 0, f.instance or 0, f.index or 0))
    return [[group[number] for group in groups] for number in range(counts.pop())]
