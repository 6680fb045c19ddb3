"""Made tumours in real brains, on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from annofree.errors import InputError
from annofree.processes import in_order
from annofree.scan import Cohort, Modality, Scan
from annofree.synthesis.carrier import Carrier, carrier_of
from annofree.synthesis.dataset import MadeFolder, Row, case_seeds
from annofree.synthesis.generator import affine_of
from annofree.synthesis.pseudo_healthy import pseudo_healthy
from annofree.synthesis.real_brain import paint_tumour_into
from annofree.synthesis.settings import SynthesisSettings


def carriers_from(healthy: Cohort | None = None, patients: Cohort | None = None) -> list[Carrier]:
    """Healthy scans as they are, and patients' scans as pseudo-healthy brains; unusable ones are left out.

    Raises:
        InputError: None is left.
    """
    found = [carrier_of(scan) for scan in healthy or ()]
    found += [carrier for scan in patients or () if (carrier := pseudo_healthy(scan)).usable]
    if not found:
        raise InputError(
            "No brain can carry a tumour",
            why=f"{len(healthy or ())} healthy scans were given, and of {len(patients or ())} patients none was usable",
            fix="Give healthy scans with --healthy",
        )
    return found


@dataclass(frozen=True)
class _Job:
    carrier: Carrier
    cases: tuple[tuple[str, int], ...]
    settings: SynthesisSettings
    spacing_mm: float
    folder: MadeFolder


def write_in_real_brains(
    carriers: list[Carrier],
    out: str | Path,
    *,
    n: int = 20,
    seed: int = 0,
    settings: SynthesisSettings | None = None,
    workers: int = 1,
    layout: str = "nnunet",
    spacing_mm: float = 2.0,
) -> Path:
    """Write made cases in real brains; carriers take turns.

    Args:
        carriers: From `carriers_from`; only sequences that all of them have are written.
        out: An absent or empty folder.
        n: Number of cases.
        seed: Decides everything.
        settings: What to make.
        workers: Processes.
        layout: "nnunet" or "folders".
        spacing_mm: 2.0 or 1.0.

    Returns:
        The folder, with `cases.csv`.

    Raises:
        InputError: The carriers share no sequence.
        OutputError: The folder is not empty or not writable.
    """
    shared = [s for s in Modality if carriers and all(s in carrier.sequences for carrier in carriers)]
    if not shared:
        raise InputError("The carriers share no sequence", fix="Give scans that have a sequence in common")
    folder = MadeFolder.new(out, layout, shared)
    names = [(f"real_{i:05d}", s) for i, s in enumerate(case_seeds(seed, n))]
    jobs = [
        _Job(carrier, tuple(names[at :: len(carriers)]), settings or SynthesisSettings(), spacing_mm, folder)
        for at, carrier in enumerate(carriers)
        if names[at :: len(carriers)]
    ]
    rows = sorted((row for rows in in_order(_make, jobs, workers) for row in rows), key=lambda row: row["case"])
    return folder.finish(rows, {"background": 0, "core": 1, "oedema": 2, "enhancing": 3})


def _make(job: _Job) -> list[Row]:
    rows = []
    for name, seed in job.cases:
        made = paint_tumour_into(job.carrier, job.settings, seed, spacing_mm=job.spacing_mm)
        images = {s: np.asarray(image, np.float32) for s, image in zip(Modality, made.images.numpy(), strict=True)}
        shown = {s: images[s] for s in job.folder.sequences}
        scan = Scan(name, shown, affine_of(made))
        job.folder.write(name, shown, made.labels.numpy(), scan)
        rows.append({"case": name, **made.meta})
    return rows
