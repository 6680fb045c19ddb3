"""The results of an output folder as DICOM objects beside the series that they were made on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from annofree.errors import InputError
from annofree.formats.bids_names import mask_path
from annofree.formats.case import with_unique_ids
from annofree.formats.dicom.case import DicomCase, DicomSettings, find
from annofree.formats.dicom.seg import write_dicom_seg
from annofree.formats.dicom.sr import write_dicom_sr
from annofree.formats.stored import read_segmentation, written_ids


def export_dicom_seg(
    results: Path,
    sources: Path | Sequence[Path],
    out: Path | None = None,
    *,
    settings: DicomSettings | None = None,
    method: str | None = None,
    labelmap: bool = False,
    report: bool = False,
) -> list[Path]:
    """Write the segmentations of an output folder as DICOM SEG, one file a study, and structured reports beside them.

    `sources` are the folders, archives or files that were segmented, all that one run was given: they name the scans.
    They go beside the masks unless `out` says where. A report that lies there is made again with the SEG that it
    refers to. `settings.keep_ids` has to be as it was when the scans were read,
    because it names them.

    Raises:
        InputError: No segmentation belongs to any study, or one cannot be placed on its series.
    """
    settings, several = settings or DicomSettings(), [sources] if isinstance(sources, Path) else sources
    known = set(written_ids(results, method))
    named = with_unique_ids(case for source in several for case in find(source, settings))
    cases = [case for case in named.values() if case.id in known and isinstance(case, DicomCase)]
    if not cases:
        shown = ", ".join(sorted(known)[:3]) or "none"
        raise InputError(
            "No segmentation belongs to a study of the DICOM folder",
            file=results,
            why=f"scans with results: {shown}",
            fix="Name all that annofree segment read (--dicom may be repeated), with --keep-ids if it was given then",
        )
    written = []
    for case in cases:
        result = read_segmentation(results, case.id, method, scores=())
        mask = mask_path(results, case.id, str(result.provenance.get("method") or "annofree"))
        name = mask.name.replace("_label-lesion", "").replace("_mask.nii.gz", "_seg.dcm")
        path = (mask.parent if out is None else out) / name
        written.append(write_dicom_seg(result, case, path, labelmap=labelmap, keep_ids=settings.keep_ids))
        told = path.with_name(path.name.replace("_seg.dcm", "_sr.dcm"))
        if report or told.exists():
            written.append(write_dicom_sr(result, case, path, told, keep_ids=settings.keep_ids))
    return written
