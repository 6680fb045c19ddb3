"""Thresholds: one file a rule. `parse("fixed:2.0")` and `from_dict(...)` make them from text and from JSON."""

from annofree.thresholds.base import Fittable, HealthyScores, Threshold
from annofree.thresholds.conformal import Conformal
from annofree.thresholds.fixed import Fixed
from annofree.thresholds.healthy import HealthyQuantile
from annofree.thresholds.mad import Mad
from annofree.thresholds.oracle import Oracle
from annofree.thresholds.otsu import Otsu
from annofree.thresholds.spec import KINDS, from_dict, parse

__all__ = [
    "KINDS",
    "Conformal",
    "Fittable",
    "Fixed",
    "HealthyQuantile",
    "HealthyScores",
    "Mad",
    "Oracle",
    "Otsu",
    "Threshold",
    "from_dict",
    "parse",
]
