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
from annofree.formats.outfolder import write_json, write_table
from annofree.methods.synthtumour.cases import RECORD, folder_name, id_checksum, read_record, read_scan, write_case
from annofree.methods.synthtumour.coarse import coarse_of
from annofree.methods.synthtumour.pseudo_labels import PseudoLabelSettings, assess_quality, predict_views
from annofree.refine.appearance import Appearance
from annofree.scan import Cohort, Modality, Scan
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
    write_table(folder / "cases.csv", rows, delimiter=",")
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


#: Red, green, blue of core, oedema, enhancing tumour, and of what is left open.
COLOURS = {1: (0.9, 0.1, 0.1), 2: (0.1, 0.8, 0.2), 3: (0.2, 0.4, 1.0)}
OPEN = (0.95, 0.8, 0.1)


def draw_sheet(folders: Sequence[Path], file: Path, *, most: int = 24) -> None:
    """Draw cases of `annofree.methods.synthtumour.cases`, at most so many, one below the other in a PNG file."""
    from matplotlib.figure import Figure

    shown = list(folders)[:most]
    if not shown:
        return
    figure = Figure(figsize=(7.5, 2.6 * len(shown)), layout="constrained")
    for row, folder in enumerate(shown):
        scan, packed = read_scan(folder)
        record = read_record(folder) or {}
        labels, unsure = packed & 3, (packed & 4) > 0
        area = (labels > 0).sum((0, 1))
        z = int(np.argmax(area if area.any() else unsure.sum((0, 1))))
        order = (Modality.FLAIR, Modality.T2, Modality.T1, Modality.T1C)
        background = next(scan.images[s] for s in order if s in scan.images)
        contrast = scan.images.get(Modality.T1C, background)
        panels = [_grey(contrast[:, :, z]), _grey(background[:, :, z]), _grey(background[:, :, z])]
        for value, colour in COLOURS.items():
            panels[2][labels[:, :, z] == value] = 0.5 * panels[2][labels[:, :, z] == value] + 0.5 * np.asarray(colour)
        panels[2][unsure[:, :, z]] = 0.6 * panels[2][unsure[:, :, z]] + 0.4 * np.asarray(OPEN)
        for column, panel in enumerate(panels):
            axes = figure.add_subplot(len(shown), 3, 3 * row + column + 1)
            axes.imshow(panel.transpose(1, 0, 2)[::-1])
            axes.set_axis_off()
            if column == 0:
                axes.set_title(folder.name, fontsize=7)
            elif column == 2:
                axes.set_title(_line(record), fontsize=7)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=90)


def _grey(image: NDArray[np.float32]) -> NDArray[np.float32]:
    low, high = np.percentile(image, (1.0, 99.5))
    grey = np.clip((image - low) / max(float(high - low), 1e-6), 0.0, 1.0).astype(np.float32)
    return np.repeat(grey[:, :, None], 3, axis=2)


def _line(record: dict[str, object]) -> str:
    if "kept" not in record or "agreement" not in record:
        return ""
    verdict = "kept" if record["kept"] else f"left out: {record['why']}"
    return f"{verdict}\nsure {record['sure_ml']} ml, agreement {record['agreement']}, confidence {record['confidence']}"
