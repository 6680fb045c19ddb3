"""The phantom cohort as files, in BraTS-like folders, with the truth kept apart; and as class folders of JPEG slices.

Such folders stand in for public sets that nobody may pass on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.formats.nifti import write_volume
from annofree.formats.outfolder import write_json
from annofree.formats.standing import whole_or_nothing
from annofree.phantom.recipes import KINDS
from annofree.phantom.subject import PhantomSubject, phantom_cohort, phantom_subject
from annofree.scan import Modality, Scan

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


#: Classes are named "<kind> <sequence>", as in sets with one folder for each tumour type and sequence.
SEQUENCES = (Modality.T1, Modality.T1C, Modality.T2)
_QUALITY = 75
_SLICES = 6


def write_class_folders(
    out: str | Path,
    n: int = 8,
    seed: int = 0,
    *,
    kinds: Sequence[str] = KINDS,
    sequences: Sequence[Modality] = SEQUENCES,
    spacing_mm: float = 2.0,
) -> Path:
    """Write axial slices of phantoms as JPEG files, with the noise that JPEG brings, to a new or empty folder.

    Every kind and sequence is a class of its own, of `n` slices; a subject gives up to six. The folder is given back.

    Raises:
        OutputError: The folder holds files already, or cannot be written.
        InputError: A number that makes no sense, or an unknown kind.
    """
    from PIL import Image

    if n < 1:
        raise InputError(f"{n} slices a class cannot be written", fix="Use one slice or more")
    root = Path(out)
    with whole_or_nothing(root, "folder for the pictures") as half:
        for number, kind in enumerate(kinds):
            for first in range(0, n, _SLICES):
                own = seed * 1_000_000 + number * 10_000 + first
                subject = phantom_subject(own, kind=kind, spacing_mm=spacing_mm)
                levels = _levels(subject, min(_SLICES, n - first))
                for sequence in sequences:
                    place = half / f"{kind} {sequence}"
                    place.mkdir(parents=True, exist_ok=True)
                    for index, level in enumerate(levels, start=first):
                        picture = _picture(subject.scan, sequence, level)
                        Image.fromarray(picture).save(place / f"{index:03d}.jpg", quality=_QUALITY)
    return root


def _levels(subject: PhantomSubject, count: int) -> list[int]:
    """Heights of slices: evenly through the tumour, or through the middle half of a brain without one."""
    area = (subject.labels > 0).sum(axis=(0, 1))
    if area.any():
        held = np.flatnonzero(area >= 0.3 * area.max())
    else:
        brain = subject.scan.foreground().sum(axis=(0, 1))
        held = np.flatnonzero(brain >= 0.6 * brain.max())
    places = np.linspace(held[0], held[-1], count + 2)[1:-1]
    return [round(float(place)) for place in places]


def _picture(scan: Scan, sequence: Modality, level: int) -> NDArray[np.uint8]:
    """One axial slice as a viewer shows it, front up, the patient's right on the left: (H, W) uint8."""
    image = scan.images[sequence]
    top = float(np.percentile(image[scan.foreground()], 99.7))
    slice_ = np.clip(image[::-1, ::-1, level].T / top, 0.0, 1.0)
    picture: NDArray[np.uint8] = np.round(slice_ * 255.0).astype(np.uint8)
    return picture
