"""SynthTumour: networks that learned from made tumours alone."""

from annofree.methods.synthtumour.method import SynthTumour, SynthTumourSettings

__all__ = ["SynthTumour", "SynthTumourSettings"]
