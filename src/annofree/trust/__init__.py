"""How far to trust an answer: whether a scan belongs, and whether there is a tumour at all, with its risk."""

from annofree.trust.belongs import CHECKS, examine
from annofree.trust.check import Check

__all__ = ["CHECKS", "Check", "examine"]
