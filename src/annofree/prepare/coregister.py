"""The step that brings the sequences of one study together."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from annofree.anatomy.information import one_thread
from annofree.errors import InputError
from annofree.grid import apply_affine
from annofree.masks import away_mm
from annofree.preparation import StepRecord
from annofree.prepare.rigid import Movement, register
from annofree.prepare.work import Work
from annofree.progress import stage
from annofree.scan import Modality
from annofree.settings import Settings

#: Patients move by less between two sequences of one visit (headers of one study were 8 to 23 mm apart).
_FAR_MM, _TURNED_DEG = 60.0, 35.0


class Coregister(Settings):
    """Rigid co-registration of every sequence to the one on which the brain is outlined best.

    The inverse of a movement is its matrix's inverse; `annofree.prepare.natives` uses it to draw results on every grid.

    Attributes:
        mode: "rigid", or "headers" to take the headers' word.
        margin_mm: The brain's mask is grown by so much to say where images have to agree; a mask that hugs the brain
            lets tumours and the skull's edge pull.
        least_information: Nats; two images of one head that tell less about each other do not belong together.
        doubtful_information: Nats below which a warning asks whether both are of one person. T1 and another sequence of
            one person share 0.35 and more, T1 and FLAIR of two people 0.10 to 0.20.
    """

    mode: Literal["rigid", "headers"] = "rigid"
    margin_mm: float = 10.0
    least_information: float = 0.1
    doubtful_information: float = 0.27

    def __call__(self, work: Work) -> Work:
        """Find the movements of all sequences but one."""
        others = [name for name in work.images if name != work.hub]
        if not others:
            return work
        if self.mode == "headers":
            did = "Nothing was registered; positions are the headers'."
            return work.after(StepRecord("co-registration", did, self.model_dump()))
        stage("bringing sequences together")
        hub, grid = work.hub, work.grids[work.hub]
        region = None if work.brain is None else away_mm(work.brain, grid.spacing_mm) <= self.margin_mm

        def find(name: Modality) -> Movement:
            return register(work.images[hub], grid, work.images[name], work.grids[name], region)

        with one_thread(), ThreadPoolExecutor(2) as pool:
            found = dict(zip(others, pool.map(find, others), strict=True))
        self._refuse_strangers(work, found)
        movements = {hub: np.eye(4), **{name: movement.matrix for name, movement in found.items()}}
        back = np.linalg.inv(movements[work.reference])
        points = self._points(work)
        moved = {name: float(np.mean(movement.moved_mm(points))) for name, movement in found.items()}
        told = ", ".join(f"{name} by {moved[name]:.1f} mm" for name in others)
        record = StepRecord(
            "co-registration",
            f"Sequences were registered rigidly to {hub}: {told} on average over the brain.",
            self.model_dump(),
            {f"{name} moved_mm": moved[name] for name in others}
            | {f"{name} information_nats": found[name].information for name in others}
            | {f"{name} information_before_nats": found[name].start_information for name in others},
            tuple(warning for name in others for warning in self._warnings(name, found[name], moved[name])),
        )
        return work.after(record, movements={name: matrix @ back for name, matrix in movements.items()})

    def _points(self, work: Work) -> NDArray[np.float64]:
        """Some hundred points of the brain, or of the image, in the hub's world."""
        where = np.ones(work.images[work.hub].shape, bool) if work.brain is None else work.brain
        voxels = np.argwhere(where)
        affine = work.grids[work.hub].affine
        return np.asarray(apply_affine(affine, voxels[:: max(1, len(voxels) // 500)]), np.float64)

    def _warnings(self, name: Modality, movement: Movement, moved_mm: float) -> list[str]:
        turned = np.rad2deg(np.arccos(np.clip((np.trace(movement.matrix[:3, :3]) - 1) / 2, -1, 1)))
        said = []
        if moved_mm > _FAR_MM or turned > _TURNED_DEG:
            said.append(f"{name} was moved by {moved_mm:.0f} mm and turned by {turned:.0f} degrees; look at it")
        if movement.information < self.doubtful_information:
            said.append(
                f"{name} tells only {movement.information:.2f} nats about the sequence it was registered to, and 0.35 "
                "are usual: check that both are of the same person"
            )
        return said

    def _refuse_strangers(self, work: Work, found: dict[Modality, Movement]) -> None:
        for name, movement in found.items():
            if movement.information < self.least_information:
                raise InputError(
                    f"Co-registration: {name} of scan '{work.study.id}' does not fit {work.hub}",
                    file=work.study.files.get(str(name)),
                    why=f"the images tell {movement.information:.2f} nats about each other, at least "
                    f"{self.least_information:g} are expected of one head",
                    fix="Check that both are of the same visit, leave one out, or take the headers' word "
                    "(--coregister headers)",
                )
