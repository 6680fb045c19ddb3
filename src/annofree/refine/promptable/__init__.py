"""Redraw a mask by a small network that learned from made tumours: the refiner, its network, its training."""

from annofree.refine.promptable.refiner import Promptable

__all__ = ["Promptable"]
