"""Mixed cases on disk: pairs, mixing, an nnU-Net data set, and the table `id,tumour,healthy,seed`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.formats.standing import held, listed
from annofree.processes import in_order
from annofree.scan import Cohort
from annofree.synthesis.dataset import MadeFolder, Row, case_rng
from annofree.synthesis.mix import MixSettings, best_mix, plan_pairs, shared_sequences


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
    prefix: str = "mixed",
) -> Path:
    """Mix patients' tumours into healthy scans and write the cases into an absent or empty folder, which is given back.

    Pseudo-labels are (X, Y, Z) on the patients' grids by scan id: a network's, never an expert's. Patients without one,
    or with an empty one, are left out. Where less than half of a tumour lies inside the healthy brain, side and size
    are drawn again, up to four times, and the best draw is taken. The folder's `cases.csv` holds
    `id,tumour,healthy,seed` and how much of the tumour was kept; the cases' names begin with `prefix`.

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
    shared = shared_sequences(patients[usable[0]], healthy[healthy.ids[0]])
    jobs = [(k, tumour, host, np.asarray(pseudo_labels[tumour])) for k, (tumour, host) in enumerate(pairs)]
    asked = {"pairs": pairs, "seed": seed, "settings": settings.model_dump(mode="json")}
    asked |= {"patients": listed(patients), "healthy": listed(healthy), "labels": listed_labels(pseudo_labels)}
    with MadeFolder.new(out, "nnunet", shared, asked) as folder:
        rows = list(in_order(partial(_make, patients, healthy, folder, prefix, seed, settings), jobs, workers))
        return folder.finish(rows, label_names(pseudo_labels[tumour] for tumour in usable))


def listed_labels(labels: Mapping[str, NDArray[np.uint8]]) -> list[str]:
    """Each label map's name with a digest of its values: what an order names."""
    return [held(name, np.asarray(values)) for name, values in labels.items()]


def label_names(labels: Iterable[NDArray[np.uint8]]) -> dict[str, int]:
    """What label maps hold, by name, as `dataset.json` wants it."""
    values = sorted({int(v) for label in labels for v in np.unique(label)} - {0})
    names = {1: "tumour"} if values == [1] else {1: "core", 2: "oedema", 3: "enhancing"}
    return {"background": 0} | {names.get(value, f"label{value}"): value for value in values}


def _make(
    patients: Cohort,
    healthy: Cohort,
    folder: MadeFolder,
    prefix: str,
    seed: int,
    settings: MixSettings,
    job: tuple[int, str, str, NDArray[np.uint8]],
) -> Row:
    number, tumour, host, label = job
    name = f"{prefix}_{number:04d}"

    def write() -> Row:
        patient, hosting = patients[tumour], healthy[host]
        for scan in (patient, hosting):
            scan.require(*folder.sequences, why="mixing")
        mixed = best_mix(patient, label, hosting, case_rng(seed, number), settings)
        folder.write(name, mixed.images, mixed.labels, hosting)
        row = {"id": name, "tumour": tumour, "healthy": host, "seed": seed}
        return row | {"kept": mixed.kept, "volume_ml": mixed.volume_ml}

    return folder.once(name, write)
