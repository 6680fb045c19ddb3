"""A quick affine from the scanner to the MNI template, which knows when it has failed.

Mattes mutual information (Mattes et al., IEEE TMI 22(1), 2003) on 4 mm voxels of the brain, by SimpleITK. One thread
and every voxel: the same scan gives the same affine to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree.anatomy.coarse import coarse_brain
from annofree.anatomy.coarse_template import coarse_template, tissue_maps
from annofree.scan import Modality, Scan

Affine = NDArray[np.float64]

_PREFERRED = (Modality.T1, Modality.T1C, Modality.T2, Modality.FLAIR)
_PITCH_STARTS_DEG = (-20.0, 0.0, 20.0)
#: Aligned brains overlap by 0.92 and more (Dice); brains whose header lies about an axis stay below 0.87.
_TRUSTED_OVERLAP = 0.88
#: A brain-sized blob without structure reaches 0.02, a FLAIR brain that is mostly tumour and oedema still 0.29.
_TRUSTED_AGREEMENT = 0.1
#: Brain volumes differ by a factor of two between adults and from 0.7 on in childhood; tumours add little.
_SCALES = (0.7, 1.45)
_LARGEST_TURN_DEG = 45.0


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
    def trusted(self) -> bool:
        """Whether lobes may be named from it."""
        return self.quality >= _TRUSTED_OVERLAP and self.agreement >= _TRUSTED_AGREEMENT


def register_to_mni(scan: Scan) -> Alignment:
    """Align a brain with the MNI152 template.

    The header's orientation is believed up to about 30 degrees, so left and right cannot swap. T1 is used where
    present, else T1C, T2 or FLAIR.

    Args:
        scan: A scan with a brain mask, or skull-stripped.

    Returns:
        The alignment; look at `trusted` before naming anything from it.
    """
    sequence = next(s for s in _PREFERRED if s in scan.images)
    fixed, mask, affine = coarse_brain(scan.images[sequence], scan.foreground(), scan.affine)
    moving, moving_mask, moving_affine = coarse_template()
    if int((mask > 0.5).sum()) < 64 or min(mask.shape) < 4:
        return Alignment(np.eye(4), 0.0, 0.0, False)
    starts = _starts(mask, affine, moving_mask, moving_affine)
    try:
        with _one_thread():
            found = _maximise_information((fixed, affine), (moving, moving_affine), _dilate(mask > 0.3), starts)
    except RuntimeError:  # ITK found too few voxels in both brains, as in a slab one voxel thick
        return Alignment(starts[0], 0.0, 0.0, False)
    overlap = _overlap(found, mask, affine, moving_mask, moving_affine)
    return Alignment(found, overlap, _agreement(found, fixed, mask, affine), _plausible(found))


def _maximise_information(
    fixed: tuple[NDArray[np.float32], Affine],
    moving: tuple[NDArray[np.float32], Affine],
    reach: NDArray[np.bool_],
    starts: list[Affine],
) -> Affine:
    """The affine, from the best of the starts, that makes the images tell most about each other."""
    sitk = _simpleitk()

    images = (_image(*fixed), _image(*moving))
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(32)
    method.SetMetricFixedMask(_image(reach.astype(np.uint8), fixed[1]))
    method.SetMetricSamplingStrategy(method.NONE)
    method.SetInterpolator(sitk.sitkLinear)
    values = []
    for start in starts:
        method.SetInitialTransform(_transform(start, starts[0]), True)
        values.append(method.MetricEvaluate(*images))
    transform = _transform(starts[int(np.argmin(values))], starts[0])
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=1.0, minStep=0.01, numberOfIterations=120, relaxationFactor=0.6, gradientMagnitudeTolerance=1e-8
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(transform, True)
    method.Execute(*images)
    return _matrix(transform)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums over threads differ in the last bits from run to run; the registration's own setting leaves some on."""
    sitk = _simpleitk()

    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)


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
    points = np.argwhere(mask > 0.5) @ affine[:3, :3].T + affine[:3, 3]
    low, high = np.percentile(points, (1, 99), axis=0)
    return (low + high) / 2.0, np.maximum(high - low, 1.0)


def _dilate(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    from scipy import ndimage

    return np.asarray(ndimage.binary_dilation(mask, iterations=2))


def _simpleitk() -> Any:
    import SimpleITK

    return SimpleITK


def _image(volume: NDArray[Any], affine: Affine) -> Any:
    """A SimpleITK image whose physical space is RAS+ mm; both images use it, so no axis changes sign."""
    sitk = _simpleitk()

    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.transpose(2, 1, 0)))
    spacing = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetDirection(_orthonormal(affine[:3, :3] / spacing).ravel().tolist())
    return image


def _orthonormal(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The nearest rotation: ITK refuses the sheared affines that some headers hold."""
    left, _, right = np.linalg.svd(matrix)
    return np.asarray(left @ right)


def _transform(start: Affine, centred_on: Affine) -> Any:
    sitk = _simpleitk()

    transform = sitk.AffineTransform(3)
    centre = np.linalg.solve(centred_on[:3, :3], -centred_on[:3, 3])
    transform.SetCenter(centre.tolist())
    transform.SetMatrix(start[:3, :3].ravel().tolist())
    transform.SetTranslation((start[:3, :3] @ centre + start[:3, 3] - centre).tolist())
    return transform


def _matrix(transform: Any) -> Affine:
    linear = np.asarray(transform.GetMatrix()).reshape(3, 3)
    centre, shift = np.asarray(transform.GetCenter()), np.asarray(transform.GetTranslation())
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = linear, shift + centre - linear @ centre
    return matrix


def _overlap(
    found: Affine, mask: NDArray[np.float32], affine: Affine, moving: NDArray[np.float32], moving_affine: Affine
) -> float:
    from scipy import ndimage

    to_voxel = np.linalg.inv(moving_affine) @ found @ affine
    there = ndimage.affine_transform(moving, to_voxel[:3, :3], to_voxel[:3, 3], output_shape=mask.shape, order=1) > 0.5
    here = mask > 0.5
    seen = float(moving.sum() * abs(np.linalg.det(moving_affine[:3, :3])))
    there_volume = seen / abs(np.linalg.det(found[:3, :3])) / abs(np.linalg.det(affine[:3, :3]))
    return float(np.clip(2.0 * (here & there).sum() / (here.sum() + max(there_volume, 1.0)), 0.0, 1.0))


def _agreement(found: Affine, image: NDArray[np.float32], mask: NDArray[np.float32], affine: Affine) -> float:
    """How well a mixture of the template's tissues explains the image: a blob does not look like it."""
    from scipy import ndimage

    maps, maps_affine = tissue_maps()
    to_voxel = np.linalg.inv(maps_affine) @ found @ affine
    voxels = np.argwhere(mask > 0.9)
    where = (voxels @ to_voxel[:3, :3].T + to_voxel[:3, 3]).T
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
