"""Thresholds: one file a rule. `parse("fixed:2.0")` and `from_dict(...)` make them from text and from JSON."""

from annofree.thresholds.base import Fittable, HealthyScores, Threshold
from annofree.thresholds.fixed import Fixed
from annofree.thresholds.spec import KINDS, from_dict, parse

__all__ = ["KINDS", "Fittable", "Fixed", "HealthyScores", "Threshold", "from_dict", "parse"]
