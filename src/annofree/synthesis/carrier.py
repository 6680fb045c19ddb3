"""A real brain as a carrier for made tumours: upright on the frame of made brains, with a rough tissue map.

The frame is that of `annofree.synthesis.bank`: 160 x 192 x 160 mm, RAS, the midsagittal plane in its middle, the middle
of the brain's box at its centre, so that mirroring a carrier is flipping its array.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from annofree.errors import InputError
from annofree.formats.outfolder import atomic_path
from annofree.intensity import robust_level
from annofree.masks import Mask, bounding_box
from annofree.scan import Grid, Modality, Scan
from annofree.synthesis.bank import FRAME_CENTRE_MM, FRAME_SHAPE, BrainMap, stored_depth
from annofree.synthesis.tissues import RIGHT, Tissue

Images = NDArray[np.float32]

QUANTILES: dict[Modality, tuple[float, float, float]] = {
    Modality.T1: (0.80, 0.40, 0.05),
    Modality.T1C: (0.80, 0.40, 0.05),
    Modality.T2: (0.25, 0.60, 0.97),
    Modality.FLAIR: (0.40, 0.75, 0.04),
}
"""Where white matter, grey matter and fluid stand in the order of grey levels: the start of the clustering."""

_ROUNDS = 10
_SAMPLE = 20_000
_FIELD_MM = 25.0


@dataclass(frozen=True, eq=False)
class Carrier:
    """A brain without tumour, ready to receive one.

    Attributes:
        id: The scan it came from.
        images: (4, 160, 192, 160) float16 in the order T1, T1C, T2, FLAIR, 1 mm; white matter is 1 everywhere, slow
            changes of brightness being taken out; all 0 where the scan lacks the sequence, and outside the brain.
        brain: (160, 192, 160) boolean.
        tissue: (160, 192, 160) uint8, 0 outside, else a number of `annofree.synthesis.tissues.Tissue`.
        levels: (4, 3) medians of white matter, cortex and fluid.
        checks: What was measured on the way.
        usable: Whether the checks hold.
    """

    id: str
    images: NDArray[np.float16]
    brain: Mask
    tissue: NDArray[np.uint8]
    levels: Images
    checks: dict[str, float]
    usable: bool = True

    @property
    def sequences(self) -> tuple[Modality, ...]:
        """The sequences that the carrier has."""
        return tuple(s for s, level in zip(Modality, self.levels, strict=True) if level[0] > 0)

    @cached_property
    def anatomy(self) -> BrainMap:
        """The tissue map as an anatomy that the generator's functions can look up."""
        right = np.zeros(FRAME_SHAPE, np.uint8)
        right[FRAME_SHAPE[0] // 2 :] = RIGHT
        brain = self.brain.reshape(80, 2, 96, 2, 80, 2).mean((1, 3, 5)) > 0.5
        return BrainMap(self.id, np.ascontiguousarray(self.tissue | right), stored_depth(brain))

    @cached_property
    def _kept(self) -> dict[tuple[float, str], Tensor]:
        return {}

    def volumes(self, spacing_mm: float, device: torch.device | str = "cpu") -> Tensor:
        """Images and brain (5, X, Y, Z) at 2 or 1 mm; kept after the first call for each device."""
        key = spacing_mm, str(device)
        if key not in self._kept:
            stack = np.concatenate([self.images, self.brain[None]], dtype=np.float32)
            blocks = stack.reshape(5, 80, 2, 96, 2, 80, 2).mean((2, 4, 6)) if spacing_mm == 2.0 else stack
            self._kept[key] = torch.from_numpy(blocks).to(device)
        return self._kept[key]

    def save(self, file: str | Path) -> None:
        """Write to one compressed `.npz`."""
        names, values = np.array(list(self.checks)), np.array(list(self.checks.values()), dtype=float)
        arrays: dict[str, Any] = {"images": self.images, "brain": np.packbits(self.brain), "tissue": self.tissue}
        arrays |= {"levels": self.levels, "id": np.array(self.id), "usable": np.array(self.usable)}
        with atomic_path(Path(file)) as part, part.open("wb") as stream:
            np.savez_compressed(stream, check_names=names, check_values=values, **arrays)

    @classmethod
    def load(cls, file: str | Path) -> Carrier:
        """Read what `save` wrote."""
        with np.load(file, allow_pickle=False) as held:
            brain = np.unpackbits(held["brain"]).astype(bool).reshape(FRAME_SHAPE)
            checks = {str(n): float(v) for n, v in zip(held["check_names"], held["check_values"], strict=True)}
            return cls(
                str(held["id"]), held["images"], brain, held["tissue"], held["levels"], checks, bool(held["usable"])
            )


def carrier_of(scan: Scan) -> Carrier:
    """A carrier of a healthy person's scan, as it is but for its pose and slow changes of brightness.

    The scan is skull-stripped or has a brain mask; any of the four sequences will do.

    Raises:
        InputError: There is no brain.
    """
    images, brain, checks = upright(scan)
    return finish(scan.id, images, brain, tuple(scan.sequences), checks, usable=True)


def upright(scan: Scan) -> tuple[Images, Mask, dict[str, float]]:
    """The scan's sequences (C, 160, 192, 160) and brain on the frame, and how symmetric the brain was found to be.

    One linear interpolation; head tilts are removed, nodding stays.
    """
    from annofree.anatomy import midsagittal_plane
    from annofree.formats.grids import resample

    brain = scan.foreground()
    if not brain.any():
        raise InputError(f"Scan '{scan.id}' shows no brain", fix="Give a brain mask")
    stack = np.stack([scan.images[s] for s in scan.sequences])
    plane = midsagittal_plane(stack, brain, scan.spacing_mm)
    frame = Grid(FRAME_SHAPE, _frame_affine(scan, brain, np.asarray(plane.normal), plane.offset_mm))
    inside = resample(brain.astype(np.float32), scan.grid, frame, 1) > 0.5
    moved = [resample(image, scan.grid, frame, 1) * inside for image in stack]
    return np.stack(moved).astype(np.float32), inside, {"symmetry": plane.similarity}


def _frame_affine(scan: Scan, brain: Mask, normal: NDArray[np.float64], offset_mm: float) -> NDArray[np.float64]:
    """(4, 4) frame voxel to scanner mm: the least turn that lays the plane's normal along x."""
    spacing = np.asarray(scan.spacing_mm)
    box = bounding_box(brain)
    assert box is not None
    middle = np.array([(axis.start + axis.stop - 1) / 2.0 for axis in box]) * spacing
    middle = middle + normal * (offset_mm - normal @ middle)
    x = np.array([1.0, 0.0, 0.0])
    cross, cosine = np.cross(x, normal), float(normal @ x)
    skew = np.array([[0, -cross[2], cross[1]], [cross[2], 0, -cross[0]], [-cross[1], cross[0], 0]])
    turn = np.eye(3) + skew + skew @ skew / (1.0 + cosine)
    to_voxel = np.eye(4)
    to_voxel[:3, :3] = turn / spacing[:, None]
    to_voxel[:3, 3] = (middle - turn @ ((np.asarray(FRAME_SHAPE) - 1) / 2.0)) / spacing
    return np.asarray(scan.affine @ to_voxel)


def finish(
    scan_id: str,
    images: Images,
    brain: Mask,
    sequences: tuple[Modality, ...],
    checks: dict[str, float],
    *,
    usable: bool,
) -> Carrier:
    """The carrier of images (C, 160, 192, 160) on the frame, 0 outside the brain: tissue map and grey levels."""
    # brightness falls off towards the coil's far side: first relative to all tissue, then to white matter alone
    classes = cluster(_flat(images, brain, brain), brain, sequences)
    images = _flat(images, brain, classes == 1)
    classes = cluster(images, brain, sequences)
    scaled = np.zeros((len(Modality), *brain.shape), np.float16)
    levels = np.zeros((len(Modality), 3), np.float32)
    order = list(Modality)
    for image, sequence in zip(images, sequences, strict=True):
        medians = [float(np.median(image[classes == k])) for k in (1, 2, 3)]
        white = max(medians[0], 1e-6)
        scaled[order.index(sequence)] = np.clip(image / white, -100.0, 100.0) * brain
        levels[order.index(sequence)] = np.asarray(medians) / white
    return Carrier(scan_id, scaled, brain, _places(classes, brain), levels, checks, usable)


def _flat(images: Images, brain: Mask, reference: Mask) -> Images:
    """Images divided by the smooth brightness (Gaussian, 25 mm) of a reference tissue; 0 outside the brain."""
    cells, cell_mm = tuple(n // 4 for n in brain.shape), 4.0

    def blocks(volume: NDArray[Any]) -> NDArray[np.float32]:
        x, y, z = cells
        mean = volume.reshape(x, 4, y, 4, z, 4).mean((1, 3, 5), dtype=np.float32)
        return np.asarray(ndimage.gaussian_filter(mean, _FIELD_MM / cell_mm))

    amount = blocks(reference)
    out = np.zeros_like(images)
    for image, target in zip(images, out, strict=True):
        middle = float(np.median(image[reference])) if reference.any() else 1.0
        middle = middle if middle > 0 else 1.0
        field = np.where(amount > 1e-3, blocks(image * reference) / np.maximum(amount, 1e-3) / middle, 1.0)
        fine = ndimage.zoom(np.clip(field, 0.4, 2.5), 4, order=1, mode="nearest", grid_mode=True)
        target[brain] = image[brain] / fine[brain]
    return out


def cluster(images: Images, brain: Mask, sequences: tuple[Modality, ...]) -> NDArray[np.uint8]:
    """k-means into white matter 1, grey matter 2 and fluid 3; 0 outside the brain.

    Robust z-scores of all sequences, clipped at 3; the start is where the three stand in the order of grey levels
    of each sequence. T1C counts only where T1 is missing.
    """
    used = [(i, s) for i, s in enumerate(sequences) if not (s == Modality.T1C and Modality.T1 in sequences)]
    features, start = [], []
    for index, sequence in used:
        values = images[index][brain]
        middle, spread = robust_level(values)
        scores = np.clip((values - middle) / spread, -3.0, 3.0).astype(np.float32)
        features.append(scores)
        start.append(np.quantile(scores, QUANTILES[sequence]))
    table = np.stack(features, 1)
    centres = np.stack(start, 1)
    some = table[:: max(1, len(table) // _SAMPLE)]
    for _ in range(_ROUNDS):
        nearest = _nearest(some, centres)
        centres = np.stack([some[nearest == k].mean(0) if (nearest == k).any() else centres[k] for k in range(3)])
    out = np.zeros(brain.shape, np.uint8)
    out[brain] = _nearest(table, centres) + 1
    return out


def _nearest(points: NDArray[Any], centres: NDArray[Any]) -> NDArray[np.intp]:
    centres = centres.astype(np.float32)
    return np.asarray(np.argmin((centres**2).sum(1) - 2.0 * (points @ centres.T), axis=1))


def _places(classes: NDArray[np.uint8], brain: Mask) -> NDArray[np.uint8]:
    """Three classes to tissues: deep fluid is ventricle, deep grey near the middle basal ganglia, and the hindbrain
    lies below the tentorium, as far as a brain's box tells.
    """
    x, y, z = (
        (np.arange(n) - (n - 1) / 2 + centre).reshape([-1 if a == axis else 1 for a in range(3)])
        for axis, (n, centre) in enumerate(zip(FRAME_SHAPE, FRAME_CENTRE_MM, strict=True))
    )
    depth = ndimage.distance_transform_edt(brain[::2, ::2, ::2], sampling=2.0).repeat(2, 0).repeat(2, 1).repeat(2, 2)
    table = np.array([Tissue.OUTSIDE, Tissue.WHITE, Tissue.CORTEX, Tissue.CSF], np.uint8)
    out = table[classes]
    below = (z < -14) & (y < -36) & (z < -18 - 0.25 * (y + 70))
    stem = (np.abs(x) < 15) & (y > -46) & (y < -14) & (z < -14)
    middle = (np.abs(x) < 34) & (y > -36) & (y < 26) & (z > -12) & (z < 24)
    out[(classes == 3) & (depth > 18) & (np.abs(x) < 40)] = Tissue.VENTRICLE
    out[(classes == 2) & middle & (depth > 24)] = Tissue.STRIATUM
    out[(classes == 1) & below] = Tissue.CEREBELLAR_WHITE
    out[(classes == 2) & below] = Tissue.CEREBELLAR_CORTEX
    out[((classes == 1) | (classes == 2)) & stem] = Tissue.BRAINSTEM
    return out
