"""Pseudo-labels of a whole cohort on disk, one folder a patient, with a table and a sheet of pictures.

And the mixing step of a fit: pseudo-labelled tumours in healthy people's scans, on the networks' grid.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from annofree.errors import AnnofreeError
from annofree.formats.outfolder import atomic_write, table, write_json
from annofree.methods.synthtumour.cases import RECORD, folder_name, id_checksum, read_record, write_case
from annofree.methods.synthtumour.coarse import coarse_of
from annofree.methods.synthtumour.pictures import draw_sheet
from annofree.methods.synthtumour.pseudo_labels import PseudoLabelSettings, assess_quality, predict_views
from annofree.refine.appearance import Appearance
from annofree.scan import Cohort, Scan
from annofree.synthesis.mix import MixSettings, best_mix, plan_pairs

if TYPE_CHECKING:
    from annofree.inference import Network
    from annofree.refine.base import Refiner

UNUSABLE = "unusable scan"


def pseudo_label(
    networks: Sequence[tuple[Network, Mapping[str, Any]]],
    rules: Iterable[Refiner],
    patients: Cohort,
    folder: Path,
    settings: PseudoLabelSettings,
    *,
    seed: int,
) -> tuple[list[Path], dict[str, Any]]:
    """Label all patients with networks; those that are there already are not looked at again.

    A scan that cannot be used is left out with its reason and does not stop the others. Rules that move the border,
    which is left open, are not applied; with a patient's id the seed decides the brightness slopes. The folder gets one
    folder a patient, `cases.csv` and `sheet.png`.

    Returns:
        Folders of the patients that are used, and how many were given, kept, and left out for which reason.
    """
    spacing_mm = float(networks[0][1]["spacing_mm"])
    looking = [network for network, _ in networks]
    dropping = [refiner for refiner in rules if not isinstance(refiner, Appearance)]
    kept, rows = [], []
    for scan_id in patients.ids:
        target = folder / folder_name(scan_id)
        record = read_record(target)
        if record is None:
            try:
                coarse = coarse_of(patients[scan_id], spacing_mm)
            except AnnofreeError as error:
                record = {"id": scan_id, "kept": False, "why": UNUSABLE, "error": str(error)}
                write_json(target / RECORD, record)
            else:
                rng = np.random.default_rng([seed, id_checksum(scan_id)])
                packed, assessment = assess_quality(
                    predict_views(looking, coarse, rng, settings), coarse, dropping, settings
                )
                record = {"id": scan_id, **assessment.row()}
                write_case(target, coarse.scan, packed, record)
        rows.append(record)
        if record["kept"]:
            kept.append(target)
    reasons = Counter(reason for row in rows for reason in str(row["why"]).split(", ") if reason)
    atomic_write(folder / "cases.csv", table(rows, delimiter=","))
    draw_sheet([folder / folder_name(str(r["id"])) for r in rows if r["why"] != UNUSABLE], folder / "sheet.png")
    return kept, {"given": len(rows), "kept": len(kept), "left out": dict(reasons)}


def write_mixed_cases(
    tumours: Mapping[str, tuple[Scan, NDArray[np.uint8]]],
    healthy: Mapping[str, Scan],
    folder: Path,
    *,
    n: int,
    seed: int,
    settings: MixSettings,
) -> list[Path]:
    """Mix patients with partial labels into healthy scans: write the cases that are not there yet, give their folders.

    Where less than half of a tumour lies inside the healthy brain, side and size are drawn again, up to four times.
    A tumour that falls outside altogether is left out. There are at most `most_pairs` cases; the seed decides each
    independently of the others.
    """
    pairs = plan_pairs(list(tumours), list(healthy), n, np.random.default_rng([seed, 1]), settings)
    made = []
    for number, (tumour, host) in enumerate(pairs):
        target = folder / f"{number:04d}_{folder_name(tumour)}_in_{folder_name(host)}"
        record = read_record(target)
        if record is None:
            scan, packed = tumours[tumour]
            mixed = best_mix(scan, packed, healthy[host], np.random.default_rng([seed, 2, number]), settings)
            volume = float(((mixed.labels & 3) > 0).sum()) * healthy[host].voxel_ml
            record = {"id": target.name, "tumour": tumour, "healthy": host, "kept": mixed.kept, "volume_ml": volume}
            write_case(target, healthy[host].replace(images=mixed.images), mixed.labels, record)
        if record["volume_ml"] > 0:
            made.append(target)
    return made
