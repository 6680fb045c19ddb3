"""Refiners: one file an idea. `parse("components:26,min_ml=0.5")` and `from_dict(...)` make them."""

from annofree.refine.base import RefineContext, Refiner
from annofree.refine.brain import ErodedBrain
from annofree.refine.components import KeepComponents
from annofree.refine.healthy import healthy_min_ml
from annofree.refine.holes import FillHoles
from annofree.refine.median import Median
from annofree.refine.mirror import MirrorFilter
from annofree.refine.morphology import Morphology
from annofree.refine.promptable import Promptable
from annofree.refine.sam import Sam
from annofree.refine.spec import KINDS, from_dict, parse, parse_chain, refine
from annofree.refine.walker import RandomWalker

__all__ = [
    "KINDS",
    "ErodedBrain",
    "FillHoles",
    "KeepComponents",
    "Median",
    "MirrorFilter",
    "Morphology",
    "Promptable",
    "RandomWalker",
    "RefineContext",
    "Refiner",
    "Sam",
    "from_dict",
    "healthy_min_ml",
    "parse",
    "parse_chain",
    "refine",
]
