"""A bank of anatomical label maps: read, translated to tissue classes, put upright, cropped, kept small.

Every map lies on one frame: RAS, 1 mm, 160 x 192 x 160 voxels, the midline at its middle plane, its centre at
(0, -17, 5) mm of MNI space. Maps are moved rigidly only, so that brains keep their sizes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from annofree.errors import InputError
from annofree.formats.nifti import read_labels
from annofree.formats.outfolder import atomic_path
from annofree.masks import largest_component
from annofree.synthesis.tissues import (
    LABEL_TO_TISSUE,
    LANDMARKS_MM,
    LEFT_LABELS,
    PARENCHYMA,
    PARTNER,
    RIGHT,
    RIGHT_LABELS,
    VENTRICLES,
    VESSELS,
    Tissue,
)

FRAME_SHAPE = (160, 192, 160)
"""Voxels of 1 mm of a map in the bank."""
FRAME_CENTRE_MM = (0.0, -17.0, 5.0)
"""MNI coordinate of the middle of the frame."""
DEPTH_STEP_MM = 0.25
"""Unit of the stored distance to the brain's surface."""


@dataclass(frozen=True)
class BrainMap:
    """One anatomy.

    Attributes:
        name: Where it came from.
        tissue: (160, 192, 160) uint8 tissue class of each 1 mm voxel, plus `RIGHT` on the right side.
        depth: (80, 96, 80) int8 distance below the brain's closed surface, in `DEPTH_STEP_MM`, negative outside.
    """

    name: str
    tissue: np.ndarray[Any, np.dtype[np.uint8]]
    depth: np.ndarray[Any, np.dtype[np.int8]]
    _on: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict, repr=False, compare=False)

    def tensors(self, device: torch.device | str) -> tuple[Tensor, Tensor]:
        """Tissue classes and depth (mm) as tensors; kept after the first call for each device."""
        key = str(device)
        if key not in self._on:
            tissue = torch.from_numpy(self.tissue).to(device)
            depth = torch.from_numpy(self.depth).to(device)
            self._on[key] = (tissue, depth)
        return self._on[key]

    def __reduce__(self) -> tuple[Any, ...]:
        return BrainMap, (self.name, self.tissue, self.depth)


@dataclass(frozen=True)
class LabelMapBank:
    """Anatomies to make brains from."""

    maps: tuple[BrainMap, ...]

    def __post_init__(self) -> None:
        if not self.maps:
            raise InputError("A label map bank needs at least one map")

    def __len__(self) -> int:
        return len(self.maps)

    def __iter__(self) -> Iterator[BrainMap]:
        return iter(self.maps)

    @classmethod
    def from_folder(cls, folder: str | PathLike[str], *, cache: str | PathLike[str] | None = None) -> LabelMapBank:
        """Read every ``*.nii`` and ``*.nii.gz`` of a folder.

        Args:
            folder: Whole-head or brain label maps with FreeSurfer numbers.
            cache: A ``.npz`` file; read if it exists, else written (about 5 s a map are saved).

        Raises:
            InputError: The folder holds no map, or a map holds a label that the tissue table does not know.
        """
        if cache is not None and Path(cache).is_file():
            return cls.load(cache)
        files = sorted([*Path(folder).glob("*.nii.gz"), *Path(folder).glob("*.nii")])
        if not files:
            raise InputError("No label maps found", file=folder, fix="Give a folder of .nii.gz label maps")
        bank = cls(tuple(_read(file) for file in files))
        if cache is not None:
            bank.save(cache)
        return bank

    @classmethod
    def from_mni(cls) -> LabelMapBank:
        """One anatomy from the MNI template's grey and white matter maps, made once: for use without label maps."""
        return cls((_mni_map(),))

    @classmethod
    def of(cls, labels: np.ndarray[Any, Any], affine: np.ndarray[Any, Any], name: str = "map") -> LabelMapBank:
        """A bank of one label array with its affine (mm, RAS+)."""
        return cls((_upright(labels, affine, name),))

    def save(self, file: str | PathLike[str]) -> None:
        """Write all maps to one compressed ``.npz``."""
        arrays: dict[str, Any] = {"names": np.array([m.name for m in self.maps])}
        for i, brain in enumerate(self.maps):
            arrays[f"tissue{i}"], arrays[f"depth{i}"] = brain.tissue, brain.depth
        with atomic_path(Path(file)) as part, part.open("wb") as stream:
            np.savez_compressed(stream, **arrays)

    @classmethod
    def load(cls, file: str | PathLike[str]) -> LabelMapBank:
        """Read what `save` wrote."""
        with np.load(file, allow_pickle=False) as held:
            return cls(
                tuple(
                    BrainMap(str(name), held[f"tissue{i}"], held[f"depth{i}"]) for i, name in enumerate(held["names"])
                )
            )


