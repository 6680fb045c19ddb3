"""Hashes of the default method's labels, so that a change that should not move them is seen.

A change that is meant to touch them refreshes the hashes with one command, from the repository's root:

    python tests/methods/frozen_labels.py
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

FILE = Path(__file__).with_suffix(".json")
SHARED_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"

#: Seed, kind and voxel edge of each phantom.
PHANTOMS = {
    "phantom glioblastoma": (4, "glioblastoma", 1.5),
    "phantom metastases": (21, "metastases", 2.0),
    "phantom diffuse": (33, "diffuse", 2.0),
}
#: Patients whose labels are hashed; nothing is scored.
PATIENTS = ("BraTS2021_00006", "BraTS2021_01478")


def labels_of(case: str) -> np.ndarray:
    """What the default method answers for a case, on one thread: sums in another order differ in the last bits."""
    import torch

    from annofree import methods
    from annofree.formats import open_scan
    from annofree.phantom import phantom_subject
    from annofree.pipeline import DEFAULT_METHOD

    if case in PHANTOMS:
        seed, kind, spacing_mm = PHANTOMS[case]
        scan = phantom_subject(seed=seed, kind=kind, spacing_mm=spacing_mm).scan
    else:
        scan = open_scan(SHARED_DATA / "patients" / case)
    usual = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return methods.shipped(DEFAULT_METHOD).segment(scan).labels
    finally:
        torch.set_num_threads(usual)


def frozen(labels: np.ndarray) -> dict[str, Any]:
    """A hash of the labels, and how many voxels each has, so that a difference tells its size."""
    voxels = [int((labels == label).sum()) for label in (1, 2, 3)]
    return {"sha256": hashlib.sha256(np.ascontiguousarray(labels).tobytes()).hexdigest(), "voxels": voxels}


def main() -> None:
    """Write the hashes anew; patients that are absent keep theirs."""
    kept = json.loads(FILE.read_text()) if FILE.exists() else {}
    cases = [*PHANTOMS, *(name for name in PATIENTS if (SHARED_DATA / "patients" / name).is_dir())]
    fresh = {**kept, **{case: frozen(labels_of(case)) for case in cases}}
    FILE.write_text(json.dumps(fresh, indent=1) + "\n")
    for case in cases:
        print(case, "as before" if kept.get(case) == fresh[case] else f"was {kept.get(case)}, is {fresh[case]}")


if __name__ == "__main__":
    main()
