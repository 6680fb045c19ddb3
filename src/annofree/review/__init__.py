"""The page per patient and per cohort: self-contained, offline, nothing outside the brain in it."""

from __future__ import annotations

from annofree.registry import callable_room
from annofree.review.cohort import write_cohort_review
from annofree.review.patient import write_review
from annofree.review.remake import ReviewReport, review

__all__ = ["ReviewReport", "review", "write_cohort_review", "write_review"]

callable_room(__name__, review)
