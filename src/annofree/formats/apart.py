"""Healthy scans and patients are other people's."""

from __future__ import annotations

from pathlib import Path

from annofree.errors import InputError, some
from annofree.scan import Cohort


def refuse_shared(healthy: Cohort | None, patients: Cohort | None) -> None:
    """Refuse files that are given as a healthy scan's and as a patient's: a tumour would be taken for healthy.

    A DICOM study is known by its id, which is made from the study's UID.

    Raises:
        InputError: There are such.
    """

    def sources(cohort: Cohort | None) -> dict[Path | str, str]:
        origins = {} if cohort is None else {scan_id: cohort.origin(scan_id) for scan_id in cohort.ids}
        found: dict[Path | str, str] = {}
        for scan_id, own in origins.items():
            if own is not None:
                images = [path.resolve() for role, path in own.files if role != "brain mask"]
                found |= dict.fromkeys(images, scan_id) if images else {scan_id: scan_id}
        return found

    well, ill = sources(healthy), sources(patients)
    if both := sorted({well[source] for source in well.keys() & ill.keys()}):
        what = f"{some(both)} {'is' if len(both) == 1 else 'are'} among the healthy scans and among the patients"
        raise InputError(what, why="who has a tumour must not teach what is healthy", fix="Give two folders")
