"""The rigid movement between two images of one head, of any contrast, with a number that says how well it fits.

Mattes mutual information (Mattes et al., IEEE TMI 22(1), 2003) by SimpleITK. Many starts are tried on coarse voxels,
the best one is followed on finer ones, first without and then with a mask, and whichever solution tells more is kept.
One ITK thread and every voxel: the same images give the same movement to the last bit on any number of cores.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree.prepare.resample import grid_at, low_passed, resample
from annofree.scan import Grid

Affine = NDArray[np.float64]

_BINS = 32
#: Spacing at which starts are compared, and that of the answer; a thicker axis of the image is left as it is.
_COARSE_MM, _FINE_MM = 6.0, 2.5
#: Turns tried about each axis, alone, and shifts along the body's axis.
_TURNS_DEG, _LIFTS_MM = 12.0, (-25.0, 25.0)
#: A turn of 1 radian moves the brain's surface by so much.
_REACH_MM = 60.0
#: So many starts are followed on coarse voxels.
_FOLLOWED = 2
#: The masked solution may differ from the one without mask by so much inside the mask, no more.
_LARGEST_CORRECTION_MM = 15.0


@dataclass(frozen=True, eq=False)
class Movement:
    """A rigid movement from one image's world to another's.

    Attributes:
        matrix: (4, 4), a point of the fixed image's world in mm to the same anatomy in the moving image's world.
        information: Mutual information of the two images in nats, with the mask where one was given.
        start_information: The same where the headers put the images.
        masked: Whether the solution found with the mask was the better one.
    """

    matrix: Affine
    information: float
    start_information: float
    masked: bool

    def moved_mm(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """How far points (N, 3) of the fixed world are from where the headers put them, (N,)."""
        there = points @ self.matrix[:3, :3].T + self.matrix[:3, 3]
        return np.asarray(np.linalg.norm(there - points, axis=1))


def register(
    fixed: NDArray[np.float32],
    fixed_grid: Grid,
    moving: NDArray[np.float32],
    moving_grid: Grid,
    mask: NDArray[np.bool_] | None = None,
) -> Movement:
    """Find the rigid movement that makes two images tell most about each other.

    Args:
        fixed: (X, Y, Z).
        fixed_grid: Its grid.
        moving: (X', Y', Z').
        moving_grid: Its grid.
        mask: (X, Y, Z), where the fixed image matters: the brain, dilated by a centimetre.
    """
    with one_thread():
        coarse = _pair(fixed, fixed_grid, moving, moving_grid, _COARSE_MM)
        fine = _pair(fixed, fixed_grid, moving, moving_grid, _FINE_MM)
        region = None if mask is None else _region(mask, fixed_grid, fine[0])
        centre = _centre(coarse[0]) if region is None else _centre(region)
        starts = _starts(coarse, centre)
        values = [_information(coarse, start) for start in starts]
        best = np.argsort(values, kind="stable")[::-1][:_FOLLOWED]
        followed = [_climb(coarse, starts[index], step_mm=2.0) for index in best]
        leader = max(followed, key=lambda transform: _information(coarse, transform))
        plain = _search(coarse, leader) if region is not None else _search(fine, _search(coarse, leader))
        identity = _euler(np.eye(4), centre)
        if region is None:
            return Movement(_matrix(plain), _information(fine, plain), _information(fine, identity), False)
        masked = _search(fine, plain, mask=region)
        told = [_information(fine, transform, region) for transform in (plain, masked)]
        better = told[1] > told[0] and _apart(plain, masked, region) <= _LARGEST_CORRECTION_MM
        chosen = masked if better else plain
        return Movement(_matrix(chosen), told[int(better)], _information(fine, identity, region), better)


@contextmanager
def one_thread() -> Iterator[None]:
    """ITK on one thread: sums over threads differ in the last bits, and a filter's own setting leaves some on."""
    sitk = _simpleitk()
    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)


