"""From scans to what the strong stage sees: normalised volumes on its grid, windows, variation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from annofree.errors import InputError
from annofree.inference.channels import contrast_power
from annofree.methods.weak_to_strong.predict import view_of
from annofree.methods.weak_to_strong.unetr import Size
from annofree.prepare.resample import to_spacing
from annofree.scan import Grid, Modality, Scan
from annofree.training.samples import SampleSettings, centre_start, cut, draw_present
from annofree.training.stream import Batch, CaseMaker, KeptCases, StreamSettings

#: Share of windows that are made to hold a voxel of the tumour, where there is one.
_ON_TUMOUR = 0.6
_VARIATION = SampleSettings()
MADE_MM = 2.0
#: Validation cases have these seeds, training cases start far above.
VALIDATION_SEEDS = range(8)
FIRST_SEED = 1_000_000
#: Steps that one new case serves.
REUSE = 16


@dataclass(frozen=True, eq=False)
class Volume:
    """One scan as the network sees it.

    Attributes:
        id: The scan's id.
        images: Float16 (4, X, Y, Z), T1, T1C, T2, FLAIR: robust z inside the brain, 0 outside it and where absent.
        brain: Boolean (X, Y, Z).
        target: Boolean (X, Y, Z), the tumour to learn; all False where there is none, or where nobody said.
        grid: The grid of these arrays.
    """

    id: str
    images: Tensor
    brain: Tensor
    target: Tensor
    grid: Grid

    @property
    def present(self) -> Tensor:
        """(4,) boolean, which sequences are there."""
        return (self.images != 0).flatten(1).any(dim=1)


def volume_of(
    scan: Scan, spacing_mm: float, brain: NDArray[np.bool_], target: NDArray[np.bool_] | None = None
) -> Volume:
    """A scan at the network's spacing, with brain and target (X, Y, Z) on the scan's grid.

    The target is resampled so that half-filled voxels decide by their half.

    Raises:
        InputError: The brain is empty, or the target lies on another grid.
    """
    if target is not None and target.shape != scan.shape:
        raise InputError(
            f"The label map of scan '{scan.id}' has the shape {target.shape}, its images {scan.shape}",
            fix="Use the label map that belongs to these images",
        )
    images, seen, grid = view_of(scan, spacing_mm, brain)
    inside = torch.from_numpy(seen)
    wanted = torch.zeros(seen.shape, dtype=torch.bool)
    if target is not None:
        filled = to_spacing(Scan(scan.id, {Modality.T1: target.astype(np.float32)}, scan.affine), spacing_mm)
        wanted = torch.from_numpy(filled.images[Modality.T1] > 0.5) & inside
    return Volume(scan.id, torch.from_numpy(images).half(), inside, wanted, grid)


def random_start(brain: Tensor, target: Tensor, window: tuple[int, int, int], rng: np.random.Generator) -> list[int]:
    """First voxel of a random window: along each axis it holds the whole brain, or lies inside it where it is smaller.

    Most windows hold a voxel of the tumour, if there is one.
    """
    points = brain.nonzero()
    low, high = points.amin(0).tolist(), (points.amax(0) + 1).tolist()
    spots = target.nonzero() if rng.random() < _ON_TUMOUR else target.new_empty((0, 3))
    spot = spots[int(rng.integers(len(spots)))].tolist() if len(spots) else None
    start = []
    for axis, size in enumerate(window):
        first, last = sorted((low[axis], high[axis] - size))
        if spot is not None:
            first, last = max(first, spot[axis] - size + 1), min(last, spot[axis])
        start.append(int(rng.integers(first, last + 1)))
    return start


def cut_share(volume: Volume, window: tuple[int, int, int]) -> float:
    """Share of the target that lies outside the window about the brain's middle, 0 where there is no target."""
    wanted = int(volume.target.sum())
    kept = int(cut(volume.target[None], centre_start(volume.brain, window), list(window)).sum())
    return 1.0 - kept / wanted if wanted else 0.0


def at_border(volume: Volume) -> bool:
    """Whether the target touches the outermost voxels, as it does where a volume was cropped before it came here."""
    faces = [volume.target.select(axis, index) for axis in range(3) for index in (0, -1)]
    return any(bool(face.any()) for face in faces)


def window_of(volume: Volume, size: Size, rng: np.random.Generator) -> Batch:
    """One training sample: ``x`` (4, *window) float32 and ``target`` (1, *window) uint8."""
    window = size.network.window
    start = (
        centre_start(volume.brain, window)
        if size.crop == "centre"
        else random_start(volume.brain, volume.target, window, rng)
    )
    x = cut(volume.images.float(), start, list(window))
    target = cut(volume.target[None].to(torch.uint8), start, list(window))
    if size.vary:
        inside = cut(volume.brain[None].float(), start, list(window))
        if rng.random() < 0.5:
            x, target, inside = x.flip(1), target.flip(1), inside.flip(1)
        power = np.exp(rng.normal(0, _VARIATION.gamma, len(x))).astype(np.float32)
        scale = torch.from_numpy(np.exp(rng.normal(0, _VARIATION.contrast, len(x))).astype(np.float32))
        offset = torch.from_numpy(rng.normal(0, _VARIATION.contrast, len(x)).astype(np.float32))
        x = torch.from_numpy(contrast_power(x.numpy(), power))
        x = (x * scale.view(-1, 1, 1, 1) + offset.view(-1, 1, 1, 1)) * inside
        kept = draw_present(rng, _VARIATION) & volume.present
        x = x * (kept if bool(kept.any()) else volume.present).view(-1, 1, 1, 1)
    return {"x": x, "target": target}


@dataclass(frozen=True)
class VolumeSampler:
    """Samples from volumes in memory: every epoch sees each volume once, in an order of its own."""

    volumes: Sequence[Volume]
    size: Size
    batch: int
    seed: int

    def __call__(self, step: int, lane: int) -> Batch:
        """The sample of a step and a lane."""
        epoch, place = divmod(step * self.batch + lane, len(self.volumes))
        order = np.random.default_rng([self.seed, 1, epoch]).permutation(len(self.volumes))
        return window_of(self.volumes[order[place]], self.size, np.random.default_rng([self.seed, 2, step, lane]))


def made_volume(make: CaseMaker, spacing_mm: float, seed: int) -> Volume:
    """A made case of 2 mm as a volume on the strong stage's grid; its target is the whole tumour."""
    images, brain, labels = make(seed)
    there = {s: image.numpy() for s, image in zip(Modality, images, strict=True) if bool((image != 0).any())}
    scan = Scan(f"made-{seed}", there, np.diag([MADE_MM, MADE_MM, MADE_MM, 1.0]))
    return volume_of(scan, spacing_mm, brain.numpy(), (labels > 0).numpy())


class MadeWindows:
    """Windows of made cases, of which each lane of the batch remembers some; the seed decides windows and variation."""

    def __init__(self, volume: Callable[[int], Volume], size: Size, *, batch: int, seed: int, kept: int) -> None:
        self.size, self.seed = size, seed
        stream = StreamSettings(kept=kept, reuse=REUSE, first_seed=FIRST_SEED)
        self._cases = KeptCases(volume, stream, batch)

    def __call__(self, step: int, lane: int) -> Batch:
        """The sample of a step and a lane; it depends on these and the seed alone."""
        rng = np.random.default_rng([self.seed, 7, step, lane])
        return window_of(self._cases(step, lane, rng), self.size, rng)
