"""One healthy brain from two people's: the left half of one beside the right half of the other.

Healthy hyperintensities come in pairs, but not in equal ones, and healthy scans are few. Two people's halves make a
real brain whose sides differ as much as people do, and whose brightness is real on both: no tumour, however uneven.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from annofree.errors import InputError
from annofree.masks import Mask, bounding_box
from annofree.scan import Modality
from annofree.synthesis.carrier import Carrier, Images, finish
from annofree.synthesis.pseudo_healthy import blend_halves

_STRETCH = (0.6, 1.7)
"""How far the second person's contrast may be stretched to the first one's."""


def joined_halves(left: Carrier, right: Carrier, *, seam_mm: float = 4.0) -> Carrier:
    """The left half of one carrier and the right half of another, fitted to the first one's box and grey levels.

    Args:
        left: Keeps its pose, its size and its contrast.
        right: Is stretched along each axis to the box of `left`'s brain.
        seam_mm: Half width of the seam at the midline.

    Returns:
        A carrier with their sequences; its check `brain_ml` is the volume of the whole.

    Raises:
        InputError: They have different sequences.
    """
    if left.sequences != right.sequences:
        raise InputError(f"'{left.id}' and '{right.id}' have different sequences", fix="Join people with the same ones")
    order = [list(Modality).index(s) for s in left.sequences]
    images, brain = _fitted(right, order, left.brain)
    for image, index in zip(images, order, strict=True):
        wanted, there = (float(c.levels[index, 1] - c.levels[index, 0]) for c in (left, right))
        stretch = np.clip(wanted / there, *_STRETCH) if wanted * there > 0 else 1.0
        image[brain] = np.maximum(1.0 + (image[brain] - 1.0) * stretch, 0.0)
    own = left.images[order].astype(np.float32)
    joined, whole = blend_halves((own, left.brain), (images, brain), seam_mm=seam_mm)
    checks = {"brain_ml": float(whole.sum()) / 1e3}
    return finish(f"{left.id}+{right.id}", joined, whole, left.sequences, checks, usable=True)


def _fitted(carrier: Carrier, order: list[int], onto: Mask) -> tuple[Images, Mask]:
    """Images and brain of a carrier, stretched along each axis until its box is that of another brain."""
    source, target = bounding_box(carrier.brain), bounding_box(onto)
    assert source is not None
    assert target is not None
    scale = np.array([(s.stop - s.start) / (t.stop - t.start) for s, t in zip(source, target, strict=True)])
    scale[0] = _width(carrier.brain) / _width(onto)
    middle = [((s.start + s.stop - 1) / 2, (t.start + t.stop - 1) / 2) for s, t in zip(source, target, strict=True)]
    middle[0] = ((carrier.brain.shape[0] - 1) / 2,) * 2  # the midsagittal plane stays where it is
    offset = [s - k * t for (s, t), k in zip(middle, scale, strict=True)]

    def moved(volume: Images) -> Images:
        return np.asarray(ndimage.affine_transform(volume, scale, offset, order=1))

    share = moved(carrier.brain.astype(np.float32))
    brain = share > 0.5
    images = np.stack([moved(carrier.images[i].astype(np.float32)) for i in order])
    return np.asarray(images / np.maximum(share, 0.5) * brain, np.float32), brain


def _width(brain: Mask) -> float:
    """How far a brain reaches to the right of the midsagittal plane, in voxels."""
    return float(np.flatnonzero(brain.any(axis=(1, 2))).max() - (brain.shape[0] - 1) / 2)
