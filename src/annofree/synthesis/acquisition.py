"""What scanner and preparation do to every case, with or without a tumour."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from annofree.synthesis import resample
from annofree.synthesis.seeds import Seeds
from annofree.synthesis.settings import Acquisition


def brain_mask(depth_mm: Tensor, spacing_mm: float, seeds: Seeds, settings: Acquisition) -> Tensor:
    """The stripped brain (X, Y, Z): the surface plus a smooth error of up to about 2 mm, outwards or inwards."""
    shape = tuple(depth_mm.shape)
    if not settings.mask_errors:
        return depth_mm > 0
    offset = seeds.uniform(-0.6, 1.6)
    error = seeds.uniform(0.2, 0.9) * seeds.smooth(shape, 24.0 / spacing_mm)[0]
    error = error + seeds.uniform(0.1, 0.6) * seeds.smooth(shape, 8.0 / spacing_mm)[0]
    return depth_mm + (error + offset).clamp(-2.0, 2.5) > 0


def bias_field(images: Tensor, spacing_mm: float, seeds: Seeds, settings: Acquisition) -> Tensor:
    """Multiply each sequence (4, X, Y, Z) by a smooth field; strong ones reach a factor of two across the head.

    Part of the field is shared by the sequences, and part of it is a bright or dark middle (dielectric effect).
    """
    if not settings.bias:
        return images
    shape, device = images.shape[1:], images.device
    shared = seeds.smooth(shape, seeds.uniform(35.0, 80.0) / spacing_mm, 1)
    alone = seeds.smooth(shape, seeds.uniform(35.0, 80.0) / spacing_mm, images.shape[0])
    strong = 0.3 if seeds.happens(0.2) else 0.13
    amount = torch.tensor(seeds.uniforms(0.0, strong, 4), dtype=torch.float32, device=device)
    middle = torch.tensor(0.12 * seeds.normals(4), dtype=torch.float32, device=device)
    lines = [torch.linspace(-1.0, 1.0, n, device=device).square() for n in shape]
    bowl = 1.0 - 1.5 * (lines[0][:, None, None] + lines[1][:, None] + lines[2])
    mix = seeds.uniform(0.2, 0.9)
    field = mix * shared + math.sqrt(1 - mix * mix) * alone
    return images * torch.exp(amount[:, None, None, None] * field + middle[:, None, None, None] * bowl)


def noise(images: Tensor, spacing_mm: float, seeds: Seeds, settings: Acquisition) -> Tensor:
    """Rician noise of 0.6 to 4.5 % of white matter, which is near 1; later steps correlate it between neighbours."""
    if not settings.noise:
        return images
    low = 0.006 if spacing_mm > 1.5 else 0.01
    sd = torch.tensor([seeds.log_uniform(low, 0.045) for _ in range(4)], dtype=torch.float32, device=images.device)
    real = seeds.white(images.shape) * sd[:, None, None, None]
    # the second channel is the first one elsewhere: as good as independent at every voxel
    other = torch.roll(real, (7, 5, 3), (1, 2, 3))
    return torch.hypot(images + real, other)


def optics(images: Tensor, spacing_mm: float, seeds: Seeds, settings: Acquisition) -> Tensor:
    """Misregistration, blur or sharpening, and thick slices, one matrix for each axis and sequence.

    Sequences are shifted against each other by up to 2 mm (FLAIR and T1C, which the labels follow, by up to 0.7 mm).
    Slices of up to 6 mm lie along one axis of each study, mostly from top to bottom.
    """
    shifts = _shifts(seeds.stream("registration")) if settings.misregistration else np.zeros((4, 3))
    blurs = seeds.stream("blur").uniforms(-0.1, 0.13 if spacing_mm > 1.5 else 0.25, 4) * settings.blur
    slabs = _slabs(seeds.stream("slices")) if settings.slices else [(2, 0.0)] * 4
    matrices = []
    for axis in range(3):
        size = images.shape[axis + 1]
        rows = []
        for s in range(4):
            matrix = resample.cubic(torch.arange(size, dtype=torch.float32) + float(shifts[s, axis]) / spacing_mm, size)
            if blurs[s] != 0:
                matrix = _three_point(size, float(blurs[s])) @ matrix
            if slabs[s][0] == axis and slabs[s][1] > 1.2 * spacing_mm:
                matrix = _slices(size, slabs[s][1] / spacing_mm) @ matrix
            rows.append(matrix)
        matrices.append(torch.stack(rows).to(images.device))
    return resample.apply(images, *matrices).clamp_min(0.0)


def through_slices(fraction: Tensor, spacing_mm: float, seeds: Seeds, settings: Acquisition) -> Tensor:
    """Tumour fractions (6, X, Y, Z) as the slices of this study show them.

    The rim is seen in T1C, everything else in FLAIR; `seeds` is the stream that `optics` gets.
    """
    if not settings.slices:
        return fraction
    slabs = _slabs(seeds.stream("slices"))
    flair, contrast = slabs[3], slabs[1]
    matrices: list[Tensor | None] = []
    for axis, size in enumerate(fraction.shape[1:]):
        thick = [own[0] == axis and own[1] > 1.2 * spacing_mm for own in (flair, contrast)]
        if not any(thick):
            matrices.append(None)
            continue
        of_flair, of_contrast = (
            _slices(size, own[1] / spacing_mm) if here else torch.eye(size)
            for own, here in zip((flair, contrast), thick, strict=True)
        )
        rows = [of_flair, of_flair, of_contrast, of_flair, of_flair, of_flair]
        matrices.append(torch.stack(rows).to(fraction.device))
    return resample.apply(fraction, *matrices)


def _shifts(seeds: Seeds) -> np.ndarray[Any, Any]:
    if seeds.happens(0.3):
        return np.zeros((4, 3))
    limits = np.array([2.0, 0.7, 2.0, 0.7])
    direction = seeds.normals(12).reshape(4, 3)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    return np.asarray(direction * (limits * seeds.uniforms(0.0, 1.0, 4))[:, None])


def _slabs(seeds: Seeds) -> list[tuple[int, float]]:
    usual = seeds.integer(0, 2) if seeds.happens(0.3) else 2
    thick = seeds.happens(0.55)
    out = []
    for _ in range(4):
        axis = usual if seeds.happens(0.85) else seeds.integer(0, 2)
        thickness = seeds.uniform(2.0, 6.0)
        out.append((axis, thickness if thick and seeds.happens(0.75) else 0.0))
    return out


def _three_point(size: int, weight: float) -> Tensor:
    matrix = torch.eye(size) * (1.0 - 2.0 * weight)
    matrix += torch.diag(torch.full((size - 1,), weight), 1) + torch.diag(torch.full((size - 1,), weight), -1)
    return matrix


def _slices(size: int, thickness_vox: float) -> Tensor:
    """Average over slices of that thickness, then interpolate back: (size, size)."""
    count = max(4, round(size / thickness_vox))
    step = size / count
    edge = torch.arange(size, dtype=torch.float32)
    first = torch.arange(count, dtype=torch.float32)[:, None] * step
    cover = torch.minimum(edge + 1.0, first + step) - torch.maximum(edge, first)
    average = cover.clamp_min(0.0) / step
    back = resample.linear((edge + 0.5) / step - 0.5, count)
    return back @ average


def digitise(images: Tensor, seeds: Seeds, settings: Acquisition) -> Tensor:
    """Gamma, the scanner's arbitrary scale, and rounding."""
    out = []
    for image in images:
        gamma = math.exp(seeds.normal(0.0, 0.12))
        scale, levels = seeds.log_uniform(80.0, 2000.0), seeds.log_uniform(60.0, 1500.0)
        if settings.gamma:
            image = image.clamp_min(1e-4) ** gamma
        if settings.quantisation:
            image = torch.round(image * levels) / levels
        out.append(image * scale)
    return torch.stack(out)


def missing_slab(mask: Tensor, spacing_mm: float, seeds: Seeds, settings: Acquisition) -> Tensor:
    """Sometimes the field of view ends inside the brain: cut up to 25 mm off the top or bottom."""
    if not settings.missing_slab or not seeds.happens(0.06):
        return mask
    planes = torch.nonzero(mask.any(0).any(0))
    if planes.numel() == 0:
        return mask
    cut = int(seeds.uniform(2.0, 25.0) / spacing_mm)
    out = mask.clone()
    if seeds.happens(0.5):
        out[:, :, : int(planes[0]) + cut] = False
    else:
        out[:, :, max(0, int(planes[-1]) + 1 - cut) :] = False
    return out
