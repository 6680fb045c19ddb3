"""A study as it lies in its files: every sequence on its own grid, nothing registered, nothing stripped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.formats.brain_mask import mask_file, open_brain_mask, why_whole_head
from annofree.formats.case import Case
from annofree.formats.geometry import refuse_impossible_brain, refuse_impossible_view
from annofree.formats.grids import MIN_OVERLAP, choose_reference, overlap, resample
from annofree.formats.nifti import Volume
from annofree.formats.npy import NpyCase
from annofree.intensity import air_level
from annofree.masks import bounding_box, faces
from annofree.processes import side_by_side
from annofree.scan import Grid, Modality, Scan, canonical_grid, to_canonical


@dataclass(frozen=True, eq=False)
class Study:
    """One visit of one person before preparation.

    Attributes:
        id: Name of the scan, as the user knows it.
        images: Float32 arrays in closest-canonical RAS+ order, each on its own grid.
        grids: Canonical grid of each image.
        natives: Grid of each file.
        heads: Why a sequence looks like a head with its skull, for those that do.
        brain: A brain mask that the user gave: a file, or a boolean array on the reference's grid.
        report: The radiology report's text, if any.
        notes: What is known about the files, in sentences.
        files: Where each sequence came from.
        sized: Whether the files state how large voxels are.
    """

    id: str
    images: Mapping[Modality, NDArray[np.float32]]
    grids: Mapping[Modality, Grid]
    natives: Mapping[Modality, Grid]
    heads: Mapping[Modality, str] = field(default_factory=dict)
    brain: Path | NDArray[Any] | None = None
    report: str | None = None
    notes: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    sized: bool = True

    @property
    def raw(self) -> bool:
        """Whether a skull has to come off or sequences have to be brought together."""
        return bool(self.heads or self.elsewhere)

    @property
    def elsewhere(self) -> tuple[Modality, ...]:
        """The sequences that lie on another grid than the first one."""
        first = next(iter(self.grids.values()))
        return tuple(name for name, grid in self.grids.items() if not grid.same_as(first))


#: What makes a scan of a raw study, such as `annofree.prepare.Recipe()`.
Prepare = Callable[[Study], Scan]


def read_study(case: Case, sequence: str | None, brain_mask: Any, report: str | None) -> Study:
    """The images of a case as they lie in its files; arguments as of `annofree.formats.scans.open_scan`.

    Raises:
        InputError: The files cannot be used, or their field of view is none that a head has.
    """
    volumes, notes = case.read(sequence)
    with ThreadPoolExecutor(len(volumes)) as pool:
        arrays = dict(zip(volumes, pool.map(_canonical, volumes.values()), strict=True))
    grids = {name: canonical_grid(volume.grid) for name, volume in volumes.items()}
    sized = type(case) is Case  # arrays and slices state no size
    if sized:
        for name, own in grids.items():
            refuse_impossible_view(own, volumes[name].source)
    looked = () if isinstance(case, NpyCase) else tuple(volumes)
    whys = dict(zip(looked, side_by_side(lambda name: why_whole_head(arrays[name], grids[name]), looked), strict=True))
    return Study(
        id=case.id,
        images=arrays,
        grids=grids,
        natives={name: volume.grid for name, volume in volumes.items()},
        heads={name: why for name, why in whys.items() if why},
        brain=brain_mask if isinstance(brain_mask, np.ndarray) else mask_file(brain_mask, case.folder, case.brain_mask),
        report=report,
        notes=(*notes, *(note for volume in volumes.values() for note in volume.notes)),
        files={str(name): volume.source for name, volume in volumes.items()},
        sized=sized,
    )


def scan_of(study: Study, prepare: Prepare | None) -> Scan:
    """The study prepared, where it is raw and somebody can; else as it lies."""
    if prepare is not None and study.raw:
        return prepare(study)
    return as_it_lies(study)


def as_it_lies(study: Study) -> Scan:
    """The study without preparation: stripped already, or with a mask; positions are the headers'.

    Raises:
        InputError: It shows a whole head and has no mask, or its sequences cannot be of one examination.
    """
    reference = choose_reference(study.grids)
    grid = study.grids[reference]
    said = list(study.notes)
    images: dict[Modality, NDArray[np.float32]] = {}
    for name, array in study.images.items():
        if not study.grids[name].same_as(grid):
            require_overlap(study, reference, name)
            array = resample(array, study.grids[name], grid, 1, outside=background(array))
            said.append(
                f"{name} lay on another grid and was resampled linearly onto that of {reference}; "
                "positions are the headers', nothing was registered."
            )
        images[name] = array
    brain, cut = (None, None) if study.brain is None else open_brain_mask(study.brain, study.id, grid, images)
    if study.heads and brain is None:
        name, why = next(iter(study.heads.items()))
        raise InputError(
            f"{', '.join(study.heads)} of scan '{study.id}' "
            f"{'shows' if len(study.heads) == 1 else 'show'} a whole head with skull",
            file=study.files[str(name)],
            why=why,
            fix="Prepare it first (annofree prepare), or give a brain mask with --brain-mask FILE",
        )
    if brain is not None:
        given = study.brain
        named = "an array" if given is None or isinstance(given, np.ndarray) else given.name  # pages show no folders
        said.append(f"Brain mask: {named}{f'; {cut}' if cut else ''}.")
        for name in study.heads:
            air = air_level(images[name])
            images[name] = np.where(brain, images[name], air)
            said.append(f"{name} showed the whole head; everything outside the brain mask was set to {air:.4g}.")
    scan = Scan(
        id=study.id,
        images=images,
        affine=grid.affine,
        native=study.natives[reference],
        brain=brain,
        report=study.report,
        notes=tuple(said),
        files=study.files,
    )
    if study.sized:
        refuse_impossible_brain(grid, scan.foreground(), study.files[str(reference)])
        if brain is None:
            scan.once("whole head", lambda: None)  # else the scan was refused above
    return scan


def _canonical(volume: Volume) -> NDArray[np.float32]:
    turned = to_canonical(volume.array, volume.grid)
    array, box = np.zeros(turned.shape, dtype=np.float32), bounding_box(turned)
    if box is not None:  # memory that nobody writes to is no memory: a head fills less than half of its image
        array[box] = turned[box]
    return array


def require_overlap(study: Study, first: Modality, second: Modality) -> None:
    """Refuse two sequences whose fields of view share too little to be of one examination of one head."""
    shared = overlap(study.grids[first], study.grids[second])
    if shared < MIN_OVERLAP:
        raise InputError(
            f"The fields of view of {first} and {second} of scan '{study.id}' hardly overlap",
            file=study.files[str(second)],
            why=f"they share {shared:.0%} of the smaller one",
            fix="Check that both are of the same visit; register them, or leave one out",
        )


def background(array: NDArray[Any]) -> float:
    """The value of an image where nothing is."""
    outer = faces(array)
    values, counts = np.unique(outer, return_counts=True)
    return float(values[np.argmax(counts)]) if counts.max() > 0.2 * outer.size else float(np.median(outer))
