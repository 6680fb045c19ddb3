"""The nouns of the input side: `Scan`, `Truth`, `Cohort` (`Grid` and `Modality` have files of their own).

Arrays are `(X, Y, Z)` in closest-canonical RAS+ axis order; affines map voxel indices to scanner millimetres (RAS+).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import reduce
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError, LeakError, MissingSequence, some
from annofree.grid import Array, Box, Grid, axis_order, canonical_grid, to_canonical, to_native
from annofree.masks import as_mask, faces
from annofree.modality import Modality
from annofree.preparation import Preparation
from annofree.progress import stage, working_on

_Found = TypeVar("_Found")

__all__ = [
    "Cohort",
    "Grid",
    "Modality",
    "Origin",
    "Scan",
    "Truth",
    "canonical_grid",
    "foreground",
    "learning",
    "scoring",
    "to_canonical",
    "to_native",
]


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


_scoring: ContextVar[str | None] = ContextVar("annofree_scoring", default=None)


@contextmanager
def scoring(purpose: str = "scoring") -> Iterator[None]:
    """Within this context truth may be read: scoring, or a fit of tier S."""
    token = _scoring.set(purpose)
    try:
        yield
    finally:
        _scoring.reset(token)


@contextmanager
def learning() -> Iterator[None]:
    """Within this context truth may not be read, even when scoring surrounds it."""
    token = _scoring.set(None)
    try:
        yield
    finally:
        _scoring.reset(token)


class Truth:
    """An expert's label map, readable by scoring only.

    Labels follow BraTS 2023: 0 background, 1 core (NCR/NET), 2 oedema, 3 enhancing.

    Args:
        scan_id: The scan it belongs to.
        load: Returns the uint8 (X, Y, Z) labels in canonical order; called on first allowed reading.
        grid: The canonical grid of the labels.
        regions: The regions it tells apart: ("WT", "TC", "ET"), or ("WT",) for a binary mask.
        source: Its file.
        convention: How its labels were understood, for example "labels 0/1/2/4, 4 read as enhancing".
        note: What else a reader of the scores should know.
    """

    def __init__(
        self,
        scan_id: str,
        load: Callable[[], NDArray[np.uint8]],
        grid: Grid,
        regions: tuple[str, ...] = ("WT", "TC", "ET"),
        source: str | None = None,
        convention: str = "",
        note: str = "",
    ) -> None:
        self.scan_id, self.grid, self.regions, self.source = scan_id, grid, regions, source
        self.convention, self.note = convention, note
        self._load = load

    @property
    def labels(self) -> NDArray[np.uint8]:
        """The labels, uint8 (X, Y, Z).

        Raises:
            LeakError: Read outside `annofree.scan.scoring()`.
        """
        if _scoring.get() is None:
            raise LeakError(
                f"Truth of '{self.scan_id}' was read outside scoring",
                file=self.source,
                why="masks are for scoring, or for fits of tier S, only",
                fix="Wrap the scoring code in annofree.scan.scoring()",
            )
        return self._load()

    def __reduce__(self) -> tuple[object, ...]:
        raise LeakError(f"Truth of '{self.scan_id}' may not be copied to another process")


@dataclass(frozen=True)
class Origin:
    """What a scan will be read from, known without reading it.

    Attributes:
        files: Pairs of a role ("FLAIR", "image", "brain mask") and a file.
        options: What else decides how the files become a scan.
    """

    files: tuple[tuple[str, Path], ...]
    options: Mapping[str, Any] = field(default_factory=dict)


class Cohort:
    """Many scans, loaded one at a time when iterated.

    Args:
        loaders: Scan id to a function that loads the scan; one with an attribute `origin` tells where it comes from.
        name: What to call the cohort in messages.
        opened: The arguments of `open_cohort`, with which the same cohort can be opened again.

    Example:
        >>> import numpy as np
        >>> scan = Scan("p1", {Modality.T2: np.ones((2, 2, 2), np.float32)}, np.eye(4))
        >>> Cohort.of([scan]).ids
        ('p1',)
    """

    def __init__(
        self,
        loaders: Mapping[str, Callable[[], Scan]],
        name: str = "cohort",
        opened: Mapping[str, Any] | None = None,
    ) -> None:
        self._loaders = dict(loaders)
        self.name = name
        self.opened = opened

    @classmethod
    def of(cls, scans: Iterable[Scan], name: str = "cohort") -> Cohort:
        """A cohort of scans already in memory."""
        loaders: dict[str, Callable[[], Scan]] = {}
        for scan in scans:
            if scan.id in loaders:
                raise InputError(f"Two scans of the cohort are called '{scan.id}'", fix="Give each scan its own id")
            loaders[scan.id] = _Held(scan)
        return cls(loaders, name)

    def __repr__(self) -> str:
        return f"<Cohort '{self.name}': {len(self)} scan{'s' * (len(self) != 1)}, {some(self.ids)}>"

    @property
    def ids(self) -> tuple[str, ...]:
        """Scan ids in order."""
        return tuple(self._loaders)

    def __len__(self) -> int:
        return len(self._loaders)

    def __iter__(self) -> Iterator[Scan]:
        for scan_id in self._loaders:
            yield self[scan_id]

    def __getitem__(self, scan_id: str) -> Scan:
        if scan_id not in self._loaders:
            raise InputError(f"No scan '{scan_id}' in {self.name}", why=f"it holds {', '.join(self.ids[:8])}")
        working_on(scan_id)
        stage("reading")
        return self._loaders[scan_id]()

    def begin(self, scan_id: str) -> None:
        """Let the reading of a scan begin beside what the caller does before it asks for it, where that can be."""
        if hasattr(self._loaders[scan_id], "begin"):
            self._loaders[scan_id].begin()  # type: ignore[attr-defined]

    def origin(self, scan_id: str) -> Origin | None:
        """Where a scan comes from, without reading it; None where only reading tells."""
        found: Origin | None = getattr(self._loaders[scan_id], "origin", None)
        return found

    def examination(self, scan_id: str) -> tuple[str, str] | None:
        """A key of the person and the day (YYYYMMDD or nothing), where the files say it; not to be shown."""
        found: tuple[str, str] | None = getattr(self._loaders[scan_id], "examination", None)
        return found

    def report(self, scan_id: str) -> str | None:
        """A scan's report, without reading its images."""
        found: str | None = getattr(self._loaders[scan_id], "report", None)
        return found

    def group(self, scan_id: str) -> str | None:
        """The group of the person, where the data set says it."""
        found: str | None = getattr(self._loaders[scan_id], "group", None)
        return found

    def study(self, scan_id: str) -> Any:
        """A scan's images as they lie (a `formats.study.Study`), read but not prepared.

        Raises:
            InputError: The files cannot be used, or the scan came from memory.
        """
        loader = self._loaders[scan_id]
        if not hasattr(loader, "study"):
            raise InputError(f"Scan '{scan_id}' lies in memory", why="it has no files to look at")
        return loader.study()

    def subset(self, ids: Iterable[str]) -> Cohort:
        """The scans with these ids, in this order, still lazy."""
        return Cohort({i: self._loaders[i] for i in ids}, self.name, self.opened)


@dataclass(frozen=True)
class _Held:
    scan: Scan

    @property
    def report(self) -> str | None:
        return self.scan.report

    def __call__(self) -> Scan:
        return self.scan
