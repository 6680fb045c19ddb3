"""Pseudo-labels of a whole cohort on disk, one folder a patient, with a table and a sheet of pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from annofree.errors import AnnofreeError
from annofree.formats.outfolder import atomic_write, table, write_json
from annofree.methods.synthtumour.cases import RECORD, folder_name, id_checksum, read_record, write_case
from annofree.methods.synthtumour.coarse import coarse_of
from annofree.methods.synthtumour.pictures import draw_sheet
from annofree.methods.synthtumour.pseudo_labels import PseudoLabelSettings, assess_quality, predict_views
from annofree.refine.appearance import Appearance
from annofree.scan import Cohort

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
