"""From tissue shares to four images: look-alikes, signal, texture, bias, blur, noise, arbitrary scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from annofree.phantom.head import Tissues
from annofree.phantom.relaxation import TISSUES, Protocol, Tissue
from annofree.phantom.waves import Floats, Waves
from annofree.scan import Modality

_LESION = ("oedema", "enhancing", "solid", "necrosis", "cyst")


def add_lookalikes(rng: np.random.Generator, tissues: Tissues, fractions: dict[str, Floats], age: float) -> float:
    """Add what healthy brains show too: confluent and spotted white-matter hyperintensities, vessels, choroid plexus.

    The shares (N,) of tissues are changed in place, by a relative age from 0 to 1. Returns the volume of white-matter
    hyperintensity in ml.
    """
    load_ml = float(np.clip(np.exp(rng.normal(-1.0 + 4.2 * age, 0.8)), 0, 45))
    caps, spots, veins, plexus = (
        Waves.draw(rng, a, b, n) for a, b, n in ((12, 45, 32), (9, 18, 64), (6, 16, 48), (6, 14, 32))
    )
    lattice, brain = tissues.lattice, tissues.brain
    deep = (tissues.depth_mm > 8) & (tissues.place_mm[:, 2] > -12)
    score = 0.9 * caps.on(lattice)[brain] - tissues.ventricle_mm / 8.0
    score = np.where(deep & (tissues.wm > 0.5), score, -99.0)
    count = int(load_ml / (lattice.spacing_mm**3 / 1000.0))
    if count > 0:
        threshold = float(np.partition(score, -count)[-count])
        member = 1.0 / (1.0 + np.exp(-np.clip((score - threshold) / 0.15, -30, 30)))
        spotted = 1.0 / (1.0 + np.exp(-np.clip((spots.on(lattice)[brain] - 3.7 + 0.8 * age) / 0.12, -30, 30)))
        moved = fractions["wm"] * np.maximum(member, spotted * deep).astype(np.float32)
        fractions["wm"] -= moved
        fractions["wmh"] += moved
    x, y, z = tissues.place_mm.T
    sinus = (np.abs(x) < 4.5) & (tissues.depth_mm < 6) & (z > -12) & ((y < -30) | (z > 35))
    vein = (veins.on(lattice)[brain] > 2.0) & (tissues.depth_mm < 14)
    blood = fractions["csf"] * np.maximum(0.75 * sinus, 0.6 * vein)
    atrium = (tissues.ventricle_mm < 2.5) & (np.abs(x) > 11) & (y < -20) & (y > -46) & (z > -4)
    glomus = atrium & (plexus.on(lattice)[brain] > 0.8)
    choroid = 0.7 * fractions["csf"] * glomus
    fractions["csf"] -= (blood + choroid).astype(np.float32)
    fractions["blood"] += blood.astype(np.float32)
    fractions["enhancing"] += choroid.astype(np.float32)
    return float(fractions["wmh"].sum() * lattice.spacing_mm**3 / 1000.0)


def photograph(
    rng: np.random.Generator, tissues: Tissues, fractions: dict[str, Floats], tumour: dict[str, Tissue]
) -> tuple[dict[Modality, NDArray[np.float32]], dict[str, NDArray[np.float64]]]:
    """The four sequences of one examination, from the (N,) share of each tissue.

    `tumour` has the relaxation of the subject's own tumour, by the name of the tissue it replaces. Returns float32
    (X, Y, Z) images of whole numbers, at least 1 in the brain and 0 outside, each in a scale of its own; and how far
    each sequence spreads a point, (3,) standard deviations in voxels.
    """
    protocol = Protocol.draw(rng)
    lattice, brain = tissues.lattice, tissues.brain
    own = {name: tissue.jitter(rng, 0.04) for name, tissue in (TISSUES | tumour).items()}
    for name in _LESION:
        own[name] = own[name].jitter(rng, 0.05)
    fine, mottled, flow = (Waves.draw(rng, a, b, n) for a, b, n in ((8, 24, 32), (9, 36, 32), (10, 30, 32)))
    lesion = sum(fractions[name] for name in _LESION)
    texture = 1.0 + 0.02 * fine.on(lattice)[brain] + 0.05 * np.asarray(lesion) * mottled.on(lattice)[brain]
    images: dict[Modality, NDArray[np.float32]] = {}
    spread: dict[str, NDArray[np.float64]] = {}
    for sequence in Modality:
        white = protocol.signal(own["wm"], sequence)
        signal = sum(share * (protocol.signal(own[name], sequence) / white) for name, share in fractions.items())
        signal = np.asarray(signal) * texture
        if sequence is Modality.FLAIR:  # fluid that flows escapes its inversion
            low = 1.0 / (1.0 + np.exp(np.clip((tissues.place_mm[:, 2] + 8.0) / 4.0, -30, 30)))
            signal = signal + 1.1 * fractions["csf"] * low * (flow.on(lattice)[brain] > 0.6)
        bias = np.exp(rng.uniform(0.03, 0.11) * Waves.draw(rng, 130, 400, 6).on(lattice)[brain])
        thickness_mm = rng.uniform(1.0, 1.8) if sequence in (Modality.T1, Modality.T1C) else rng.uniform(1.5, 4.5)
        sigma = np.array([0.45, 0.45, thickness_mm / 2.355]) / lattice.spacing_mm
        spread[str(sequence)] = sigma
        blurred = blur_inside(signal * bias, brain, sigma)
        level = rng.uniform(0.012, 0.03) if sequence in (Modality.T1, Modality.T1C) else rng.uniform(0.02, 0.07)
        noise = rng.normal(0, level, size=(2, len(blurred)))
        magnitude = np.hypot(blurred + noise[0], noise[1])  # Rician
        image = np.zeros(brain.shape, dtype=np.float32)
        image[brain] = np.maximum(np.rint(magnitude * rng.uniform(150, 900)), 1)
        images[sequence] = image
    return images, spread


def blur_inside(values: NDArray[np.floating], brain: NDArray[np.bool_], sigma: NDArray[np.floating]) -> Floats:
    """Gaussian blur of brain voxels that takes nothing from outside the brain; sigma in voxels."""
    volume = np.zeros(brain.shape, dtype=np.float32)
    volume[brain] = values
    weight = ndimage.gaussian_filter(brain.astype(np.float32), sigma, truncate=3.0)
    return np.asarray(ndimage.gaussian_filter(volume, sigma, truncate=3.0)[brain] / weight[brain], dtype=np.float32)
