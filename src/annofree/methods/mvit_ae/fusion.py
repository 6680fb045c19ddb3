"""From residuals of single sequences to what is called tumour: early, late and early-late fusion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from annofree.scan import Modality

Fusion = Literal["early", "late", "early-late"]

Map = NDArray[np.float32]

#: Whether tumour is brighter (1) or darker (-1) than what the network expects.
DIRECTION = {Modality.T1: -1.0, Modality.T1C: 1.0, Modality.T2: 1.0, Modality.FLAIR: 1.0}

#: The sequence that decides on oedema is the first of these that is there; T1C decides on enhancement besides.
WATER = (Modality.FLAIR, Modality.T2, Modality.T1)


def oedema_sequence(present: Mapping[Modality, object]) -> Modality | None:
    """The sequence on which oedema is looked for, or None where only T1C is there."""
    return next((s for s in WATER if s in present), None)


def fuse(
    residuals: Mapping[Modality, Map], levels: Mapping[Modality, float], fusion: Fusion, inside: float
) -> dict[str, Map]:
    """Scores of the regions from smoothed signed residuals, in units of the healthy level: above 1 is abnormal.

    Late and early-late fusion differ in how the residuals were made (each sequence reconstructed from itself, or all
    together); both decide per sequence and merge: FLAIR (else T2, else T1) tells oedema, T1C enhancement. Early fusion
    takes one decision on the mean of all sequences; within it T1C tells enhancement. `levels` are what healthy
    residuals rarely exceed in the tumour's direction, `inside` that of T1C within what is called tumour, where vessels
    and dura are rare. "TC" and "ET" are the same map, and there is neither without T1C.
    """
    scaled = {s: DIRECTION[s] * values / np.float32(levels[s]) for s, values in residuals.items()}
    if fusion == "early":
        whole: Map = np.asarray(np.mean(list(scaled.values()), axis=0, dtype=np.float32))
    else:
        water = oedema_sequence(scaled)
        deciding = [scaled[s] for s in (water, Modality.T1C) if s is not None and s in scaled]
        whole = np.asarray(np.maximum.reduce(deciding))
    if Modality.T1C not in residuals:
        return {"WT": whole}
    enhancing = residuals[Modality.T1C] / np.float32(inside)
    return {"WT": whole, "TC": enhancing, "ET": enhancing}
