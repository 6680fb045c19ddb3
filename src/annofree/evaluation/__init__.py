"""Folders of segmentations against a folder of truth."""
