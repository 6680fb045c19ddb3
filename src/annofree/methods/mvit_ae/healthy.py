"""Healthy slices to learn from, without a mask: real healthy scans, made brains, and patients' better halves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.formats.outfolder import atomic_path
from annofree.methods.mvit_ae.frame import Frame
from annofree.prepare.brain import filled_brain
from annofree.scan import Cohort, Modality, Scan
from annofree.training.healthy import bank_of, made_scan

#: Slices with less brain than this many voxels teach nothing.
_LEAST_VOX = 100

#: Seeds of made brains: those that are learned from, and those that thresholds are set on.
LEARN_SEEDS = 3_000_000
HOLD_OUT_SEEDS = 4_000_000


@dataclass(frozen=True, eq=False)
class HealthyVolume:
    """A tumour-free volume that can be made.

    Attributes:
        kind: 0 made, 1 a real healthy scan, 2 a patient's better half.
        id: Its name.
        make: Returns its slices, or None where it cannot be used.
    """

    kind: int
    id: str
    make: Callable[[], Frame | None]

    def arrays(self, folder: Path | None) -> dict[str, NDArray[Any]]:
        """Its slices that hold brain, made or read from the folder; empty where it cannot be used."""
        file = None if folder is None else folder / f"{self.kind}-{self.id}.npz"
        if file is not None and file.is_file():
            with np.load(file, allow_pickle=False) as held:
                return dict(held)
        framed = self.make()
        arrays: dict[str, NDArray[Any]] = {}
        if framed is not None:
            full = framed.brain.sum(axis=(1, 2)) >= _LEAST_VOX
            images = framed.images[:, full].transpose(1, 0, 2, 3).astype(np.float16)
            arrays = {"images": images, "brain": framed.brain[full], "height": framed.height[full]}
            arrays["present"] = framed.present
        if file is not None:
            with atomic_path(file) as part, part.open("wb") as stream:
                np.savez(stream, **arrays)  # type: ignore[arg-type]
        return arrays


@dataclass(frozen=True, eq=False)
class HealthySlices:
    """Axial slices of tumour-free brains, volume by volume.

    Attributes:
        images: (S, 4, X, Y) float16 robust z.
        brain: (S, X, Y) boolean.
        height: (S,) float32.
        volume: (S,) number of the volume that each slice belongs to.
        present: (V, 4) boolean, sequences of each volume.
        kind: (V,) 0 made, 1 a real healthy scan, 2 a patient's better half.
        ids: Names of the real scans.
    """

    images: NDArray[np.float16]
    brain: NDArray[np.bool_]
    height: NDArray[np.float32]
    volume: NDArray[np.int32]
    present: NDArray[np.bool_]
    kind: NDArray[np.int32]
    ids: tuple[str, ...] = ()

    @classmethod
    def gather(cls, volumes: Iterable[HealthyVolume], folder: Path | None = None) -> Self:
        """The slices of several volumes, made, or read where the folder holds them already (one file a volume)."""
        kept: list[tuple[Any, ...]] = []
        present, kinds, ids = [], [], []
        for volume in volumes:
            arrays = volume.arrays(folder)
            if not arrays:
                continue
            number = np.full(len(arrays["height"]), len(kept), np.int32)
            kept.append((arrays["images"], arrays["brain"], arrays["height"], number))
            present.append(arrays["present"])
            kinds.append(volume.kind)
            if volume.kind:
                ids.append(volume.id)
        images, brain, height, owner = (np.concatenate(parts) for parts in zip(*kept, strict=True))
        return cls(images, brain, height, owner, np.stack(present), np.array(kinds, np.int32), tuple(ids))


def better_half(scan: Scan) -> Scan | None:
    """A patient's better half, mirrored over the worse one; None where its checks do not hold.

    The checks are those of `annofree.synthesis.pseudo_healthy`; no mask is read.
    """
    from annofree.synthesis.pseudo_healthy import pseudo_healthy

    try:
        carrier = pseudo_healthy(scan.replace(brain=filled_brain(scan)))
    except InputError:
        return None
    if not carrier.usable:
        return None
    images = {s: carrier.images[i].astype(np.float32) for i, s in enumerate(Modality) if s in carrier.sequences}
    return Scan(scan.id, images, np.eye(4), brain=carrier.brain)


def healthy_volumes(
    cut: Callable[[Scan], Frame],
    labelmaps: str | None,
    seeds: range,
    healthy: Cohort | None,
    patients: Cohort | None,
    *,
    four_sequences: bool = False,
) -> Iterator[HealthyVolume]:
    """Tumour-free volumes to be made: real healthy scans first, then patients' better halves, then made brains.

    `cut` makes slices of a scan with its brain mask; `four_sequences` leaves out volumes that lack a sequence.
    """

    def volume(kind: int, name: str, make: Callable[[], Scan | None]) -> HealthyVolume:
        def usable() -> Frame | None:
            scan = make()
            return None if scan is None or (four_sequences and len(scan.images) < len(Modality)) else cut(scan)

        return HealthyVolume(kind, name, usable)

    for scan in () if healthy is None else healthy:
        yield volume(1, scan.id, partial(_whole, scan))
    for scan in () if patients is None else patients:
        yield volume(2, scan.id, partial(better_half, scan))
    bank = bank_of(labelmaps)
    for seed in seeds:
        yield volume(0, f"made-{seed}", partial(made_scan, bank, seed))


def _whole(scan: Scan) -> Scan:
    return scan.replace(brain=filled_brain(scan))
