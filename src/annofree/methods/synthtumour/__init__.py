"""SynthTumour: networks that learned from made tumours alone."""

from annofree.methods.synthtumour.method import SynthTumour
from annofree.methods.synthtumour.settings import SynthTumourSettings

__all__ = ["SynthTumour", "SynthTumourSettings"]
