"""Real brains without tumour on disk, ready to carry made ones."""

from __future__ import annotations

from pathlib import Path

from annofree.errors import AnnofreeError
from annofree.formats.outfolder import read_json, write_json
from annofree.methods.synthtumour.cases import folder_name
from annofree.scan import Cohort

#: Real brains that carry made tumours: at most so many healthy ones and so many pseudo-healthy ones.
MOST_CARRIERS = 12


def write_carriers(healthy: Cohort, patients: Cohort, folder: Path, *, most: int = MOST_CARRIERS) -> list[Path]:
    """Write the carriers that are not there yet, at most so many of each kind, and give their files.

    Healthy scans are taken as they are; of a patient the healthier half is mirrored over the other. A patient without a
    usable better half is left out (`carriers.json` tells), and so is a scan that cannot be used.
    """
    from annofree.synthesis.carrier import carrier_of
    from annofree.synthesis.pseudo_healthy import pseudo_healthy

    notes = folder / "carriers.json"
    known: dict[str, bool] = read_json(notes) or {}
    files = []
    for kind, cohort, make in (("healthy", healthy, carrier_of), ("mirrored", patients, pseudo_healthy)):
        usable = 0
        for scan_id in cohort.ids:
            if usable == most:
                break
            name = f"{kind}_{folder_name(scan_id)}.npz"
            if name not in known:
                try:
                    carrier = make(cohort[scan_id])
                except AnnofreeError:
                    known[name] = False
                else:
                    known[name] = carrier.usable
                    if carrier.usable:
                        carrier.save(folder / name)
                write_json(notes, known)
            if known[name]:
                files.append(folder / name)
                usable += 1
    return files
