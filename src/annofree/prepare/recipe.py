"""The recipe: a raw study in, a scan that every method understands out, with the way back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import replace
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import PrivateAttr

from annofree.errors import InputError
from annofree.formats import open_cohort
from annofree.formats.grids import choose_reference
from annofree.formats.outfolder import read_json
from annofree.formats.study import Study
from annofree.intensity import air_level
from annofree.preparation import Preparation, StepRecord
from annofree.prepare.alarm import CompareWithTemplate
from annofree.prepare.bias import CorrectBias
from annofree.prepare.brain_ladder import FindBrain
from annofree.prepare.check import CheckInput
from annofree.prepare.coregister import Coregister
from annofree.prepare.regrid import Regrid
from annofree.prepare.work import Step, Work
from annofree.scan import Cohort, Modality, Scan
from annofree.settings import Settings


class Recipe(Settings):
    """What is done to a raw study, step by step.

    input -> brain -> co-registration -> grid -> bias field -> template (alarm). Arrays are in closest-canonical order
    from the start, and the scan lies on the grid of one of its own files: results go back by flips and transposes.

    Attributes:
        reference: The sequence on whose grid the scan lies; None takes the finest, FLAIR among equals.
        brain: As `FindBrain.by`.
        coregister: As `Coregister.mode`.
        bias: As `CorrectBias.mode`.
        native: "reference" writes masks on that grid; "all" also on the own grid of every other sequence.

    Example:
        >>> [step.__class__.__name__ for step in Recipe().steps]
        ['CheckInput', 'FindBrain', 'Coregister', 'Regrid', 'CorrectBias', 'CompareWithTemplate']
    """

    reference: Modality | None = None
    brain: Literal["auto", "network", "hd-bet", "synthstrip"] = "auto"
    coregister: Literal["rigid", "headers"] = "rigid"
    bias: Literal["off", "n4"] = "off"
    native: Literal["reference", "all"] = "reference"

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps with their parameters, in order."""
        return (
            CheckInput(),
            FindBrain(by=self.brain),
            Coregister(mode=self.coregister),
            Regrid(),
            CorrectBias(mode=self.bias),
            CompareWithTemplate(),
        )

    def __call__(self, study: Study) -> Scan:
        """Prepare a study.

        Raises:
            InputError: A step cannot do its work; the sentence names the step, its number and what to do.
        """
        wanted = self.reference
        reference = wanted if wanted is not None and wanted in study.images else choose_reference(study.grids)
        work = Work.begin(study, reference)
        for step in self.steps:
            work = step(work)
        return as_scan(work, every_grid=self.native == "all")


def as_scan(work: Work, *, every_grid: bool = False) -> Scan:
    """The scan at the end of the steps."""
    assert work.brain is not None
    study, grid = work.study, work.grids[work.reference]
    preparation = Preparation(work.reference, work.movements, work.steps, study.natives, every_grid)
    done = [step.did for step in work.steps if step.name != "input"]
    return Scan(
        id=study.id,
        images={name: np.where(work.brain, image, air_level(image)) for name, image in work.images.items()},
        affine=grid.affine,
        native=study.natives[work.reference],
        brain=work.brain,
        report=study.report,
        notes=(*study.notes, *done, *(f"Warning, {warning}." for warning in preparation.warnings)),
        files=study.files,
        preparation=preparation,
    )


def refuse_gone(files: Iterable[str]) -> None:
    """Refuse to read images again that were moved: nobody typed their place now, so nobody can correct it."""
    if gone := [file for file in files if not Path(file).exists()]:
        fix = "Put the images back there for as long as it takes, or segment them again where they are"
        raise InputError("Images are not where they were when they were segmented", file=gone[0], fix=fix)


def open_as_before(opened: Mapping[str, Any]) -> Cohort:
    """The cohort whose `Cohort.opened` was kept, opened again.

    Raises:
        InputError: Its files are gone.
    """
    refuse_gone(opened["source"])
    prepare = opened.get("prepare")
    return open_cohort(**{**opened, "prepare": None if prepare is None else Recipe(**prepare)})


def opened_again(folder: Path, scan_id: str) -> Cohort:
    """The scans that the run which made a result was given.

    Raises:
        InputError: Nobody knows, or they are gone.
    """
    for path in sorted(folder.glob("run*.json")):
        told = read_json(path)
        if isinstance(told, dict) and told.get("opened") and scan_id in told.get("scans", ()):
            refuse_gone(told["opened"]["source"])
            return _same_cohort(json.dumps(told["opened"]))
    raise InputError(
        f"Where the images of '{scan_id}' lie is not known",
        file=folder,
        why="no run.json in the folder names them",
        fix="Segment the scan again with annofree segment",
    )


@lru_cache(2)
def _same_cohort(opened: str) -> Cohort:
    """Kept for the next scan, of two results that are compared too: the headers of all studies are read for it."""
    return open_as_before(json.loads(opened))


def again(provenance: Mapping[str, Any]) -> Again | None:
    """How to prepare the files of a stored result as they were prepared then; None where they were not."""
    record = provenance.get("preparation")
    return None if record is None else Again(record=record)


class Again(Settings):
    """The preparation of an earlier run done again from its record, without looking for anything: seconds less.

    Attributes:
        record: What `Preparation.to_dict` gave.
    """

    record: Mapping[str, Any]

    def __call__(self, study: Study) -> Scan:
        """Draw the study as it was drawn then; the brain is the mask that `open_scan` was given."""
        told = Preparation.from_dict(self.record)
        assert isinstance(study.brain, np.ndarray)
        brain = study.brain != 0
        start = Work.begin(study, told.reference)
        work = Regrid()(
            start.after(StepRecord("brain", ""), brain=brain, brain_on=told.reference, movements=told.movements)
        )
        bias = [step.parameters for step in told.steps if step.name == "bias field"]
        if bias:
            work = CorrectBias(**bias[0])(work)
        scan = as_scan(work)
        return scan.replace(preparation=replace(told, natives=study.natives), notes=study.notes)


class Remembered(Recipe):
    """A recipe for a cohort whose scans are read several times, as a fit reads them.

    What was found the first time (brain and movements, or why a scan was refused) is kept by the scan's id, a megabyte
    each; later readings draw the same images from it in a hundredth of the time.
    """

    _found: dict[str, InputError | tuple[Preparation, tuple[str, ...], tuple[int, ...], NDArray[np.uint8]]] = (
        PrivateAttr(default_factory=dict)
    )

    def __call__(self, study: Study) -> Scan:
        """Prepare a study, or draw it as it was prepared before.

        Raises:
            InputError: A step could not do its work.
        """
        found = self._found.get(study.id)
        if isinstance(found, InputError):
            raise copy(found)  # which holds no images by its traceback
        if found is not None:
            told, notes, shape, packed = found
            brain = np.unpackbits(packed, count=prod(shape)).reshape(shape)
            drawn = Again(record=told.to_dict())(replace(study, brain=brain))
            return drawn.replace(preparation=told, notes=notes)
        try:
            scan = super().__call__(study)
        except InputError as error:
            self._found[study.id] = copy(error)
            raise
        assert scan.brain is not None
        assert scan.preparation is not None
        self._found[study.id] = scan.preparation, scan.notes, scan.shape, np.packbits(scan.brain)
        return scan
