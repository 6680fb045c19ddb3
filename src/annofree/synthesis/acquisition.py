"""What scanner and preparation do to every case, with or without a tumour."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as functional
from torch import Tensor

from annofree.synthesis.chance import Chance
from annofree.synthesis.settings import Acquisition


def brain_mask(depth_mm: Tensor, spacing_mm: float, chance: Chance, settings: Acquisition) -> Tensor:
    """The stripped brain (X, Y, Z): the surface plus a smooth error of up to about 2 mm, outwards or inwards."""
    shape = (depth_mm.shape[0], depth_mm.shape[1], depth_mm.shape[2])
    depth = depth_mm
    if settings.mask_errors:
        offset = chance.uniform(-0.6, 1.6)
        error = chance.uniform(0.2, 0.9) * chance.smooth(shape, 24.0 / spacing_mm)[0]
        error = error + chance.uniform(0.1, 0.6) * chance.smooth(shape, 8.0 / spacing_mm)[0]
        depth = depth + (error + offset).clamp(-2.0, 2.5)
    return depth > 0


def bias_field(images: Tensor, spacing_mm: float, chance: Chance, settings: Acquisition) -> Tensor:
    """Multiply each sequence (4, X, Y, Z) by a smooth field; strong ones reach a factor of two across the head."""
    if not settings.bias:
        return images
    shape = images.shape[1:]
    shared = chance.smooth(shape, chance.uniform(40.0, 80.0) / spacing_mm, 1)
    alone = chance.smooth(shape, chance.uniform(40.0, 80.0) / spacing_mm, images.shape[0])
    strong = 0.3 if chance.happens(0.15) else 0.12
    amount = torch.tensor(chance.uniforms(0.0, strong, 4), dtype=torch.float32, device=images.device)
    mix = chance.uniform(0.2, 0.9)
    return images * torch.exp(amount[:, None, None, None] * (mix * shared + math.sqrt(1 - mix * mix) * alone))


def thick_slices(images: Tensor, spacing_mm: float, chance: Chance, settings: Acquisition) -> Tensor:
    """Average slices of up to 6 mm along an axis and interpolate back."""
    if not settings.slices:
        return images
    out = []
    usual = chance.integer(0, 2) if chance.happens(0.35) else 2
    thick_study = chance.happens(0.55)
    for image in images:
        axis = usual if chance.happens(0.85) else chance.integer(0, 2)
        thickness = chance.uniform(2.5, 6.0) if thick_study and chance.happens(0.75) else 1.0
        if thickness <= 1.2 * spacing_mm:
            out.append(image)
            continue
        size = list(image.shape)
        few = list(size)
        few[axis] = max(4, int(round(size[axis] * spacing_mm / thickness)))
        slabs = functional.interpolate(image[None, None], size=few, mode="area")
        out.append(functional.interpolate(slabs, size=size, mode="trilinear", align_corners=False)[0, 0])
    return torch.stack(out)


def misregister(images: Tensor, spacing_mm: float, chance: Chance, settings: Acquisition) -> Tensor:
    """Shift sequences against each other by up to 2 mm (FLAIR and T1C, which carry the labels' borders, by up to 0.7)."""
    if not settings.misregistration or chance.happens(0.3):
        return images
    out = []
    for s, image in enumerate(images):
        limit = 0.7 if s in (1, 3) else 2.0
        amount = chance.uniforms(-1.0, 1.0, 3) * limit * chance.uniform(0.0, 1.0)
        for axis in range(3):
            image = _shift(image, axis, float(amount[axis]) / spacing_mm)
        out.append(image)
    return torch.stack(out)


def _shift(image: Tensor, axis: int, voxels: float) -> Tensor:
    whole = math.floor(voxels)
    part = voxels - whole
    moved = torch.roll(image, whole, axis) if whole else image
    if part < 0.05:
        return moved
    return torch.lerp(moved, torch.roll(moved, 1, axis), part)


def blur(images: Tensor, spacing_mm: float, chance: Chance, settings: Acquisition) -> Tensor:
    """A three-point blur along each axis, a strength for each sequence."""
    if not settings.blur:
        return images
    weights = torch.tensor(
        chance.uniforms(0.0, 0.22 if spacing_mm > 1.5 else 0.3, 4), dtype=torch.float32, device=images.device
    )[:, None, None, None]
    for axis in (1, 2, 3):
        n = images.shape[axis]
        inner = images.narrow(axis, 1, n - 2)
        around = 0.5 * (images.narrow(axis, 0, n - 2) + images.narrow(axis, 2, n - 2))
        images = images.clone()
        images.narrow(axis, 1, n - 2).copy_(inner + 2 * weights * (around - inner))
    return images


def noise(images: Tensor, chance: Chance, settings: Acquisition) -> Tensor:
    """Rician-like noise, partly correlated between neighbours as after resampling. White matter is near 1."""
    if not settings.noise:
        return images
    sd = torch.tensor(
        [chance.log_uniform(0.008, 0.06) for _ in range(images.shape[0])], dtype=torch.float32, device=images.device
    )[:, None, None, None]
    real = chance.white(images.shape) * sd
    other = torch.roll(real, (7, 5, 3), (1, 2, 3))
    return ((images + real).square() + other.square()).sqrt()


def digitise(images: Tensor, chance: Chance, settings: Acquisition) -> Tensor:
    """Gamma, the scanner's arbitrary scale, and rounding."""
    out = []
    for image in images:
        gamma = math.exp(chance.normal(0.0, 0.12))
        scale, levels = chance.log_uniform(80.0, 2000.0), chance.log_uniform(60.0, 1500.0)
        if settings.gamma:
            image = image.clamp_min(1e-4) ** gamma
        if settings.quantisation:
            image = torch.round(image * levels) / levels
        out.append(image * scale)
    return torch.stack(out)


def missing_slab(mask: Tensor, spacing_mm: float, chance: Chance, settings: Acquisition) -> Tensor:
    """Sometimes the field of view ends inside the brain: cut up to 25 mm off the top or bottom."""
    if not settings.missing_slab or not chance.happens(0.06):
        return mask
    planes = torch.nonzero(mask.any(0).any(0))
    if planes.numel() == 0:
        return mask
    cut = int(chance.uniform(2.0, 25.0) / spacing_mm)
    out = mask.clone()
    if chance.happens(0.5):
        out[:, :, : int(planes[0]) + cut] = False
    else:
        out[:, :, max(0, int(planes[-1]) + 1 - cut) :] = False
    return out
