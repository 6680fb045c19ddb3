"""Where a region ends: one rule for made tumours, phantoms and everything that draws a border.

Readers outline what is visibly abnormal (Baid 2021: the whole extent of abnormal FLAIR signal, and enhancement wherever
T1C is brighter than T1 and than healthy tissue). A change can be seen where it exceeds about two standard deviations of
the noise. Clinical FLAIR shows oedema, and T1C shows enhancement, at about eight standard deviations: a voxel looks
abnormal from a tumour share of 2 / 8 on. Core that does not enhance stands out from the oedema around it by about four,
which is where "visible" and "half of the voxel" agree. Slices of several millimetres were resampled before anyone drew,
so the share is that of the slice, not of the tissue at the point.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

Rule = Literal["visible", "half"]

VISIBLE: Mapping[str, float] = MappingProxyType({"WT": 0.25, "TC": 0.5, "ET": 0.25})
"""Tumour share of a voxel from which on it belongs to a region, as a reader draws it."""

HALF: Mapping[str, float] = MappingProxyType({"WT": 0.5, "TC": 0.5, "ET": 0.5})
"""The physicist's border: half of the voxel is tumour."""


def shares(rule: Rule) -> Mapping[str, float]:
    """Smallest tumour share of each region (WT, TC, ET) under a rule."""
    return VISIBLE if rule == "visible" else HALF
