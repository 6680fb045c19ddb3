"""SAM, SAM 2 or MedSAM as a refiner, from a local folder of weights."""

from annofree.refine.sam.refiner import Sam

__all__ = ["Sam"]
