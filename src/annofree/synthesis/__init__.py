"""Made brains and made tumours."""

from __future__ import annotations

from annofree.synthesis.bank import BrainMap, LabelMapBank
from annofree.synthesis.export import export_cases
from annofree.synthesis.generator import MadeCase, make_case
from annofree.synthesis.settings import SynthesisSettings

__all__ = ["BrainMap", "LabelMapBank", "MadeCase", "SynthesisSettings", "export_cases", "make_case"]
