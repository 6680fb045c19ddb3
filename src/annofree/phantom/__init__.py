"""The test cohort: made subjects with known truth, from a generator of its own.

Methods that learn from `annofree.synthesis` are scored here, so the two share no shape or appearance code.
"""

from annofree.phantom.disk import WrittenCohort, write_cohort
from annofree.phantom.pose import reposed
from annofree.phantom.recipes import KINDS
from annofree.phantom.subject import PhantomCohort, PhantomSubject, phantom_cohort, phantom_subject

__all__ = [
    "KINDS",
    "PhantomCohort",
    "PhantomSubject",
    "WrittenCohort",
    "phantom_cohort",
    "phantom_subject",
    "reposed",
    "write_cohort",
]
