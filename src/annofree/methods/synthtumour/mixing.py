"""The mixing step of a fit: pseudo-labelled tumours in healthy people's scans, on the networks' grid."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annofree.methods.synthtumour.cases import folder_name, read_record, write_case
from annofree.scan import Scan
from annofree.synthesis.mix import MixSettings, best_mix, plan_pairs


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
