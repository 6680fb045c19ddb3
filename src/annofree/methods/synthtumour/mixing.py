"""The mixing step of a fit: pseudo-labelled tumours in healthy people's scans, on the networks' grid."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree.methods.synthtumour.cases import folder_name, read_record, write_case
from annofree.scan import Scan
from annofree.synthesis.mix import Mixed, MixSettings, mix, plan_pairs

_TRIES = 4
_ENOUGH = 0.5


def most_pairs(tumours: int, healthy: int, settings: MixSettings) -> int:
    """How many mixed cases can be made under the limits of use."""
    return min(tumours * settings.tumour_uses, healthy * settings.healthy_uses)


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
    to_mni: dict[str, NDArray[np.float64]] = {}
    made = []
    for number, (tumour, host) in enumerate(pairs):
        target = folder / f"{number:04d}_{folder_name(tumour)}_in_{folder_name(host)}"
        record = read_record(target)
        if record is None:
            scan, packed = tumours[tumour]
            affines = None
            if settings.align == "mni":
                affines = _aligned(f"tumour/{tumour}", scan, to_mni), _aligned(f"host/{host}", healthy[host], to_mni)
            mixed = _best(scan, packed, healthy[host], np.random.default_rng([seed, 2, number]), settings, affines)
            record = {"id": target.name, "tumour": tumour, "healthy": host, "kept": mixed.kept}
            volume = float(((mixed.labels & 3) > 0).sum()) * healthy[host].voxel_ml
            changed = healthy[host].replace(images=mixed.images)
            write_case(target, changed, mixed.labels, {**record, "volume_ml": volume})
            record = {**record, "volume_ml": volume}
        if record["volume_ml"] > 0:
            made.append(target)
    return made


def _best(
    patient: Scan,
    packed: NDArray[np.uint8],
    host: Scan,
    rng: np.random.Generator,
    settings: MixSettings,
    affines: Any,
) -> Mixed:
    best: Mixed | None = None
    for _ in range(_TRIES):
        made = mix(patient, packed, host, rng, settings, to_mni=affines)
        best = made if best is None or made.kept > best.kept else best
        if best.kept >= _ENOUGH:
            break
    assert best is not None
    return best


def _aligned(key: str, scan: Scan, known: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    from annofree.anatomy import register_to_mni

    if key not in known:
        known[key] = register_to_mni(scan).affine
    return known[key]
