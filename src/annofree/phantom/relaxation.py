"""MR signal of tissues from their relaxation times: contrast by physics, not by drawn grey values.

Signal equations of spin echo and inversion recovery: Bernstein, King, Zhou, "Handbook of MRI Pulse Sequences" (2004).
Relaxation times are round numbers typical of clinical scanners, not one study's values; compare Stanisz et al. 2005
(doi 10.1002/mrm.20605). A contrast agent shortens T1 by its relaxivity, about 4.5 per mM and second.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from annofree.scan import Modality

RELAXIVITY_PER_MM_S = 4.5


@dataclass(frozen=True)
class Tissue:
    """Proton density (water = 1), T1 and T2 in ms, and uptake of contrast agent in mM."""

    density: float
    t1_ms: float
    t2_ms: float
    uptake_mm: float = 0.0

    def jitter(self, rng: np.random.Generator, spread: float) -> Tissue:
        """The tissue of another subject: times scaled log-normally by `spread`."""
        t1, t2 = np.exp(rng.normal(0, spread, size=2))
        return replace(self, t1_ms=self.t1_ms * float(t1), t2_ms=self.t2_ms * float(t2))


TISSUES: dict[str, Tissue] = {
    "csf": Tissue(1.00, 4000, 1300),
    "gm": Tissue(0.81, 1150, 88, 0.015),
    "wm": Tissue(0.71, 750, 74, 0.01),
    "wmh": Tissue(0.78, 1050, 118, 0.01),
    "oedema": Tissue(0.84, 1300, 140, 0.02),
    "enhancing": Tissue(0.85, 1350, 115, 0.45),
    "solid": Tissue(0.86, 1500, 150, 0.03),
    "necrosis": Tissue(0.93, 2300, 210, 0.05),
    "cyst": Tissue(0.98, 3300, 700, 0.02),
    "blood": Tissue(0.80, 1500, 45, 1.6),
}


@dataclass(frozen=True)
class Protocol:
    """Timing in ms of the four sequences of one examination.

    T1 and T1C share one protocol: spin echo, or inversion-prepared gradient echo when `t1_inversion` is given.
    """

    t1_repetition: float
    t1_echo: float
    t1_inversion: float | None
    t2_repetition: float
    t2_echo: float
    flair_repetition: float
    flair_inversion: float
    flair_echo: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Protocol:
        """A clinical protocol within the usual ranges."""
        inversion = rng.random() < 0.5
        flair_repetition = rng.uniform(8000, 10000)
        # The inversion time that nulls fluid, missed by a little as on real scanners.
        null = np.log(2.0 / (1.0 + np.exp(-flair_repetition / TISSUES["csf"].t1_ms))) * TISSUES["csf"].t1_ms
        return cls(
            t1_repetition=float(rng.uniform(2000, 2300) if inversion else rng.uniform(480, 680)),
            t1_echo=float(rng.uniform(3, 4) if inversion else rng.uniform(9, 15)),
            t1_inversion=float(rng.uniform(1050, 1250)) if inversion else None,
            t2_repetition=float(rng.uniform(3500, 6000)),
            t2_echo=float(rng.uniform(85, 110)),
            flair_repetition=float(flair_repetition),
            flair_inversion=float(null * rng.uniform(0.94, 1.03)),
            flair_echo=float(rng.uniform(95, 130)),
        )

    def signal(self, tissue: Tissue, sequence: Modality) -> float:
        """Magnitude signal of a tissue in a sequence, in units of fully relaxed water."""
        t1_ms = tissue.t1_ms
        if sequence is Modality.T1C:
            t1_ms = 1.0 / (1.0 / t1_ms + RELAXIVITY_PER_MM_S * tissue.uptake_mm / 1000.0)
        if sequence is Modality.T2:
            repetition, echo, inversion = self.t2_repetition, self.t2_echo, None
        elif sequence is Modality.FLAIR:
            repetition, echo, inversion = self.flair_repetition, self.flair_echo, self.flair_inversion
        else:
            repetition, echo, inversion = self.t1_repetition, self.t1_echo, self.t1_inversion
        recovered = 1.0 - np.exp(-repetition / t1_ms)
        if inversion is not None:
            recovered = 1.0 - 2.0 * np.exp(-inversion / t1_ms) + np.exp(-repetition / t1_ms)
        return float(tissue.density * abs(recovered) * np.exp(-echo / tissue.t2_ms))
