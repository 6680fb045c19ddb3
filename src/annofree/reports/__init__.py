"""Report text -> findings -> regions -> prior map."""

from annofree.reports.findings import Certainty, Finding, Place, Reading, ReportedLesion, Side, Size, Span
from annofree.reports.language_model import LanguageModelReader, LanguageModelSettings
from annofree.reports.lexicon import Lexicon
from annofree.reports.prior import PriorSettings, ReportPrior, report_prior
from annofree.reports.region_table import RegionTable
from annofree.reports.regions import AtlasRegions
from annofree.reports.rules import read_report
from annofree.reports.sizes import VolumeRange, volume_of

__all__ = [
    "AtlasRegions",
    "Certainty",
    "Finding",
    "LanguageModelReader",
    "LanguageModelSettings",
    "Lexicon",
    "Place",
    "PriorSettings",
    "Reading",
    "RegionTable",
    "ReportPrior",
    "ReportedLesion",
    "Side",
    "Size",
    "Span",
    "VolumeRange",
    "read_report",
    "report_prior",
    "volume_of",
]
