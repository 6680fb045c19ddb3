"""The phantom cohort as files, in BraTS-like folders, with the truth kept apart."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from annofree.formats.nifti import write_volume
from annofree.formats.outfolder import write_json
from annofree.formats.standing import whole_or_nothing
from annofree.phantom.subject import phantom_cohort
from annofree.scan import Modality

_SUFFIX = {Modality.T1: "t1", Modality.T1C: "t1ce", Modality.T2: "t2", Modality.FLAIR: "flair"}
_MADE = "annofree phantom"


@dataclass(frozen=True)
class WrittenCohort:
    """Where the parts of a written cohort lie.

    Attributes:
        scans: `<id>/<id>_{t1,t1ce,t2,flair}.nii.gz`.
        truth: `<id>_seg.nii.gz`, and `findings.json` with the known answers by id.
        reports: `<id>.txt`, English.
        reports_zh: `<id>.txt`, Chinese.
        ids: The subjects, in order.
    """

    scans: Path
    truth: Path
    reports: Path
    reports_zh: Path
    ids: tuple[str, ...]


def write_cohort(
    out: str | Path, n: int = 48, seed: int = 0, spacing_mm: float = 2.0, healthy_fraction: float = 0.2
) -> WrittenCohort:
    """Make a cohort (`phantom_cohort`) and write it to a new or empty folder.

    Raises:
        OutputError: The folder holds files already, or cannot be written.
        InputError: A number that makes no sense.
    """
    cohort = phantom_cohort(n, seed, spacing_mm, healthy_fraction)
    root = Path(out)
    written = WrittenCohort(root / "scans", root / "truth", root / "reports", root / "reports_zh", cohort.ids)
    with whole_or_nothing(root, "folder for the phantoms") as half:
        folders = [half / place.name for place in (written.scans, written.truth, written.reports, written.reports_zh)]
        for folder in folders:
            folder.mkdir()
        scans, truth, reports, reports_zh = folders
        findings = {}
        for subject in cohort:
            name = subject.scan.id
            (scans / name).mkdir()
            for sequence, image in subject.scan.images.items():
                path = scans / name / f"{name}_{_SUFFIX[sequence]}.nii.gz"
                write_volume(path, image.astype(np.int16), subject.scan.grid, description=_MADE)
            write_volume(truth / f"{name}_seg.nii.gz", subject.labels, subject.scan.grid, description=_MADE)
            (reports / f"{name}.txt").write_text(subject.report_en, encoding="utf-8")
            (reports_zh / f"{name}.txt").write_text(subject.report_zh, encoding="utf-8")
            findings[name] = subject.findings
        write_json(truth / "findings.json", findings)
    return written
