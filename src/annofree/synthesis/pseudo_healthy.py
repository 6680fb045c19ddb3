"""A brain without tumour from a patient with one: the better half, mirrored over the worse.

Nobody annotates anything: tumours are asymmetric, so the half that is brighter on FLAIR and T2 and darker on T1 than
its mirror image is taken to be the diseased one. What cannot be told this way (tumours on both sides or across the
midline, strong shifts of the midline) is found by checks on the result, and such a brain is not usable.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from annofree.intensity import robust_level
from annofree.masks import Mask, SmoothingInside, largest_component
from annofree.scan import Modality, Scan
from annofree.synthesis.carrier import Carrier, Images, finish, upright

DIRECTION = {Modality.FLAIR: 1.0, Modality.T2: 1.0, Modality.T1: -1.0, Modality.T1C: -1.0}
"""Whether diseased tissue is mostly brighter or darker than healthy tissue."""


#: Gaussian sigma before halves are compared: folds of the two halves never match exactly.
_SMOOTH_MM = 3.0
#: Asymmetry, in robust standard deviations of the brain, that is no sign of disease.
_TOLERANCE = 1.0
#: Half width of the seam at the midline, over which the halves are blended.
_SEAM_MM = 4.0
#: Largest bright region (FLAIR above 2 robust standard deviations) that a healthy brain may show.
MOST_BRIGHT_ML = 20.0
#: How many times more abnormal the other half must be than the kept one, unless both are nearly alike.
_LEAST_CONTRAST = 1.5
#: Abnormal volume below which a half counts as healthy anyway.
_ALIKE_ML = 8.0
#: Largest median difference across the midline in robust standard deviations: a shifted midline has no mirror.
_MOST_SEAM = 0.9
#: Volumes of a brain that was cut out well.
_BRAIN_ML = (700.0, 2200.0)


def pseudo_healthy(scan: Scan) -> Carrier:
    """Make a carrier of a patient's scan, skull-stripped or with a brain mask. Look at its `usable` and `checks`.

    Returns:
        The carrier. Its checks: `symmetry` of the whole head, `kept_right` (1 if the right half was kept), `left_ml`
        and `right_ml` (abnormal volume of each half, weighted by its strength), `bright_ml` (largest bright region
        left), `seam` (difference across the midline) and `brain_ml`.

    Raises:
        InputError: There is no brain.
    """
    images, brain, checks = upright(scan)
    sequences = tuple(scan.sequences)
    scores = robust_scores(images, brain)
    left, right = abnormal_ml(scores, brain, sequences)
    keep_right = right < left
    joined, whole = join(images, brain, keep_right=keep_right)
    checks |= {"kept_right": float(keep_right), "left_ml": left, "right_ml": right}
    checks["brain_ml"] = float(whole.sum()) / 1e3
    checks["bright_ml"] = _bright_ml(joined, whole, sequences)
    checks["seam"] = _seam(scores, brain)
    kept, other = min(left, right), max(left, right)
    usable = (
        _BRAIN_ML[0] <= checks["brain_ml"] <= _BRAIN_ML[1]
        and checks["bright_ml"] <= MOST_BRIGHT_ML
        and checks["seam"] <= _MOST_SEAM
        and (kept <= _ALIKE_ML or other >= _LEAST_CONTRAST * kept)
    )
    return finish(scan.id, joined, whole, sequences, checks, usable=bool(usable))


def robust_scores(images: Images, brain: Mask) -> Images:
    """(C, X, Y, Z) distance from the brain's median in robust standard deviations, clipped at 5; 0 outside."""
    out = np.zeros(images.shape, np.float32)
    for image, target in zip(images, out, strict=True):
        values = image[brain]
        middle, spread = robust_level(values)
        target[brain] = np.clip((values - middle) / spread, -5.0, 5.0)
    return out


def abnormal_ml(scores: Images, brain: Mask, sequences: tuple[Modality, ...]) -> tuple[float, float]:
    """How much of the left and of the right half looks diseased beside the other: ml, weighted by strength.

    T1C counts only where it is alone.
    """
    used = [i for i, s in enumerate(sequences) if s != Modality.T1C] or list(range(len(sequences)))
    sign = [DIRECTION[sequences[i]] for i in used]
    disease = sum(s * scores[i] for i, s in zip(used, sign, strict=True)) / len(used)
    small = _halved(np.asarray(disease, np.float32))
    both = _halved(brain.astype(np.float32))
    both = np.minimum(both, both[::-1])
    asymmetry = SmoothingInside(both, _SMOOTH_MM, 2.0, least=0.2)(small - small[::-1])
    excess = np.clip(asymmetry - _TOLERANCE, 0.0, 2.0) * (both > 0.5)
    middle = excess.shape[0] // 2
    voxel_ml = 8.0 / 1000.0
    return float(excess[:middle].sum()) * voxel_ml, float(excess[middle:].sum()) * voxel_ml


def join(images: Images, brain: Mask, *, keep_right: bool) -> tuple[Images, Mask]:
    """The kept half and its mirror image, blended over the seam; symmetric by construction."""
    across = (np.arange(brain.shape[0]) - (brain.shape[0] - 1) / 2.0) * (1.0 if keep_right else -1.0)
    weight = np.clip(0.5 + across / (2.0 * _SEAM_MM), 0.0, 1.0).astype(np.float32)[:, None, None]
    share = weight * brain + weight[::-1] * brain[::-1]
    whole = share > 0.5
    out = np.empty_like(images)
    for image, target in zip(images, out, strict=True):
        # outside one half's brain only the other half speaks, so that the seam has no dark line
        target[...] = (weight * image * brain + (weight * image * brain)[::-1]) / np.maximum(share, 1e-3) * whole
    return out, whole


def _bright_ml(images: Images, brain: Mask, sequences: tuple[Modality, ...]) -> float:
    """Largest connected region that is bright on FLAIR (else T2, else dark on T1), 4 mm below the brain's surface."""
    sequence = next(s for s in (Modality.FLAIR, Modality.T2, Modality.T1, Modality.T1C) if s in sequences)
    scores = robust_scores(images[[sequences.index(sequence)]], brain)[0] * DIRECTION[sequence]
    small = ndimage.gaussian_filter(_halved(scores), 1.0)
    inside = ndimage.binary_erosion(_halved(brain.astype(np.float32)) > 0.5, iterations=2)
    bright = (small > 2.0) & inside
    if sequence != Modality.FLAIR:
        # fluid is as bright as a tumour there: what is brighter still than any tumour is fluid
        bright &= small < 4.0
    return float(largest_component(bright, 6).sum()) * 8.0 / 1000.0


def _seam(scores: Images, brain: Mask) -> float:
    """Median difference between points 3 to 8 mm left and right of the plane."""
    middle = brain.shape[0] // 2
    right, left = slice(middle + 3, middle + 9), slice(middle - 9, middle - 3)
    both = brain[right] & brain[left][::-1]
    smooth = [ndimage.uniform_filter(score[middle - 12 : middle + 12], 3) for score in scores]
    gaps = [np.abs(score[15:21] - score[3:9][::-1])[both] for score in smooth]
    return float(np.mean([np.median(gap) for gap in gaps])) if both.any() else float("inf")


def _halved(volume: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means of 2 x 2 x 2 voxels."""
    x, y, z = (n // 2 for n in volume.shape)
    return np.asarray(volume.reshape(x, 2, y, 2, z, 2).mean((1, 3, 5)), np.float32)
