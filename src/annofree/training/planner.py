"""Spacing, patch, depth and batch from the data and the memory.

In the spirit of nnU-Net's planner (Isensee et al., Nature Methods 2021): the grid is the data's median grid; the patch
starts as large as the brains and shrinks until a step fits into the memory; an axis is halved while it is long enough
and not coarser than twice the finest; what memory is left goes to the batch. The network is MONAI's DynUNet.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError, SettingsError
from annofree.inference.channels import CHANNELS
from annofree.masks import bounding_box
from annofree.networks.dyn_unet import DynUNetSettings
from annofree.scan import Cohort
from annofree.segmentation import REGIONS
from annofree.training.plan import Three, TrainingPlan, by

#: Scans that are looked at.
MOST = 24
#: No side of a feature map gets shorter than this.
SHORTEST = 4
#: A patch is not made smaller than this, unless the brains are, voxels.
SMALLEST_PATCH = 32
#: A side of this many voxels is the least that a network that looks in 3-D can use.
THINNEST = 8
#: Most filters of a level, and most levels.
WIDEST, DEEPEST = 320, 6
#: Most that one step may see, as a share of all voxels.
LARGEST_SHARE = 0.05
#: Slices this many times thicker than the pixels count as thick.
COARSE_AXIS = 3.0


@dataclass(frozen=True)
class Fingerprint:
    """What the planner knows of the data.

    Attributes:
        spacing_mm: (n, 3) voxel edge lengths of each scan looked at.
        size_mm: (n, 3) extent of each brain.
        cases: Scans in all.
    """

    spacing_mm: NDArray[np.float64]
    size_mm: NDArray[np.float64]
    cases: int


def fingerprint(cohort: Cohort) -> Fingerprint:
    """Look at up to `MOST` scans, evenly spread over the cohort.

    Raises:
        InputError: There is no scan, or one has no foreground.
    """
    if not len(cohort):
        raise InputError("There is no scan to plan for")
    chosen = np.unique(np.linspace(0, len(cohort) - 1, min(MOST, len(cohort))).round().astype(int))
    spacings, sizes = [], []
    for scan in (cohort[cohort.ids[int(i)]] for i in chosen):
        box = bounding_box(scan.foreground())
        if box is None:
            raise InputError(f"Scan '{scan.id}' has no foreground", fix="Leave it out, or give a brain mask")
        spacings.append(scan.spacing_mm)
        sizes.append([(axis.stop - axis.start) * s for axis, s in zip(box, scan.spacing_mm, strict=True)])
    return Fingerprint(np.array(spacings), np.array(sizes), len(cohort))


def make_plan(
    data: Fingerprint,
    memory_gb: float,
    *,
    spacing_mm: float | tuple[float, float, float] | None = None,
    in_channels: int = CHANNELS,
    filters: int = 32,
    half: bool = False,
) -> TrainingPlan:
    """Decide, for what :func:`fingerprint` found.

    A training step may take `memory_gb`, 10^9 bytes, with activations of four bytes, or two (bf16) if `half`. The grid
    is the data's own where `spacing_mm` is None; the memory may ask for fewer `filters` at the finest level.

    Raises:
        InputError: The brains are too thin, or no sensible patch fits into the memory.
    """
    reasons: dict[str, str] = {}
    spacing = _spacing(data, spacing_mm, reasons)
    shape = np.maximum(1, np.round(np.median(data.size_mm, axis=0) / spacing)).astype(int)
    reasons["shape"] = f"median brain of {len(data.size_mm)} scans"
    if shape.min() < THINNEST:
        raise InputError(
            f"The brains are {by(_ints(shape))} voxels of {by(spacing)} mm, too thin for a network that looks in 3-D",
            fix="Plan with a finer --spacing, or use a method that works on slices",
        )

    def network(patch: NDArray[np.int_], width: int) -> DynUNetSettings:
        return _network(patch, spacing, width, in_channels)

    def step_gb(patch: NDArray[np.int_], width: int, batch: int) -> float:
        return estimate_gb(network(patch, width), _ints(patch), batch, half=half)

    patch, width, batch = _padded(shape, spacing), filters, 2
    # first a smaller patch, then a thinner network, then a single patch a step
    while step_gb(patch, width, batch) > memory_gb:
        smaller = _smaller(patch, shape, spacing)
        if smaller is not None:
            patch = smaller
        elif width > 8:
            patch, width = _padded(shape, spacing), width // 2
        elif batch > 1:
            batch = 1
        else:
            raise InputError(
                f"{memory_gb:g} GB are too little to train on this data",
                why=f"the smallest sensible step, {by(_ints(patch))} voxels with {width} filters, "
                f"takes {step_gb(patch, width, 1):.2g} GB",
                fix="Give more memory with --memory, or a coarser grid with --spacing",
            )
    whole = bool((patch >= shape).all())
    most = max(2, int(LARGEST_SHARE * data.cases * np.prod(shape) / np.prod(patch)))
    while batch < most and step_gb(patch, width, batch + 1) <= memory_gb:
        batch += 1
    made = network(patch, width)
    reasons["patch"] = (
        "the whole brain fits" if whole else f"as much of the brain as {memory_gb:g} GB allow, cut where it is longest"
    )
    reasons["batch"] = _why_batch(batch, most)
    narrower = "" if width == filters else f"; {width} instead of {filters} filters, for the memory"
    reasons["network"] = (
        f"{len(made.strides)} levels: an axis is halved while at least {SHORTEST} voxels remain and it is not "
        f"coarser than twice the finest{narrower}"
    )
    reasons["step_gb"] = f"estimate: weights, Adam, and {'half' if half else 'single'} precision activations"
    return TrainingPlan(
        spacing_mm=_three(spacing),
        shape=_ints(shape),
        patch=_ints(patch),
        batch=batch,
        network=made,
        step_gb=round(step_gb(patch, width, batch), 3),
        memory_gb=memory_gb,
        reasons=reasons,
    )


def _spacing(
    data: Fingerprint, wanted: float | tuple[float, float, float] | None, reasons: dict[str, str]
) -> NDArray[np.float64]:
    if wanted is not None:
        reasons["spacing_mm"] = "as asked for"
        spacing = np.broadcast_to(np.asarray(wanted, dtype=float), (3,)).copy()
        if not np.isfinite(spacing).all() or spacing.min() <= 0:
            raise SettingsError(f"A spacing of {wanted} mm does not exist", fix="Give millimetres above 0")
        return spacing
    spacing = np.median(data.spacing_mm, axis=0)
    reasons["spacing_mm"] = f"median of {len(data.spacing_mm)} scans"
    coarsest = int(spacing.argmax())
    others = np.delete(spacing, coarsest).max()
    if spacing[coarsest] > COARSE_AXIS * others:
        # thick slices: the finer tenth of the scans says what the axis can show
        spacing[coarsest] = max(others, np.percentile(data.spacing_mm[:, coarsest], 10))
        reasons["spacing_mm"] += f"; {'xyz'[coarsest]}, with thick slices, the finest tenth"
    rounded: NDArray[np.float64] = spacing.round(3)
    return rounded


def _strides(patch: NDArray[np.int_], spacing: NDArray[np.float64]) -> tuple[list[Three], list[Three]]:
    """Strides and kernels of the levels; an axis much coarser than the finest waits, and is not convolved meanwhile."""
    size, step = patch.astype(float), spacing.copy()
    strides: list[Three] = [(1, 1, 1)]
    kernels: list[Three] = []
    while True:
        near = step <= 2 * step.min()
        kernels.append(_ints(np.where(near, 3, 1)))
        able = (size % 2 == 0) & (size >= 2 * SHORTEST)
        if not able.any():
            return strides, kernels
        halve = able & (step <= 2 * step[able].min())
        strides.append(_ints(np.where(halve, 2, 1)))
        size, step = np.where(halve, size / 2, size), np.where(halve, step * 2, step)


def _network(patch: NDArray[np.int_], spacing: NDArray[np.float64], width: int, inputs: int) -> DynUNetSettings:
    strides, kernels = _strides(patch, spacing)
    levels = min(len(strides), DEEPEST)
    return DynUNetSettings(
        in_channels=inputs,
        out_channels=len(REGIONS),
        kernel_size=tuple(kernels[:levels]),
        strides=tuple(strides[:levels]),
        filters=tuple(min(width * 2**level, WIDEST) for level in range(levels)),
        deep_supervision=max(0, min(2, levels - 3)),
    )


def _unit(spacing: NDArray[np.float64], side: NDArray[np.int_]) -> NDArray[np.int_]:
    """Sides come in multiples of this: 16 where the axis is fine and long, less where that would mostly add air."""
    fine = spacing <= 2 * spacing.min()
    unit = np.where(fine, np.where(side >= 96, 16, 8), 4)
    while (unit > np.maximum(side, 4)).any():
        unit = np.where(unit > np.maximum(side, 4), unit // 2, unit)
    return unit


def _padded(shape: NDArray[np.int_], spacing: NDArray[np.float64]) -> NDArray[np.int_]:
    unit = _unit(spacing, shape)
    padded: NDArray[np.int_] = -(-shape // unit) * unit
    return padded


def _smaller(patch: NDArray[np.int_], shape: NDArray[np.int_], spacing: NDArray[np.float64]) -> NDArray[np.int_] | None:
    """The patch with its relatively longest side cut by one unit; None where every side is as short as it may be."""
    unit = _unit(spacing, shape)
    able = patch - unit >= np.minimum(SMALLEST_PATCH * spacing.min() / spacing, shape)
    if not able.any():
        return None
    axis = int(np.where(able, patch / shape, -1.0).argmax())
    smaller = patch.copy()
    smaller[axis] -= unit[axis]
    return smaller


def _why_batch(batch: int, most: int) -> str:
    if batch == 1:
        return "a second patch does not fit into the memory"
    if batch == most and most > 2:
        return f"one step sees at most {LARGEST_SHARE:.0%} of the data"
    return "at least two; what memory is left" if batch > 2 else "two patches a step"


def _ints(values: NDArray[np.int_]) -> Three:
    x, y, z = (int(v) for v in values)
    return x, y, z


def _three(values: NDArray[np.float64]) -> tuple[float, float, float]:
    x, y, z = (float(v) for v in values)
    return x, y, z


#: Saved numbers a step per voxel and filter, summed over the levels of a residual DynUNet (counted with hooks).
SAVED = 11.0
#: What a step holds beyond the numbers saved for the backward pass.
OVERHEAD = 1.25
#: Weights, their gradients and Adam's two moments, bytes a parameter.
PER_PARAMETER = 16


def estimate_gb(network: DynUNetSettings, patch: tuple[int, int, int], batch: int, *, half: bool = False) -> float:
    """Memory of a training step in 10^9 bytes: what autograd saves, temporaries, weights, gradients and Adam."""
    size = np.asarray(patch, dtype=float)
    saved, parameters, before, volume_before = network.in_channels * size.prod(), 0.0, 0, 0.0
    for stride, kernel, width in zip(network.strides, network.kernel_size, network.filters, strict=True):
        size = size / np.asarray(stride)
        saved += SAVED * width * size.prod()
        inside, volume = before or network.in_channels, float(np.prod(kernel))
        # down: two convolutions and a shortcut; up: a transposed one, two on a doubled input, a shortcut
        parameters += volume * (inside * width + width * width) + inside * width
        parameters += before * width * float(np.prod(stride)) + (3 * volume_before + 2) * before * before
        before, volume_before = width, volume
    bytes_each = 2 if half else 4
    return float(saved * batch * bytes_each * OVERHEAD + parameters * PER_PARAMETER) / 1e9


def memory_gb() -> float:
    """What this machine can give to a training: nine tenths of the graphics memory, else half of the main memory."""
    import os

    import torch

    if torch.cuda.is_available():
        return round(0.9 * torch.cuda.get_device_properties(0).total_memory / 1e9, 1)
    return round(0.5 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)


def activations_are_half() -> bool:
    """Whether training with precision "auto" computes in two bytes on this machine."""
    import torch

    from annofree.training.fabric import choose

    return choose("auto", torch.device("cuda" if torch.cuda.is_available() else "cpu")) == "bf16-mixed"
