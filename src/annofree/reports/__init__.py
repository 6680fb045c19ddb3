"""Report text -> findings -> regions -> prior map."""

from annofree.reports.findings import Certainty, Finding, Place, Reading, ReportedLesion, Side, Size, Span
from annofree.reports.lexicon import Lexicon
from annofree.reports.rules import read_report
from annofree.reports.sizes import VolumeRange, volume_of

__all__ = [
    "Certainty",
    "Finding",
    "Lexicon",
    "Place",
    "Reading",
    "ReportedLesion",
    "Side",
    "Size",
    "Span",
    "VolumeRange",
    "read_report",
    "volume_of",
]
