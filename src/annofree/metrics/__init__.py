"""Scores of a segmentation against truth: every metric, one case or a cohort.

`score_case` scores one case, `summarise` a cohort, `compare` two methods on the same patients. Each metric is also a
function of its own. What an empty mask means is data: `EMPTY_CASES`. `docs/metrics.md` defines every row.
"""

from annofree.metrics.case import CaseScores, Score, score_case
from annofree.metrics.empty_cases import EMPTY_CASES, WORST_MM
from annofree.metrics.lesion_matching import match_lesions
from annofree.metrics.lesionwise import LESION_RULES, LesionRule, lesionwise
from annofree.metrics.overlap import Overlap
from annofree.metrics.ranking import RankCounts
from annofree.metrics.rules import RULES
from annofree.metrics.slices import SliceDice
from annofree.metrics.statistics import compare
from annofree.metrics.summary import Summary, summarise, write_case_scores
from annofree.metrics.surface import hd95_mm, hd_mm, surface_dice

__all__ = [
    "EMPTY_CASES",
    "LESION_RULES",
    "RULES",
    "WORST_MM",
    "CaseScores",
    "LesionRule",
    "Overlap",
    "RankCounts",
    "Score",
    "SliceDice",
    "Summary",
    "compare",
    "hd95_mm",
    "hd_mm",
    "lesionwise",
    "match_lesions",
    "score_case",
    "summarise",
    "surface_dice",
    "write_case_scores",
]