def _pair(
    fixed: NDArray[np.float32], fixed_grid: Grid, moving: NDArray[np.float32], moving_grid: Grid, spacing_mm: float
) -> tuple[Any, Any]:
    return _coarse(fixed, fixed_grid, spacing_mm), _coarse(moving, moving_grid, spacing_mm)


def _coarse(array: NDArray[np.float32], grid: Grid, spacing_mm: float) -> Any:
    """The image on straight axes with voxels of at least so many mm, its extreme grey levels clipped."""
    target = _straight(grid_at(grid, [max(own, spacing_mm) for own in grid.spacing_mm]))
    factors = np.asarray(target.spacing_mm) / np.asarray(grid.spacing_mm)
    low, high = np.quantile(array[::2, ::2, ::1], (0.005, 0.995))
    clipped = np.clip(array, low, max(float(high), float(low) + 1e-6))
    return _image(resample(low_passed(clipped, factors), grid, target, 1, outside=float(low)), target)


def _straight(grid: Grid) -> Grid:
    """The same grid without shear, turned about its centre: ITK images have none."""
    spacing, affine = np.asarray(grid.spacing_mm), np.array(grid.affine, dtype=float)
    left, _, right = np.linalg.svd(affine[:3, :3] / spacing)
    middle = (np.asarray(grid.shape) - 1) / 2
    centre = affine[:3, :3] @ middle + affine[:3, 3]
    affine[:3, :3] = (left @ right) * spacing
    affine[:3, 3] = centre - affine[:3, :3] @ middle
    return Grid(grid.shape, affine)


def _image(array: NDArray[Any], grid: Grid) -> Any:
    """A SimpleITK image whose physical space is the RAS+ world."""
    image = _simpleitk().GetImageFromArray(np.ascontiguousarray(array.transpose(2, 1, 0)))
    spacing = np.asarray(grid.spacing_mm)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(np.asarray(grid.affine)[:3, 3].tolist())
    image.SetDirection((np.asarray(grid.affine)[:3, :3] / spacing).ravel().tolist())
    return image


def _region(mask: NDArray[np.bool_], grid: Grid, like: Any) -> Any:
    shape = like.GetSize()
    affine = np.eye(4)
    affine[:3, :3] = np.asarray(like.GetDirection()).reshape(3, 3) * np.asarray(like.GetSpacing())
    affine[:3, 3] = like.GetOrigin()
    target = Grid((shape[0], shape[1], shape[2]), affine)
    return _image(resample(mask, grid, target, 0).astype(np.uint8), target)


def _centre(image: Any) -> NDArray[np.float64]:
    """Centre of mass in mm; the darkest value weighs nothing."""
    values = _simpleitk().GetArrayViewFromImage(image).transpose(2, 1, 0).astype(np.float64)
    values = values - values.min()
    total = values.sum()
    index = [
        float((values.sum(axis=tuple(a for a in range(3) if a != axis)) @ np.arange(n)) / total)
        for axis, n in enumerate(values.shape)
    ]
    return np.asarray(image.TransformContinuousIndexToPhysicalPoint(index))


def _starts(pair: tuple[Any, Any], centre: NDArray[np.float64]) -> list[Any]:
    """Where the headers put the images, and centre of mass on centre of mass; each also turned and lifted."""
    shift = _centre(pair[1]) - _centre(pair[0])
    turns = [np.zeros(3)] + [
        sign * np.eye(3)[axis] * np.deg2rad(_TURNS_DEG) for axis, sign in product(range(3), (-1, 1))
    ]
    lifts = [np.zeros(3)] + [np.array([0.0, 0.0, lift]) for lift in _LIFTS_MM]
    starts = []
    for base in (np.zeros(3), shift):
        for turn, lift in [(turn, lifts[0]) for turn in turns] + [(turns[0], lift) for lift in lifts[1:]]:
            transform = _simpleitk().Euler3DTransform()
            transform.SetCenter(centre.tolist())
            transform.SetRotation(*turn.tolist())
            transform.SetTranslation((base + lift).tolist())
            starts.append(transform)
    return starts


