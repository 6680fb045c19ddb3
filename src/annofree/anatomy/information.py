"""Mattes mutual information of two images and the ways up to its maximum: the one set-up of every registration.

Mattes et al., IEEE TMI 22(1), 2003, by SimpleITK. Every voxel counts where nothing else is said, and within
`one_thread` the same images give the same answer to the last bit on any number of cores. A way up never ends below
where it began.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

Affine = NDArray[np.float64]

_BINS = 32
#: A turn of 1 radian moves the brain's surface by so much.
_REACH_MM = 60.0


def simpleitk() -> Any:
    """The library, loaded when it is first used."""
    import SimpleITK

    return SimpleITK


@contextmanager
def one_thread() -> Iterator[None]:
    """ITK on one thread: sums over threads differ in the last bits, and a filter's own setting leaves some on."""
    sitk = simpleitk()
    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)


def itk_image(array: NDArray[Any], affine: Affine) -> Any:
    """An image whose physical space is the RAS+ world; both images of a pair use it, so no axis changes sign.

    ITK refuses the shear that some headers hold, the nearest rotation is taken.
    """
    image = simpleitk().GetImageFromArray(np.ascontiguousarray(array.transpose(2, 1, 0)))
    spacing = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    left, _, right = np.linalg.svd(affine[:3, :3] / spacing)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetDirection((left @ right).ravel().tolist())
    return image


def placed(transform: Any, matrix: Affine, centre: NDArray[np.float64]) -> Any:
    """An Euler or affine transform made to do what a matrix (4, 4) does, turning about a centre (3,) in mm."""
    transform.SetCenter(centre.tolist())
    transform.SetMatrix(matrix[:3, :3].ravel().tolist())
    transform.SetTranslation((matrix[:3, :3] @ centre + matrix[:3, 3] - centre).tolist())
    return transform


def matrix_of(transform: Any) -> Affine:
    """The inverse of `placed`."""
    linear = np.asarray(transform.GetMatrix()).reshape(3, 3)
    centre, shift = np.asarray(transform.GetCenter()), np.asarray(transform.GetTranslation())
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = linear, shift + centre - linear @ centre
    return matrix


def information(pair: tuple[Any, Any], transform: Any, mask: Any = None) -> float:
    """Mutual information of (fixed, moving) in nats inside a mask; minus infinity where the images do not meet."""
    method = _method(mask)
    method.SetInitialTransform(transform, False)
    try:
        return -float(method.MetricEvaluate(*pair))
    except RuntimeError:  # ITK found too few voxels in both images
        return -np.inf


def climb(
    pair: tuple[Any, Any], start: Any, *, step_mm: float, least_step_mm: float, mask: Any = None, share: float = 1.0
) -> Any:
    """The transform after gradient ascent in ever shorter steps, on a share of the voxels."""
    method = _method(mask, slopes=True)
    if share < 1:
        method.SetMetricSamplingStrategy(method.REGULAR)
        method.SetMetricSamplingPercentage(share, seed=1)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=step_mm,
        minStep=least_step_mm,
        numberOfIterations=120,
        relaxationFactor=0.6,
        gradientMagnitudeTolerance=1e-8,
    )
    method.SetOptimizerScalesFromPhysicalShift()
    return _followed(method, pair, start, mask)


def search(pair: tuple[Any, Any], start: Any, mask: Any = None) -> Any:
    """The rigid transform after Powell's line searches from a start that is nearly right.

    Gradient steps of ever smaller length stopped 2 mm short of the maximum on thick slices; line searches do not.
    """
    method = _method(mask)
    method.SetOptimizerAsPowell(
        numberOfIterations=3, maximumLineIterations=20, stepLength=1.0, stepTolerance=0.05, valueTolerance=1e-5
    )
    method.SetOptimizerScales([_REACH_MM] * 3 + [1.0] * 3)
    return _followed(method, pair, start, mask)


def _method(mask: Any, *, slopes: bool = False) -> Any:
    """The measure; without slopes no gradient image is made, which costs more than to compare the two images."""
    sitk = simpleitk()
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetMetricSamplingStrategy(method.NONE)
    method.SetMetricUseMovingImageGradientFilter(slopes)
    method.SetInterpolator(sitk.sitkLinear)
    if mask is not None:
        method.SetMetricFixedMask(mask)
    return method


def _followed(method: Any, pair: tuple[Any, Any], start: Any, mask: Any) -> Any:
    """Where the optimiser goes from a start; the start itself where that tells no more."""
    transform = type(start)(start)
    method.SetInitialTransform(transform, True)
    try:
        method.Execute(*pair)
    except RuntimeError:
        return start
    return transform if information(pair, transform, mask) >= information(pair, start, mask) else start
