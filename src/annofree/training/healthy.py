"""Made brains without tumour to learn from, as scans; loads torch only when one is made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from annofree.scan import Modality, Scan

if TYPE_CHECKING:
    from annofree.synthesis import LabelMapBank


def bank_of(labelmaps: str | None, cache: Path | None = None) -> LabelMapBank:
    """Anatomies: a folder of label maps (kept in `cache` once read), a bank file saved from one, or MNI's for None."""
    from annofree.synthesis import LabelMapBank

    if labelmaps is None:
        return LabelMapBank.from_mni()
    return (
        LabelMapBank.load(labelmaps) if Path(labelmaps).is_file() else LabelMapBank.from_folder(labelmaps, cache=cache)
    )


def made_scan(bank: LabelMapBank, seed: int, name: str | None = None) -> Scan:
    """A made four-sequence brain without tumour, 2 mm."""
    from annofree.synthesis import SynthesisSettings, make_case
    from annofree.synthesis.settings import Tumours

    case = make_case(bank, SynthesisSettings(tumours=Tumours(healthy_share=1.0)), seed)
    images = {s: image for s, image in zip(Modality, case.images.numpy(), strict=True) if image.any()}
    step = case.spacing_mm
    return Scan(name or f"made-{seed}", images, np.diag([step, step, step, 1.0]), brain=case.brain.numpy())
