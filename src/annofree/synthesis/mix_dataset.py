"""Mixed cases on disk: pairs, mixing, an nnU-Net data set, and the table `id,tumour,healthy,seed`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.processes import in_order
from annofree.scan import Cohort
from annofree.synthesis.dataset import MadeFolder, Row, case_rng
from annofree.synthesis.mix import Mixed, MixSettings, mix, plan_pairs

_TRIES = 4
_ENOUGH = 0.5


@dataclass(frozen=True)
class _Pair:
    patients: Cohort
    healthy: Cohort
    label: NDArray[np.uint8]
    number: int
    name: str
    tumour: str
    host: str
    seed: int
    settings: MixSettings
    folder: MadeFolder


def write_mixed(
    patients: Cohort,
    pseudo_labels: Mapping[str, NDArray[np.uint8]],
    healthy: Cohort,
    out: str | Path,
    *,
    n: int,
    seed: int = 0,
    settings: MixSettings | None = None,
    workers: int = 1,
    layout: str = "nnunet",
    prefix: str = "mixed",
) -> Path:
    """Mix patients' tumours into healthy scans and write the cases.

    Patients without a pseudo-label, or with an empty one, are left out. Where less than half of a tumour lies inside
    the healthy brain, side and size are drawn again, up to four times, and the best draw is taken.

    Args:
        patients: Scans with tumours.
        pseudo_labels: Label maps (X, Y, Z) on the patients' grids by scan id; a network's, never an expert's.
        healthy: Scans without tumours.
        out: An absent or empty folder.
        n: Number of cases.
        seed: Decides everything.
        settings: See `MixSettings`.
        workers: Processes.
        layout: "nnunet" or "folders".
        prefix: Start of the cases' names.

    Returns:
        The folder; `cases.csv` holds `id,tumour,healthy,seed` and how much of the tumour was kept.

    Raises:
        InputError: There are too few scans for `n` cases, or two scans share no sequence.
        OutputError: The folder is not empty or not writable.
    """
    settings = settings or MixSettings()
    usable = [i for i in patients.ids if i in pseudo_labels and np.asarray(pseudo_labels[i]).any()]
    if not usable or not len(healthy):
        raise InputError(
            f"Nothing can be mixed: {len(usable)} of {len(patients)} patients have a pseudo-label, "
            f"and there are {len(healthy)} healthy scans"
        )
    pairs = plan_pairs(usable, list(healthy.ids), n, np.random.default_rng(seed & 0xFFFFFFFF), settings)
    have = set(patients[usable[0]].sequences)
    sequences = [sequence for sequence in healthy[healthy.ids[0]].sequences if sequence in have]
    folder = MadeFolder.new(out, layout, sequences)
    jobs = [
        _Pair(
            patients,
            healthy,
            np.asarray(pseudo_labels[tumour]),
            k,
            f"{prefix}_{k:04d}",
            tumour,
            host,
            seed,
            settings,
            folder,
        )
        for k, (tumour, host) in enumerate(pairs)
    ]
    rows = [row for rows in in_order(_make, jobs, workers) for row in rows]
    values = sorted({int(v) for tumour in usable for v in np.unique(pseudo_labels[tumour])} - {0})
    names = {1: "tumour"} if values == [1] else {1: "core", 2: "oedema", 3: "enhancing"}
    label_names = {"background": 0} | {names.get(value, f"label{value}"): value for value in values}
    return folder.finish(rows, label_names)


def _make(pair: _Pair) -> list[Row]:
    patient, host = pair.patients[pair.tumour], pair.healthy[pair.host]
    for scan in (patient, host):
        scan.require(*pair.folder.sequences, why="mixing")
    to_mni = None
    if pair.settings.align == "mni":
        from annofree.anatomy import register_to_mni

        to_mni = register_to_mni(patient).affine, register_to_mni(host).affine
    rng = case_rng(pair.seed, pair.number)
    best: Mixed | None = None
    for _ in range(_TRIES):
        made = mix(patient, pair.label, host, rng, pair.settings, to_mni=to_mni)
        best = made if best is None or made.kept > best.kept else best
        if best.kept >= _ENOUGH:
            break
    assert best is not None
    pair.folder.write(pair.name, best.images, best.labels, host)
    row = {"id": pair.name, "tumour": pair.tumour, "healthy": pair.host, "seed": pair.seed}
    return [row | {"kept": best.kept, "volume_ml": best.volume_ml}]
