"""Measuring: segmentations against truth, and the demo that runs everything once."""
