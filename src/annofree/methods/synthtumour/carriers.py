"""Real brains without tumour on disk, ready to carry made ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from annofree.errors import AnnofreeError
from annofree.formats.outfolder import write_json
from annofree.methods.synthtumour.cases import folder_name
from annofree.scan import Cohort, Scan

if TYPE_CHECKING:
    from annofree.synthesis.carrier import Carrier

#: Real brains that carry made tumours: at most so many healthy ones and so many pseudo-healthy ones.
MOST_CARRIERS = 12


def write_carriers(healthy: Cohort, patients: Cohort, folder: Path, *, most: int = MOST_CARRIERS) -> list[Path]:
    """Write the carriers that are not there yet, at most so many of each kind, and give their files.

    Healthy scans are taken as they are; halves of two healthy people with the same sequences are joined; of a patient
    the healthier half is mirrored over the other. A patient without a usable better half is left out (`carriers.json`
    tells), and so is a scan that cannot be used.
    """
    from annofree.synthesis.carrier import carrier_of
    from annofree.synthesis.pseudo_healthy import pseudo_healthy

    notes = folder / "carriers.json"
    known: dict[str, bool] = json.loads(notes.read_text(encoding="utf-8")) if notes.is_file() else {}
    files: dict[str, list[Path]] = {"healthy": [], "joined": [], "mirrored": []}

    def write(kind: str, scan_id: str, make: Callable[[], Carrier]) -> None:
        if len(files[kind]) == most:
            return
        name = f"{kind}_{folder_name(scan_id)}.npz"
        if name not in known:
            try:
                carrier = make()
            except AnnofreeError:
                known[name] = False
            else:
                known[name] = carrier.usable
                if carrier.usable:
                    carrier.save(folder / name)
            write_json(notes, known)
        if known[name]:
            files[kind].append(folder / name)

    for scan_id in healthy.ids:
        write("healthy", scan_id, partial(_of, carrier_of, healthy, scan_id))
    for one, other in _pairs(files["healthy"]):
        write("joined", f"{one.stem}+{other.stem}", partial(_joined, one, other))
    for scan_id in patients.ids:
        write("mirrored", scan_id, partial(_of, pseudo_healthy, patients, scan_id))
    return [file for kind in files.values() for file in kind]


def _of(make: Callable[[Scan], Carrier], cohort: Cohort, scan_id: str) -> Carrier:
    return make(cohort[scan_id])


def _joined(one: Path, other: Path) -> Carrier:
    from annofree.synthesis.carrier import Carrier
    from annofree.synthesis.joined_halves import joined_halves

    return joined_halves(Carrier.load(one), Carrier.load(other))


def _pairs(files: Sequence[Path]) -> list[tuple[Path, Path]]:
    """Every two people in either order, so that the first pairs already take everybody."""
    count = len(files)
    return [(files[i], files[(i + step) % count]) for step in range(1, count) for i in range(count)]
