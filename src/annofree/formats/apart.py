"""Healthy scans and patients are other people's."""

from __future__ import annotations

from pathlib import Path

from annofree.errors import InputError, some
from annofree.scan import Cohort


def refuse_shared(healthy: Cohort | None, patients: Cohort | None) -> None:
    """Refuse files that are given as a healthy scan's and as a patient's: a tumour would be taken for healthy.

    Raises:
        InputError: There are such.
    """

    def files(cohort: Cohort | None) -> dict[Path, str]:
        origins = {} if cohort is None else {scan_id: cohort.origin(scan_id) for scan_id in cohort.ids}
        told = ((scan_id, *pair) for scan_id, own in origins.items() if own is not None for pair in own.files)
        return {path.resolve(): scan_id for scan_id, role, path in told if role != "brain mask"}

    well, ill = files(healthy), files(patients)
    if both := sorted({well[path] for path in well.keys() & ill.keys()}):
        what = f"{some(both)} {'is' if len(both) == 1 else 'are'} among the healthy scans and among the patients"
        raise InputError(what, why="who has a tumour must not teach what is healthy", fix="Give two folders")
