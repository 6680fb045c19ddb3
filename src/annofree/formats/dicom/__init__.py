"""DICOM: folders and archives from a scanner to cases, and segmentations back as DICOM SEG."""

from __future__ import annotations

from annofree.formats.dicom.case import DicomCase, DicomSettings, find, open_studies, recognises, require_dicom

__all__ = ["DicomCase", "DicomSettings", "find", "open_studies", "recognises", "require_dicom"]