def _read(file: Path) -> BrainMap:
    labels, native = read_labels(file)
    return _upright(labels, native.affine, file.name.split(".nii")[0], file)


def _upright(
    labels: np.ndarray[Any, Any], affine: np.ndarray[Any, Any], name: str, file: Path | None = None
) -> BrainMap:
    """Translate labels to tissue classes and move the head rigidly onto the frame."""
    labels = np.asarray(np.rint(labels), dtype=np.int32)
    present = np.unique(labels)
    unknown = [int(v) for v in present if int(v) not in LABEL_TO_TISSUE]
    if unknown:
        raise InputError(
            f"Label map {name} holds unknown labels {', '.join(map(str, unknown))}",
            file=file,
            why="every label must have a tissue class, or brains would get holes",
            fix="Remove or renumber them to FreeSurfer numbers",
        )
    rotation, shift = _rigid_to_mni(labels, affine, file)
    frame_to_mni = np.eye(4)
    frame_to_mni[:3, 3] = np.array(FRAME_CENTRE_MM) - (np.array(FRAME_SHAPE) - 1) / 2
    to_world = np.eye(4)
    to_world[:3, :3], to_world[:3, 3] = rotation.T, -rotation.T @ shift
    to_voxel = np.linalg.inv(affine) @ to_world @ frame_to_mni
    moved = ndimage.affine_transform(
        labels, to_voxel[:3, :3], to_voxel[:3, 3], output_shape=FRAME_SHAPE, order=0, mode="constant", cval=0
    )
    table = np.zeros(int(max(LABEL_TO_TISSUE)) + 1, np.uint8)
    for label, tissue in LABEL_TO_TISSUE.items():
        table[label] = tissue
    tissue_map = table[moved]
    right = np.isin(moved, list(RIGHT_LABELS))
    undecided = ~right & ~np.isin(moved, list(LEFT_LABELS))
    right |= undecided & (np.arange(FRAME_SHAPE[0])[:, None, None] >= FRAME_SHAPE[0] // 2)
    return _finish(name, tissue_map, right)


def _rigid_to_mni(
    labels: np.ndarray[Any, Any], affine: np.ndarray[Any, Any], file: Path | None
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Rotation and shift (mm) that bring the centres of deep structures to their places (Kabsch's solution).

    The targets are symmetric, so the midline comes to lie at x = 0.
    """
    found, wanted = [], []
    for label, place in LANDMARKS_MM.items():
        pairs = [(label, place)]
        if label in PARTNER:
            pairs.append((PARTNER[label], (-place[0], place[1], place[2])))
        for number, target in pairs:
            mask = labels == number
            if mask.any():
                found.append(affine[:3, :3] @ np.argwhere(mask).mean(0) + affine[:3, 3])
                wanted.append(target)
    if len(found) < 6:
        raise InputError(
            "A label map lacks the deep structures needed to put the head upright",
            file=file,
            why=f"of {', '.join(map(str, LANDMARKS_MM))} (FreeSurfer's numbers) and their partners it has {len(found)}",
            fix="Give maps of whole brains, such as SynthSeg's, and no tumour masks",
        )
    source, target_ = np.array(found), np.array(wanted)
    u, _, vt = np.linalg.svd((source - source.mean(0)).T @ (target_ - target_.mean(0)))
    flip = np.diag([1.0, 1.0, np.sign(np.linalg.det(vt.T @ u.T))])
    rotation = vt.T @ flip @ u.T
    return rotation, target_.mean(0) - rotation @ source.mean(0)


def _finish(name: str, tissue: np.ndarray[Any, Any], right: np.ndarray[Any, Any]) -> BrainMap:
    """Add the dura and the depth below the brain's surface, then pack."""
    inside = np.isin(tissue, [int(t) for t in (*PARENCHYMA, *VENTRICLES, *VESSELS, Tissue.CSF)])
    shell = ndimage.binary_dilation(inside, iterations=2) & np.isin(
        tissue, [int(t) for t in (Tissue.BONE, Tissue.MARROW, Tissue.SOFT, Tissue.OUTSIDE)]
    )
    tissue = np.where(shell, np.uint8(Tissue.DURA), tissue).astype(np.uint8)
    brain = np.isin(tissue, [int(t) for t in (*PARENCHYMA, *VENTRICLES)])
    small = brain.reshape(80, 2, 96, 2, 80, 2).mean((1, 3, 5)) > 0.4
    small = largest_component(small, 6)
    closed = ndimage.distance_transform_edt(~small, sampling=2.0) <= 7.0
    closed = ndimage.distance_transform_edt(closed, sampling=2.0) > 7.0
    closed |= small
    packed = tissue | np.where(right, np.uint8(RIGHT), np.uint8(0))
    return BrainMap(name, np.ascontiguousarray(packed), stored_depth(closed))


def stored_depth(brain: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.int8]]:
    """`BrainMap.depth` of a brain (80, 96, 80) in voxels of 2 mm."""
    depth = ndimage.distance_transform_edt(brain, sampling=2.0) - ndimage.distance_transform_edt(~brain, sampling=2.0)
    return np.asarray(np.clip(np.rint((depth - np.sign(depth)) / DEPTH_STEP_MM), -127, 127), np.int8)


@cache
def _mni_map() -> BrainMap:
    from annofree.anatomy.template import template

    mni = template()
    shape = FRAME_SHAPE
    offset = np.array(FRAME_CENTRE_MM) - (np.array(shape) - 1) / 2
    to_voxel = np.linalg.inv(mni.affine)

    def on_frame(data: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.asarray(
            ndimage.affine_transform(
                data, to_voxel[:3, :3], to_voxel[:3, :3] @ offset + to_voxel[:3, 3], output_shape=shape, order=1
            )
        )

    grey, white = on_frame(mni.grey), on_frame(mni.white)
    # brain is where the T1 template exceeds a fifth of its maximum
    mask = on_frame((mni.t1 > 0.2).astype(np.float32)) > 0.5
    x, y, z = np.meshgrid(*(np.arange(n) + o for n, o in zip(shape, offset, strict=True)), indexing="ij", sparse=True)
    matter = grey + white > 0.5
    small = mask.reshape(80, 2, 96, 2, 80, 2).mean((1, 3, 5)) > 0.5
    depth = _enlarged(ndimage.distance_transform_edt(small, sampling=2.0))
    hindbrain = (z < -14) & (y < -36) & (z < -18 - 0.25 * (y + 70))
    stem = (np.abs(x) < 15) & (y > -46) & (y < -14) & (z < -12) & ~((np.abs(x) > 11) & (z > -20))
    core = (depth > 24) & (np.abs(x) < 34) & (y > -36) & (y < 26) & (z > -12) & (z < 24)
    tissue = np.zeros(shape, np.uint8)
    tissue[mask] = Tissue.CSF
    tissue[mask & ~matter & (depth > 18) & (np.abs(x) < 34) & (y > -62) & (y < 38) & (z > -14)] = Tissue.VENTRICLE
    tissue[mask & ~matter & (np.abs(x) < 12) & (y < -38) & (y > -58) & (z < -16) & (z > -46)] = Tissue.FOURTH_VENTRICLE
    is_white = matter & (white >= grey)
    tissue[is_white] = Tissue.WHITE
    tissue[matter & ~is_white] = Tissue.CORTEX
    tissue[matter & ~is_white & core] = Tissue.STRIATUM
    tissue[matter & ~is_white & core & (y < -4) & (np.abs(x) < 24)] = Tissue.THALAMUS
    tissue[is_white & hindbrain] = Tissue.CEREBELLAR_WHITE
    tissue[matter & ~is_white & hindbrain] = Tissue.CEREBELLAR_CORTEX
    tissue[matter & stem] = Tissue.BRAINSTEM
    tissue[~mask & (_enlarged(ndimage.distance_transform_edt(~small, sampling=2.0)) < 12)] = Tissue.BONE
    right = np.broadcast_to(x > 0, shape)
    return _finish("mni152", tissue, right)


def _enlarged(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Each 2 mm voxel repeated on the 1 mm grid."""
    return values.repeat(2, 0).repeat(2, 1).repeat(2, 2)
