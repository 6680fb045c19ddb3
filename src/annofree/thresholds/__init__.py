"""Thresholds: one file a rule. `parse("fixed:2.0")` and `from_dict(...)` make them from text and from JSON."""

from annofree.registry import Registry, Row
from annofree.thresholds.base import Fittable, HealthyScores, Threshold
from annofree.thresholds.conformal import Conformal
from annofree.thresholds.fixed import Fixed
from annofree.thresholds.healthy import HealthyQuantile
from annofree.thresholds.mad import Mad
from annofree.thresholds.oracle import Oracle
from annofree.thresholds.otsu import Otsu

__all__ = [
    "THRESHOLDS",
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

THRESHOLDS: Registry[Row, Threshold] = Registry(
    "threshold",
    [
        Row.at(f"annofree.thresholds.{place}", name=form.partition(":")[0], form=form)
        for place, form in (
            ("fixed:Fixed", "fixed:2.0"),
            ("healthy:HealthyQuantile", "healthy-quantile:0.99"),
            ("conformal:Conformal", "conformal:2ml@0.2"),
            ("otsu:Otsu", "otsu"),
            ("mad:Mad", "mad:3"),
            ("oracle:Oracle", "oracle"),
            ("learned:Learned", "learned"),
        )
    ],
    number="fixed",
)
parse, from_dict = THRESHOLDS.parse, THRESHOLDS.from_dict
