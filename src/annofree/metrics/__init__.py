"""Scores of a segmentation against truth: every metric, one case or a cohort.

`score_case` scores one case, `summarise` a cohort, `compare` two methods on the same patients. Each metric is also a
function of its own. What an empty mask means is data: `EMPTY_CASES`. `docs/metrics.md` defines every row.
"""

from annofree.metrics.case import CaseScores, Score, score_case
from annofree.metrics.empty_cases import EMPTY_CASES, WORST_MM, EmptyCase, EmptyPolicy
from annofree.metrics.lesion_matching import LesionMatches, match_lesions
from annofree.metrics.lesionwise import LESION_RULES, LesionRule, LesionScore, LesionWise, lesionwise, rule_for
from annofree.metrics.overlap import Overlap
from annofree.metrics.ranking import RankCounts, oracle_common_curve, oracle_common_threshold
from annofree.metrics.rules import RULES, ScoringRule, scoring_rule
from annofree.metrics.sanity import SANITY_ROWS, sanity_labels, score_sanity
from annofree.metrics.slices import SliceDice
from annofree.metrics.statistics import (
    MINIMUM_FOR_TEST,
    Comparison,
    bootstrap_interval,
    bootstrap_means,
    compare,
    holm,
)
from annofree.metrics.strata import strata_of
from annofree.metrics.summary import Summary, SummaryRow, summarise, write_case_scores, write_table
from annofree.metrics.surface import hd95_mm, hd_mm, surface_dice

__all__ = [
    "EMPTY_CASES",
    "LESION_RULES",
    "MINIMUM_FOR_TEST",
    "RULES",
    "SANITY_ROWS",
    "WORST_MM",
    "CaseScores",
    "Comparison",
    "EmptyCase",
    "EmptyPolicy",
    "LesionMatches",
    "LesionRule",
    "LesionScore",
    "LesionWise",
    "Overlap",
    "RankCounts",
    "Score",
    "ScoringRule",
    "SliceDice",
    "Summary",
    "SummaryRow",
    "bootstrap_interval",
    "bootstrap_means",
    "compare",
    "hd95_mm",
    "hd_mm",
    "holm",
    "lesionwise",
    "match_lesions",
    "oracle_common_curve",
    "oracle_common_threshold",
    "rule_for",
    "sanity_labels",
    "score_case",
    "score_sanity",
    "scoring_rule",
    "strata_of",
    "summarise",
    "surface_dice",
    "write_case_scores",
    "write_table",
]