def _method(pair: tuple[Any, Any], mask: Any = None) -> Any:
    sitk = _simpleitk()
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetMetricSamplingStrategy(method.NONE)
    method.SetInterpolator(sitk.sitkLinear)
    if mask is not None:
        method.SetMetricFixedMask(mask)
    return method


def _information(pair: tuple[Any, Any], transform: Any, mask: Any = None) -> float:
    """Mutual information in nats; minus infinity where the images do not meet."""
    method = _method(pair, mask)
    method.SetInitialTransform(transform, False)
    try:
        return -float(method.MetricEvaluate(*pair))
    except RuntimeError:  # ITK found too few voxels in both images
        return -np.inf


def _climb(pair: tuple[Any, Any], start: Any, *, step_mm: float, mask: Any = None) -> Any:
    """The transform after gradient ascent from a start; the start itself where that is no better."""
    sitk = _simpleitk()
    method = _method(pair, mask)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=step_mm, minStep=0.02, numberOfIterations=80, relaxationFactor=0.6, gradientMagnitudeTolerance=1e-8
    )
    method.SetOptimizerScalesFromPhysicalShift()
    transform = sitk.Euler3DTransform(start)
    method.SetInitialTransform(transform, True)
    try:
        method.Execute(*pair)
    except RuntimeError:
        return start
    return transform if _information(pair, transform, mask) >= _information(pair, start, mask) else start


def _search(pair: tuple[Any, Any], start: Any, mask: Any = None) -> Any:
    """The transform after Powell's line searches from a start that is nearly right; never one that tells less.

    Gradient steps of ever smaller length stopped 2 mm short of the maximum on thick slices; line searches do not.
    """
    sitk = _simpleitk()
    method = _method(pair, mask)
    method.SetOptimizerAsPowell(
        numberOfIterations=3, maximumLineIterations=20, stepLength=1.0, stepTolerance=0.05, valueTolerance=1e-5
    )
    method.SetOptimizerScales([_REACH_MM] * 3 + [1.0] * 3)
    transform = sitk.Euler3DTransform(start)
    method.SetInitialTransform(transform, True)
    try:
        method.Execute(*pair)
    except RuntimeError:
        return start
    return transform if _information(pair, transform, mask) >= _information(pair, start, mask) else start


def _apart(a: Any, b: Any, region: Any) -> float:
    """Largest distance in mm between two transforms over the corners of a region's box."""
    inside = np.argwhere(_simpleitk().GetArrayViewFromImage(region).transpose(2, 1, 0) > 0)
    low, high = inside.min(axis=0), inside.max(axis=0)
    worst = 0.0
    for picks in product((0, 1), repeat=3):
        index = [int((low, high)[pick][axis]) for axis, pick in enumerate(picks)]
        point = region.TransformIndexToPhysicalPoint(index)
        worst = max(worst, float(np.linalg.norm(np.subtract(a.TransformPoint(point), b.TransformPoint(point)))))
    return worst


def _euler(matrix: Affine, centre: NDArray[np.float64]) -> Any:
    transform = _simpleitk().Euler3DTransform()
    transform.SetCenter(centre.tolist())
    transform.SetMatrix(matrix[:3, :3].ravel().tolist())
    transform.SetTranslation((matrix[:3, :3] @ centre + matrix[:3, 3] - centre).tolist())
    return transform


def _matrix(transform: Any) -> Affine:
    linear = np.asarray(transform.GetMatrix()).reshape(3, 3)
    centre, shift = np.asarray(transform.GetCenter()), np.asarray(transform.GetTranslation())
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = linear, shift + centre - linear @ centre
    return matrix


def _simpleitk() -> Any:
    import SimpleITK

    return SimpleITK
