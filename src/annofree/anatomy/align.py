"""A quick affine from the scanner to the MNI template, which knows when it has failed.

Mutual information on 4 mm voxels of the brain (`annofree.anatomy.information`): the same scan gives the same affine to
the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from annofree.anatomy.coarse import GRID_MM, block_box, block_factor, coarse_brain
from annofree.anatomy.information import climb, information, itk_image, matrix_of, one_thread, placed, simpleitk
from annofree.anatomy.template import coarse_template, tissue_maps
from annofree.grid import apply_affine
from annofree.scan import Modality, Scan

Affine = NDArray[np.float64]

#: The sequence that is aligned is the first of these that is there.
PREFERRED = (Modality.T1, Modality.T1C, Modality.T2, Modality.FLAIR)
_PITCH_STARTS_DEG = (-20.0, 0.0, 20.0)
#: Aligned brains overlap by 0.92 and more (Dice); brains whose header lies about an axis stay below 0.87.
_TRUSTED_OVERLAP = 0.88
#: A brain-sized blob without structure reaches 0.02, a FLAIR brain that is mostly tumour and oedema still 0.29.
_TRUSTED_AGREEMENT = 0.1
#: Brain volumes differ by a factor of two between adults and from 0.7 on in childhood; tumours add little.
_SCALES = (0.7, 1.45)
_LARGEST_TURN_DEG = 45.0
#: The images are compared this far beyond the brain, in coarse voxels.
_REACH_VOX = 2
#: Share of the voxels that is compared: with all of them the affine is another by 0.7 mm and takes thrice as long.
_SHARE = 0.25


@dataclass(frozen=True, eq=False)
class Alignment:
    """Where a scan's brain lies in MNI space.

    Attributes:
        affine: (4, 4), scanner mm (RAS+) to MNI mm.
        overlap: Dice overlap of the aligned brain with the template's brain, 0..1.
        agreement: Multiple correlation of the image with the template's tissue maps inside both brains, 0..1.
        plausible: Whether scales and rotation are those of a head in a scanner.
    """

    affine: Affine
    overlap: float
    agreement: float
    plausible: bool

    @property
    def quality(self) -> float:
        """0 (no use) to 1; 0 for an implausible affine."""
        return self.overlap if self.plausible else 0.0

    @property
    def fits(self) -> bool:
        """Whether brain and template lie on each other, whatever it took."""
        return self.overlap >= _TRUSTED_OVERLAP and self.agreement >= _TRUSTED_AGREEMENT

    @property
    def trusted(self) -> bool:
        """Whether lobes may be named from it."""
        return self.plausible and self.fits


def register_to_mni(scan: Scan) -> Alignment:
    """Align a brain with the MNI152 template; look at `trusted` before naming anything from it.

    The header's orientation is believed up to about 30 degrees, so left and right cannot swap. T1 is used where
    present, else T1C, T2 or FLAIR.
    """
    sequence = next(s for s in PREFERRED if s in scan.images)
    brain = scan.foreground()
    box = block_box(brain, block_factor(np.asarray(scan.spacing_mm), GRID_MM), _REACH_VOX + 1)
    fixed, mask, affine = coarse_brain(scan.images[sequence][box], brain[box], scan.grid.within(box).affine)
    moving, moving_mask, moving_affine = coarse_template()
    if int((mask > 0.5).sum()) < 64 or min(mask.shape) < 4:
        return Alignment(np.eye(4), 0.0, 0.0, False)
    starts = _starts(mask, affine, moving_mask, moving_affine)
    reach = ndimage.binary_dilation(mask > 0.3, iterations=_REACH_VOX)
    with one_thread():
        found = _maximise_information((fixed, affine), (moving, moving_affine), reach, starts)
    if found is None:
        return Alignment(starts[0], 0.0, 0.0, False)
    overlap = _overlap(found, mask, affine, moving_mask, moving_affine)
    return Alignment(found, overlap, _agreement(found, fixed, mask, affine), _plausible(found))


def _maximise_information(
    fixed: tuple[NDArray[np.float32], Affine],
    moving: tuple[NDArray[np.float32], Affine],
    reach: NDArray[np.bool_],
    starts: list[Affine],
) -> Affine | None:
    """The affine, from the best of the starts, that makes the images tell most about each other.

    None where they do not meet, as in a slab one voxel thick.
    """
    pair, mask = (itk_image(*fixed), itk_image(*moving)), itk_image(reach.astype(np.uint8), fixed[1])
    centre = np.linalg.solve(starts[0][:3, :3], -starts[0][:3, 3]).astype(np.float64)
    transforms = [placed(simpleitk().AffineTransform(3), start, centre) for start in starts]
    told = [information(pair, transform, mask) for transform in transforms]
    if not np.isfinite(max(told)):
        return None
    best = transforms[int(np.argmax(told))]
    return matrix_of(climb(pair, best, step_mm=1.0, least_step_mm=0.01, mask=mask, share=_SHARE))


def _starts(
    mask: NDArray[np.float32], affine: Affine, moving: NDArray[np.float32], moving_affine: Affine
) -> list[Affine]:
    """Affines that match centre and size of the two brains, upright first, then nodding."""
    here, size = _extent(mask, affine)
    there, moving_size = _extent(moving, moving_affine)
    starts = []
    for pitch in sorted(np.deg2rad(_PITCH_STARTS_DEG), key=abs):
        turn = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
        linear = np.diag(np.clip(moving_size / size, *_SCALES)) @ turn
        start = np.eye(4)
        start[:3, :3], start[:3, 3] = linear, there - linear @ here
        starts.append(start)
    return starts


def _extent(mask: NDArray[np.float32], affine: Affine) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Middle of the brain's box and its edge lengths in mm: less moved by a missing brainstem than the centroid."""
    points = apply_affine(affine, np.argwhere(mask > 0.5))
    low, high = np.percentile(points, (1, 99), axis=0)
    return (low + high) / 2.0, np.maximum(high - low, 1.0)


