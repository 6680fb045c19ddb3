"""The step that finds the brain: the first rung of a ladder that holds."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.formats.brain_mask import open_brain_mask
from annofree.formats.nifti import read_labels, write_volume
from annofree.masks import faces
from annofree.preparation import StepRecord
from annofree.prepare.pictures import outline_picture
from annofree.prepare.work import Work
from annofree.progress import stage
from annofree.scan import Grid, Modality, canonical_grid, foreground
from annofree.settings import Settings

#: Litres: the smallest and the largest brain of an adult, with its fluid, at the edge of what is believed.
SMALL_L, LARGE_L = 0.9, 2.1
#: Two outlines of one brain differ by less.
_WHOLE_PART = 0.8
#: Command lines of outside programs: input file, output stem; the mask that they write.
_PROGRAMS = {
    "hd-bet": (
        ("hd-bet", "-i", "{image}", "-o", "{out}.nii.gz", "-device", "cpu", "--disable_tta", "--save_bet_mask"),
        "{out}_bet.nii.gz",
    ),
    "synthstrip": (("mri_synthstrip", "-i", "{image}", "-m", "{out}_mask.nii.gz"), "{out}_mask.nii.gz"),
}


class FindBrain(Settings):
    """Outlines the brain on one sequence; the rigid movements carry the mask to the others.

    Rungs: a mask that was given; sequences that are stripped already; the network on T1, else T1C, FLAIR, T2; HD-BET or
    SynthStrip where the user asks for it and has it. Nothing is undone on the way back: outside the brain there is no
    finding.

    Attributes:
        by: "auto" (the rungs in order), or the one rung to use for heads: "network", "hd-bet", "synthstrip".
        unsure: The part of the brain's volume for which the network may be unsure (0.1 to 0.9) without a warning.
        on_faces: The part of the brain's voxels that may lie on a face of the image without a warning; a head that is
            only half there has many.
    """

    by: Literal["auto", "network", "hd-bet", "synthstrip"] = "auto"
    unsure: float = 0.12
    on_faces: float = 0.03

    def __call__(self, work: Work) -> Work:
        """Find the brain."""
        stage("finding the brain")
        on, quality = work.hub, {}
        if work.study.brain is not None and self.by == "auto":
            on = self._grid_of_mask(work)
            given = {on: work.images[on]}
            brain, _ = open_brain_mask(work.study.brain, work.study.id, work.grids[on], given)
            how = "taken from the mask that was given"
        elif self.by == "auto" and (stripped := self._stripped(work)) is not None:
            on, brain = stripped
            how = f"what is not background of {on}, which is stripped already"
        elif self.by in ("hd-bet", "synthstrip"):
            brain = _outside_program(self.by, work.images[on], work.grids[on])
            how = f"outlined on {on} by {self.by}"
        else:
            brain, doubt = network_brain(work.images[on], work.grids[on])
            quality["unsure_part"] = doubt
            how = f"outlined on {on} by the brain network"
        litres = float(brain.sum()) * work.grids[on].voxel_ml / 1000
        quality = {"brain_litres": litres, "on_faces_part": float(faces(brain).sum() / max(1, brain.sum())), **quality}
        record = StepRecord(
            "brain",
            f"The brain was {how}: {litres:.2f} litres."
            if not how.startswith("what")
            else f"The brain is {how}: {litres:.2f} litres.",
            self.model_dump(),
            quality,
            tuple(self._warnings(quality)),
            outline_picture(work.images[on], brain, work.grids[on].spacing_mm),
        )
        return work.after(record, brain=brain, brain_on=on)

    def _grid_of_mask(self, work: Work) -> Modality:
        """The sequence whose grid the mask lies on, else the reference."""
        given = work.study.brain
        if isinstance(given, np.ndarray) or given is None:
            return work.reference
        own = canonical_grid(read_labels(given)[1])
        return next((name for name in (work.reference, *work.grids) if own.same_as(work.grids[name])), work.reference)

    def _stripped(self, work: Work) -> tuple[Modality, NDArray[np.bool_]] | None:
        """A sequence without skull, and its filled foreground: the hub if it shows about as much as any other."""
        names = [name for name in dict.fromkeys((work.hub, *work.images)) if name not in work.study.heads]
        brains = {name: filled(foreground(work.images[name])) for name in names}
        litres = {name: float(brain.sum()) * work.grids[name].voxel_ml / 1000 for name, brain in brains.items()}
        # Where the hub is a slab over part of the brain, its edge would be taken for the brain's.
        name = next((name for name in names if litres[name] >= _WHOLE_PART * max(litres.values())), None)
        return None if name is None else (name, brains[name])

    def _warnings(self, quality: dict[str, float]) -> list[str]:
        litres, said = quality["brain_litres"], []
        if not SMALL_L <= litres <= LARGE_L:
            size = "small" if litres < SMALL_L else "large"
            said.append(f"the brain is {size} ({litres:.2f} litres); look at its outline, or give a mask")
        if quality.get("unsure_part", 0.0) > self.unsure:
            said.append(f"the network is unsure about {quality['unsure_part']:.0%} of the brain; look at its outline")
        if quality["on_faces_part"] > self.on_faces:
            said.append(
                f"{quality['on_faces_part']:.0%} of the brain's voxels lie on the edge of the image; "
                "part of the brain may lie outside it"
            )
        return said


def network_brain(image: NDArray[np.float32], grid: Grid) -> tuple[NDArray[np.bool_], float]:
    """The brain of a whole head on its canonical grid, (X, Y, Z), by the network: its largest part, filled.

    The second answer is the part of its volume that the network is unsure about.

    Raises:
        InputError: The network sees no brain, or something far too small or too large to be one.
    """
    from annofree.prepare.brain_network import brain_probability, largest_part

    probability = brain_probability(image)
    brain = filled(largest_part(probability > 0.5))
    litres = float(brain.sum()) * grid.voxel_ml / 1000
    if not SMALL_L / 3 <= litres <= 1.5 * LARGE_L:
        few = "only " if litres < SMALL_L else ""
        raise InputError(
            f"Brain: {few}{litres:.2f} litres of brain were found in the image",
            why=f"an adult's has {SMALL_L:g} to {LARGE_L:g}; this may be another body part, CT, or a slab",
            fix="Check the file, or give a brain mask with --brain-mask FILE",
        )
    doubtful = ((probability > 0.1) & (probability < 0.9)).sum()
    return brain, float(doubtful / brain.sum())


def filled(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask with its holes filled: slice by slice too, for the lowest slice is open below."""
    from scipy import ndimage

    out = np.asarray(ndimage.binary_fill_holes(mask))
    for level in range(out.shape[2]):
        out[:, :, level] = ndimage.binary_fill_holes(out[:, :, level])
    return out


def require_program(by: str) -> None:
    """Refuse by an `InputError` a way to find brains, as `FindBrain.by`, whose program is not installed here."""
    if by in _PROGRAMS and shutil.which(_PROGRAMS[by][0][0]) is None:
        fix = "Install it, or leave --brain out"
        raise InputError(f"Brain: there is no program '{_PROGRAMS[by][0][0]}'", fix=fix)


def _outside_program(name: str, image: NDArray[np.float32], grid: Grid) -> NDArray[np.bool_]:
    require_program(name)
    command, written = _PROGRAMS[name]
    with tempfile.TemporaryDirectory() as folder:
        places = {"image": f"{folder}/head.nii.gz", "out": f"{folder}/brain"}
        write_volume(places["image"], image, grid)
        ended = subprocess.run([part.format(**places) for part in command], capture_output=True, text=True, check=False)
        mask = Path(written.format(**places))
        if ended.returncode != 0 or not mask.is_file():
            why = (ended.stderr or ended.stdout).strip().splitlines()[-1:] or [f"it ended with {ended.returncode}"]
            raise InputError(f"Brain: {command[0]} failed", why=why[0][:200], fix="Run it by hand, or leave it out")
        return open_brain_mask(mask, name, grid, {})[0]
