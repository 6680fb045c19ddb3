"""The `Scan`: one visit of one person."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError, MissingSequence
from annofree.grid import Array, Box, Grid, axis_order, to_native
from annofree.masks import as_mask, faces
from annofree.modality import Modality
from annofree.preparation import Preparation

_Found = TypeVar("_Found")


def foreground(image: Array) -> NDArray[np.bool_]:
    """Voxels that are not background, without assuming that background is exactly zero.

    Background is the most frequent value on the faces of the volume; where the faces hold no dominant value (float
    noise), it is what lies within 2 % of the robust range of the faces' median. Image and answer are (X, Y, Z).
    """
    outer = faces(image)
    values, counts = np.unique(outer, return_counts=True)
    background = values[np.argmax(counts)]
    if counts.max() >= 0.5 * outer.size:
        return np.asarray(image != background)
    low, high = np.percentile(image, (0.5, 99.5))
    return np.asarray(np.abs(image - np.median(outer)) > 0.02 * (high - low))


@dataclass(frozen=True, eq=False)
class Scan:
    """One visit of one person: sequences on one grid. Immutable, and never holds truth.

    Attributes:
        id: Name of the scan, as the user knows it.
        images: Float32 (X, Y, Z) arrays in closest-canonical RAS+ order, read-only, all of one shape.
        affine: (4, 4) voxel-to-world in mm (RAS+) of these arrays.
        native: The reference file's own grid (its axis order), to which results are written.
        brain: Boolean (X, Y, Z) brain mask, or None where nobody gave one.
        report: The radiology report's text, if any.
        notes: What happened to the scan so far, in sentences for provenance.
        files: Where each sequence came from.
        preparation: What was done to a raw study, and the way back; None where nothing was.
    """

    id: str
    images: Mapping[Modality, NDArray[np.float32]]
    affine: Array
    native: Grid | None = None
    brain: NDArray[np.bool_] | None = None
    report: str | None = None
    notes: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    preparation: Preparation | None = None

    def __post_init__(self) -> None:
        if not self.images:
            raise InputError(f"Scan '{self.id}' has no image", fix="Give at least one of T1, T1C, T2, FLAIR")
        images: dict[Modality, NDArray[np.float32]] = {}
        for sequence, image in self.images.items():
            if (kind := np.asarray(image).dtype).kind not in "biuf":
                raise InputError(f"{sequence} of scan '{self.id}' holds {kind}", fix="Give real numbers: np.abs(image)")
            array = np.asarray(image, dtype=np.float32)
            array = array.view() if array is image and array.flags.writeable else array
            array.flags.writeable = False
            images[sequence if isinstance(sequence, Modality) else Modality.parse(sequence)] = array
        shapes = {array.shape for array in images.values()}
        if len(shapes) != 1 or len(next(iter(shapes))) != 3:
            raise InputError(
                f"Scan '{self.id}' needs 3-D images of one shape",
                why=f"got {', '.join(f'{s} {a.shape}' for s, a in images.items())}",
                fix="Open the files with annofree.formats.open_scan, which resamples them to one grid",
            )
        affine = np.array(self.affine, dtype=np.float64)
        if affine.shape != (4, 4) or not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
            raise InputError(f"Scan '{self.id}' has no usable affine", why="it is singular or not 4x4")
        if axis_order(affine) != ((0, 1, 2), (False, False, False)):
            fix = "Give a nibabel image, whose axes are put in order, or arrays turned by annofree.scan.to_canonical"
            raise InputError(f"The arrays of scan '{self.id}' are not in RAS+ order by its affine", fix=fix)
        affine.flags.writeable = False
        held = MappingProxyType({s: images[s] for s in Modality if s in images}), MappingProxyType(dict(self.files))
        self.__dict__.update(images=held[0], affine=affine, files=held[1], notes=tuple(self.notes))
        self.__dict__["native"] = self.native or Grid(self.shape, affine)
        if self.brain is not None:
            brain = as_mask(self.brain, f"brain mask of scan '{self.id}'").view()
            if brain.shape != self.shape:
                raise InputError(f"The brain mask of scan '{self.id}' has shape {brain.shape}, its images {self.shape}")
            brain.flags.writeable = False
            self.__dict__["brain"] = brain

    def __reduce__(self) -> tuple[object, ...]:
        state = (self.id, dict(self.images), self.affine, self.native, self.brain, self.report, self.notes)
        return (Scan, (*state, dict(self.files), self.preparation))

    def __repr__(self) -> str:
        size = " x ".join(map(str, self.shape))
        edges = " x ".join(f"{edge:.3g}" for edge in self.spacing_mm)
        return f"<Scan '{self.id}': {', '.join(self.sequences)}; {size} voxels of {edges} mm>"

    @property
    def shape(self) -> tuple[int, ...]:
        """Array shape (X, Y, Z)."""
        return next(iter(self.images.values())).shape

    @property
    def grid(self) -> Grid:
        """The canonical grid of the arrays."""
        return Grid(self.shape, self.affine)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel edge lengths in mm along X, Y, Z."""
        return self.grid.spacing_mm

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        return self.grid.voxel_ml

    @property
    def sequences(self) -> tuple[Modality, ...]:
        """The sequences present, in the order T1, T1C, T2, FLAIR."""
        return tuple(self.images)

    def stack(self) -> NDArray[np.float32]:
        """All images, (4, X, Y, Z) in the order T1, T1C, T2, FLAIR; zeros for absent sequences."""
        absent = np.zeros(self.shape, dtype=np.float32)
        return np.stack([self.images.get(sequence, absent) for sequence in Modality])

    def require(self, *sequences: Modality, why: str = "the method") -> None:
        """Raise `MissingSequence` unless all the sequences are present."""
        missing = [s for s in sequences if s not in self.images]
        if missing:
            told = tuple(f"{sequence} was left out" for sequence in missing)
            left = [note.rstrip(".") for note in self.notes if note.startswith(told)]
            raise MissingSequence(
                f"Scan '{self.id}' lacks {', '.join(missing)}, which {why} needs",
                why="; ".join([f"it has {', '.join(self.sequences)}", *left]),
                fix="Add the file, rename it (t1, t1ce, t2, flair) if its name hides it, or choose another method "
                "(annofree methods)",
            )

    def foreground(self) -> NDArray[np.bool_]:
        """The brain mask where given, else the voxels that are not background in any sequence; worked out once."""
        if self.brain is not None:
            return self.brain
        return self.once("foreground", lambda: reduce(np.logical_or, map(foreground, self.images.values())))

    def once(self, name: str, find: Callable[[], _Found]) -> _Found:
        """What follows from images and brain mask alone: found on the first call, kept and read-only after it."""
        kept: dict[str, Any] = self.__dict__.setdefault("_found", {})
        if name not in kept:
            kept[name] = find()
            if isinstance(kept[name], np.ndarray):
                kept[name].flags.writeable = False
        found: _Found = kept[name]
        return found

    def to_native(self, array: Array) -> Array:
        """A result on this scan's grid, in the axis order of the reference file."""
        assert self.native is not None
        return to_native(array, self.native)

    def within(self, box: Box) -> Scan:
        """The part of the scan in a box of its voxels, a view of it; `native` stays the file's grid."""
        images = {name: image[box] for name, image in self.images.items()}
        brain = None if self.brain is None else self.brain[box]
        return self.replace(images=images, brain=brain, affine=self.grid.within(box).affine)

    def replace(self, **changes: Any) -> Scan:
        """A copy with some attributes changed."""
        copy = replace(self, **changes)
        if not changes.keys() & {"images", "brain", "affine"}:
            copy.__dict__["_found"] = self.__dict__.setdefault("_found", {})
        return copy