def _overlap(
    found: Affine, mask: NDArray[np.float32], affine: Affine, moving: NDArray[np.float32], moving_affine: Affine
) -> float:
    to_voxel = np.linalg.inv(moving_affine) @ found @ affine
    there = ndimage.affine_transform(moving, to_voxel[:3, :3], to_voxel[:3, 3], output_shape=mask.shape, order=1) > 0.5
    here = mask > 0.5
    seen = float(moving.sum() * abs(np.linalg.det(moving_affine[:3, :3])))
    there_volume = seen / abs(np.linalg.det(found[:3, :3])) / abs(np.linalg.det(affine[:3, :3]))
    return float(np.clip(2.0 * (here & there).sum() / (here.sum() + max(there_volume, 1.0)), 0.0, 1.0))


def _agreement(found: Affine, image: NDArray[np.float32], mask: NDArray[np.float32], affine: Affine) -> float:
    """How well a mixture of the template's tissues explains the image: a blob does not look like it."""
    maps, maps_affine = tissue_maps()
    to_voxel = np.linalg.inv(maps_affine) @ found @ affine
    voxels = np.argwhere(mask > 0.9)
    where = apply_affine(to_voxel, voxels).T
    tissues = np.stack([ndimage.map_coordinates(m, where, order=1) for m in maps], axis=1)
    inside = tissues.sum(axis=1) > 0.5
    values = (image / np.maximum(mask, 0.25))[tuple(voxels.T)][inside].astype(float)
    if inside.sum() < 64 or values.std() <= 0:
        return 0.0
    design = np.column_stack([tissues[inside], np.ones(len(values))])
    residual = values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
    return float(np.sqrt(np.clip(1.0 - residual.var() / values.var(), 0.0, 1.0)))


def _plausible(found: Affine) -> bool:
    left, scales, right = np.linalg.svd(found[:3, :3])
    turn = np.rad2deg(np.arccos(np.clip((np.trace(left @ right) - 1.0) / 2.0, -1.0, 1.0)))
    return bool(
        np.linalg.det(found[:3, :3]) > 0
        and _SCALES[0] <= scales[-1]
        and scales[0] <= _SCALES[1]
        and turn <= _LARGEST_TURN_DEG
    )
