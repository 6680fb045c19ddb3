"""The two small files of anatomy that come with the package, made from the MNI template and from label maps.

    python benchmarks/make_anatomy.py template
    python benchmarks/make_anatomy.py lobes FOLDER_OF_LABEL_MAPS

Lobes: deep grey matter, hippocampus and amygdala, cerebellum, brainstem and ventricles lie where most of twenty label
maps have them (SynthSeg's training maps, Apache-2.0; Billot et al., Medical Image Analysis 86, 2023), each moved to the
template by its own affine and counted with its mirror image, because the template is symmetric. The cerebral lobes are
told apart by their sulci, drawn as surfaces through where they lie in MNI space: central sulcus, Sylvian fissure,
parieto-occipital sulcus, and the line to the preoccipital notch. White matter belongs to the lobe between whose
surfaces it lies.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from annofree.anatomy.align import register_to_mni
from annofree.anatomy.coarse import block_mean, coarse_brain
from annofree.anatomy.regions import FILE, LOBES, UNPAIRED
from annofree.anatomy.template import COARSE_FILE, STEPS, template
from annofree.grid import Grid, canonical_grid, to_canonical
from annofree.masks import components
from annofree.scan import Modality, Scan

#: Voxels of the template that one voxel of the map of lobes spans along an edge.
_STEP = 2

#: FreeSurfer's numbers of what the label maps vote on.
_STRUCTURES = {
    "Deep grey": (10, 11, 12, 13, 26, 28, 49, 50, 51, 52, 58, 60, 85),
    "Temporal": (17, 18, 53, 54),
    "Cerebellum": (7, 8, 46, 47),
    "Brainstem": (16,),
    "Fluid": (4, 5, 14, 15, 24, 31, 43, 44, 63, 72),
    "Cerebrum": (2, 3, 25, 41, 42, 57, 77),
}
#: Grey levels that make a label map look like T1: white, grey and fluid, and what lies between them.
_T1 = {2: 1.0, 41: 1.0, 7: 1.0, 46: 1.0, 16: 0.9, 28: 0.85, 60: 0.85, 13: 0.85, 52: 0.85, 10: 0.75, 49: 0.75, 12: 0.7}
_T1 |= {51: 0.7, 11: 0.65, 50: 0.65, 26: 0.65, 58: 0.65, 25: 0.8, 57: 0.8, 77: 0.8, 85: 0.8, 31: 0.4, 63: 0.4, 30: 0.4}
_T1 |= {3: 0.6, 42: 0.6, 8: 0.6, 47: 0.6, 17: 0.6, 18: 0.6, 53: 0.6, 54: 0.6, 62: 0.4}
_T1 |= {4: 0.2, 5: 0.2, 14: 0.2, 15: 0.2, 24: 0.2, 43: 0.2, 44: 0.2, 72: 0.2}

#: The callosum ends so far from the midline and from its midline section; the cingulate gyrus lies so near to it.
_CALLOSUM_MM, _AROUND_MM, _CINGULATE_MM = 10.0, 4.0, 13.0

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


def make_template() -> dict[str, NDArray[np.generic]]:
    """What the file holds, from the template itself."""
    brain = template()
    t1, share, affine = coarse_brain(brain.t1, brain.brain, brain.affine)
    grey, white, inside = (
        block_mean(volume, np.array([2, 2, 2])) for volume in (brain.grey, brain.white, brain.brain.astype(np.float32))
    )
    fluid = np.clip(inside - grey - white, 0.0, 1.0)
    tissues_affine = brain.affine.copy()
    tissues_affine[:3, 3] += tissues_affine[:3, :3] @ np.full(3, 0.5)
    tissues_affine[:3, :3] *= 2.0
    smooth = np.stack([ndimage.gaussian_filter(volume, 0.5) for volume in (grey, white, fluid)])
    tissues = np.rint(np.clip(smooth, 0.0, 1.0) * STEPS).astype(np.uint8)
    return {"t1": t1, "brain": share, "affine": affine, "tissues": tissues, "tissues_affine": tissues_affine}


def make_lobes(folder: str | Path) -> dict[str, NDArray[Any]]:
    """What the file holds, from a folder of label maps (`*seg*.nii.gz`) and the template."""
    affine = template().affine.copy()
    affine[:3, :3] *= _STEP
    every = (slice(None, None, _STEP),) * 3
    brain, white = template().brain[every], template().white[every]
    x, y, z = (affine[axis, 3] + _STEP * np.arange(size) for axis, size in enumerate(brain.shape))
    place = np.meshgrid(np.abs(x), y, z, indexing="ij")
    most = _votes(folder, affine, brain.shape)
    lobes = _cerebrum(*place)
    callosum = _callosum(white, most == "Cerebrum", place[0])
    lobes[_cingulate(callosum, *place)] = "Cingulate"
    lobes[callosum] = "Corpus callosum"
    seen = (most != "Cerebrum") & (most != "Fluid")
    lobes[seen] = most[seen]
    _give_fluid_to_what_is_near(lobes, most, brain)
    labels = np.zeros(brain.shape, dtype=np.uint8)
    for number, lobe in enumerate(LOBES, start=1):
        side = 0 * x if lobe in UNPAIRED else np.select([x < 0, x > 0], [1, 2])
        labels += ((brain & (lobes == lobe)) * (3 * number + side)[:, None, None]).astype(np.uint8)
    return {"labels": labels, "affine": affine}


def _votes(folder: str | Path, affine: Floats, shape: tuple[int, ...]) -> NDArray[Any]:
    """The structure that most label maps have at each voxel, as its name; "Cerebrum" where none has any."""
    nib: Any = nibabel
    grey = np.zeros(1000, dtype=np.float32)
    grey[list(_T1)] = list(_T1.values())
    voxels = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1).reshape(-1, 3)
    counts = {name: np.zeros(shape, dtype=np.int32) for name in _STRUCTURES}
    for file in sorted(Path(folder).glob("*seg*.nii.gz")):
        image = nib.load(file)
        own = Grid(image.shape, image.affine)
        labels, grid = to_canonical(np.asarray(image.dataobj).astype(np.int32), own), canonical_grid(own)
        scan = Scan(file.name, {Modality.T1: grey[labels]}, grid.affine, brain=grey[labels] > 0)
        to_voxel = np.linalg.inv(register_to_mni(scan).affine @ grid.affine) @ affine
        there = np.rint(voxels @ to_voxel[:3, :3].T + to_voxel[:3, 3]).astype(int)
        inside = ((there >= 0) & (there < np.asarray(labels.shape))).all(axis=1)
        moved = np.zeros(len(voxels), dtype=np.int32)
        moved[inside] = labels[tuple(there[inside].T)]
        for name, members in _STRUCTURES.items():
            found = np.isin(moved, members).reshape(shape)
            counts[name] += found
            counts[name] += found[::-1]
    names = list(_STRUCTURES)[::-1]  # an empty voxel is cerebrum
    most: NDArray[Any] = np.asarray(names)[np.argmax([counts[name] for name in names], axis=0)]
    return most


def _cerebrum(x: Floats, y: Floats, z: Floats) -> NDArray[Any]:
    """The cerebral lobe of each point, by distance from the midline, front-back and height in MNI mm."""
    central = -7.0 - 0.44 * (z - 15.0)  # from (58, -7, 15) up to (6, -32, 72)
    behind = np.where(
        y > -40.0, 2.0 - 0.45 * y, 20.0 + 0.1 * (y + 40.0)
    )  # along the fissure, then on to the angular gyrus
    sylvian = np.where(y > 0.0, 2.0 - 1.2 * y, behind)
    medial = np.where(z > 8.0, -57.6 - 0.6 * z, -52.0)  # parieto-occipital sulcus, then the isthmus
    lateral = -66.3 - 0.36 * z  # from the sulcus's upper end to the preoccipital notch at (50, -62, -12)
    outer = np.clip((x - 10.0) / 20.0, 0.0, 1.0)
    lobes = np.where(y > central, "Frontal", "Parietal").astype("U16")
    lobes[(z < sylvian) & (y < 22.0) & ((x > 20.0) | ((y < -5.0) & (x > 14.0)))] = "Temporal"
    lobes[y < medial + outer * (lateral - medial)] = "Occipital"
    lobes[(x > 28.0) & (x < 43.0) & (((y - 1.0) / 24.0) ** 2 + ((z - 2.0) / 16.0) ** 2 < 1.0)] = "Insula"
    return lobes


def _callosum(white: NDArray[np.float32], cerebrum: Mask, x: Floats) -> Mask:
    """White matter near the midline that hangs together through the midline plane, no further out than its section."""
    numbers, _ = components((white > 0.5) & cerebrum & (x <= _CALLOSUM_MM), 6)
    middle = numbers[len(numbers) // 2]
    section = middle == int(np.argmax(np.bincount(middle[middle > 0])))
    near = ndimage.distance_transform_edt(~section, sampling=float(_STEP)) <= _AROUND_MM
    return np.asarray((numbers == middle[section][0]) & near[None])


def _cingulate(callosum: Mask, x: Floats, y: Floats, z: Floats) -> Mask:
    """What lies around the callosum: in front of it, above and behind, not below."""
    away = ndimage.distance_transform_edt(~callosum[len(callosum) // 2], sampling=float(_STEP))
    below = (y < 25.0) & (y > -36.0) & (z < 14.0)
    return np.asarray((away[None] <= _CINGULATE_MM) & (x <= 13.0) & (z >= -8.0) & (y > -56.0) & ~below)


def _give_fluid_to_what_is_near(lobes: NDArray[Any], most: NDArray[Any], brain: Mask) -> None:
    """Ventricles take the lobe of the nearest voxel that is none, in place."""
    fluid = (most == "Fluid") & brain
    nearest = ndimage.distance_transform_edt((most == "Fluid") | ~brain, return_distances=False, return_indices=True)
    lobes[fluid] = lobes[tuple(nearest[:, fluid])]


if __name__ == "__main__":
    if sys.argv[1] == "lobes":
        np.savez_compressed(FILE, **make_lobes(sys.argv[2]))  # type: ignore[arg-type]
    else:
        np.savez_compressed(COARSE_FILE, **make_template())  # type: ignore[arg-type]
