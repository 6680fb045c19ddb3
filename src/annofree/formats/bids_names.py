"""BIDS names: what a scan's files are called below an output folder, and what a BIDS file says of its kind of series.

A scan that came from a BIDS data set keeps its subject and session; any other id becomes a subject's label.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

#: Letters of the longest label.
MAX_LABEL = 120
_SCAN = re.compile(r"sub-([A-Za-z0-9]+)(?:_ses-([A-Za-z0-9]+))?")


def bids_label(text: str) -> str:
    """A BIDS label (letters and digits) for any text.

    Example:
        >>> bids_label("BraTS2021_00006")
        'BraTS202100006'
    """
    label = re.sub(r"[^A-Za-z0-9]", "", text)
    # Letters outside ASCII, and bytes that are no letters, cannot stay; a hash keeps two such names apart.
    if not label or any(
        not letter.isascii() and (letter.isalnum() or "\udc80" <= letter <= "\udcff") for letter in text
    ):
        label += name_digest(text)[:8]
    if len(label) > MAX_LABEL:  # file systems end names at 255 bytes, and a label stands in a name with others
        label = label[: MAX_LABEL - 8] + name_digest(text)[:8]
    return label


def name_digest(text: str) -> str:
    """A hash of a name, in hexadecimal digits; file names may hold bytes that are no letters of any alphabet."""
    return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()


def bids_stem(scan_id: str) -> str:
    """The first part of the names of a scan's files.

    Example:
        >>> bids_stem("sub-01_ses-pre"), bids_stem("p_3")
        ('sub-01_ses-pre', 'sub-p3')
    """
    return scan_id if _SCAN.fullmatch(scan_id) and len(scan_id) <= MAX_LABEL else f"sub-{bids_label(scan_id)}"


def bids_folder(out: str | Path, scan_id: str) -> Path:
    """The folder of a scan below an output folder: the subject's, or the session's inside it."""
    match = _SCAN.fullmatch(scan_id)
    if match is None or match[2] is None:
        return Path(out) / bids_stem(scan_id)
    return Path(out) / f"sub-{match[1]}" / f"ses-{match[2]}"


def scan_folders(out: str | Path) -> list[Path]:
    """Folders of subjects and of sessions below an output folder."""
    return sorted([*Path(out).glob("sub-*"), *Path(out).glob("sub-*/ses-*")])


def participant_of(scan_id: str) -> str:
    """The label of the person: what stands after `sub-`."""
    match = _SCAN.fullmatch(scan_id)
    return match[1] if match else bids_label(scan_id)


def run_of(name: str) -> int:
    """The run that a BIDS file name gives, 0 where it gives none.

    Example:
        >>> run_of("sub-01_run-2_FLAIR.nii.gz")
        2
    """
    match = re.search(r"_run-(\d+)_", name)
    return int(match[1]) if match else 0


def mask_path(out: str | Path, scan_id: str, method: str) -> Path:
    """Where the whole-tumour mask of a scan lies below an output folder."""
    return image_path(out, scan_id, method, "mask", "lesion")


def image_path(out: str | Path, scan_id: str, method: str, suffix: str, label: str = "") -> Path:
    """Where an image of a method's answer lies: its mask, labels (`dseg`) or scores (`probseg`)."""
    of = f"_label-{bids_label(label)}" if label else ""
    name = f"{bids_stem(scan_id)}_space-orig{of}_desc-{bids_label(method)}_{suffix}.nii.gz"
    return bids_folder(out, scan_id) / "anat" / name


def sidecar_path(path: Path) -> Path:
    """The JSON beside an image."""
    return path.with_name(path.name.removesuffix(".nii.gz") + ".json")
