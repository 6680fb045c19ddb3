"""intensity: the plain rule that every method has to beat, what is bright on FLAIR is tumour."""

from annofree.methods.intensity.method import Intensity, IntensitySettings, PublishedIntensity

__all__ = ["Intensity", "IntensitySettings", "PublishedIntensity"]
