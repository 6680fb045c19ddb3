"""BLOGRR: what a healthy reconstruction cannot explain, cut where patients' reports say."""

from annofree.methods.blogrr.method import Blogrr
from annofree.methods.blogrr.settings import BlogrrSettings

__all__ = ["Blogrr", "BlogrrSettings"]
