"""Files to and from `Scan`, `Truth`, `Segmentation`. One file a format; the layouts are data in `layouts.py`."""

from __future__ import annotations

from annofree.formats.derivatives import write_segmentation
from annofree.formats.nnunet import export_nnunet
from annofree.formats.scans import open_cohort, open_scan
from annofree.formats.stored import read_segmentation, written_ids
from annofree.formats.truth import find_truth, label_values, locate_truth, open_truth

__all__ = [
    "export_nnunet",
    "find_truth",
    "label_values",
    "locate_truth",
    "open_cohort",
    "open_scan",
    "open_truth",
    "read_segmentation",
    "write_segmentation",
    "written_ids",
]
