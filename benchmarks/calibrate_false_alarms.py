"""Calibrate a model's false alarms on tumour-free scans, and see how often it calls scans that took no part.

    python benchmarks/calibrate_false_alarms.py MODEL ../shared/data --labelmaps ../shared/data/labelmaps

Calibrates on healthy nichart_Subj1, 3, 5 and 7, 16 made and 8 phantom tumour-free scans, writes
MODEL/false_alarms.json, then tests on nichart_Subj8..13, the MS scan, and further phantoms with and without tumour.
About 10 s a scan. `--rows FILE` keeps what was measured, so that a stopped run goes on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from annofree import methods
from annofree.formats import open_cohort
from annofree.phantom import phantom_subject
from annofree.pipeline import segment_scan
from annofree.prepare import Recipe
from annofree.scan import Modality, Scan
from annofree.segmentation import Lesion
from annofree.synthesis import LabelMapBank, SynthesisSettings, make_case
from annofree.synthesis.generator import affine_of
from annofree.synthesis.settings import Tumours
from annofree.trust.calibrations import weights_fingerprint
from annofree.trust.false_alarms import FalseAlarms, evidence

#: The other healthy scans (OAS30135, nichart_Subj2, 4, 6) taught the shipped network and so look better than new ones.
HEALTHY = tuple(f"nichart_Subj{n}" for n in (1, 3, 5, 7))
APART = tuple(f"nichart_Subj{n}" for n in range(8, 14))
RATES = (0.2, 0.4)
SUBSETS = (tuple(Modality), (Modality.T1, Modality.FLAIR), (Modality.FLAIR,), tuple(Modality))


def scans(data: Path, bank: LabelMapBank, made: int, phantoms: int, test: int) -> Iterator[tuple[str, str, Scan]]:
    """Part, group and scan: calibration first."""
    healthy = open_cohort(data / "healthy", brain_mask="*_DLMUSE.nii.gz", prepare=Recipe())
    for name in (*HEALTHY, *APART):
        yield "calibrate" if name in HEALTHY else "test", "healthy", healthy[name]
    yield "test", "ms", open_cohort(data / "ms")["open_ms_patient26"]
    free = SynthesisSettings(tumours=Tumours(healthy_share=1.0))
    for seed in range(made):
        case = make_case(bank, free, seed=770000 + seed)
        images = dict(zip(Modality, case.images.numpy(), strict=True))
        yield "calibrate", "made", _some(Scan(f"made-{seed}", images, affine_of(case), brain=case.brain.numpy()), seed)
    for seed in range(phantoms + test):
        part = "calibrate" if seed < phantoms else "test"
        yield part, "phantom", _some(phantom_subject(880000 + seed, healthy=True).scan, seed)
    for seed in range(test):
        yield "test", "tumour", _some(phantom_subject(990000 + seed).scan, seed)


def _some(scan: Scan, seed: int) -> Scan:
    """The scan with one of the usual sets of sequences."""
    kept = SUBSETS[np.random.default_rng(seed).integers(len(SUBSETS))]
    return scan.replace(images={name: image for name, image in scan.images.items() if name in kept})


def main() -> None:
    """Measure, write, test."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--labelmaps", type=Path, default=None)
    parser.add_argument("--made", type=int, default=16)
    parser.add_argument("--phantoms", type=int, default=8)
    parser.add_argument("--test", type=int, default=8, help="Phantoms of each kind that take no part.")
    parser.add_argument("--rows", type=Path, default=None)
    told = parser.parse_args()
    method = methods.load(told.model)
    weights, rules = weights_fingerprint(told.model), method.deciding
    if told.labelmaps is None:
        bank = LabelMapBank.from_mni()
    else:
        bank = (LabelMapBank.from_folder if told.labelmaps.is_dir() else LabelMapBank.load)(told.labelmaps)
    known = {}
    if told.rows is not None and told.rows.exists():
        rows = [json.loads(line) for line in told.rows.read_text().splitlines()]
        known = {row["id"]: row["evidence"] for row in rows if (row["weights"], row["rules"]) == (weights, rules)}
    found: dict[tuple[str, str], dict[str, float]] = {}
    for part, group, scan in scans(told.data, bank, told.made, told.phantoms, told.test):
        if scan.id not in known:
            known[scan.id] = evidence(segment_scan(scan, method, locate=False).lesions)
            if told.rows is not None:
                row = {"id": scan.id, "evidence": known[scan.id], "weights": weights, "rules": rules}
                with told.rows.open("a") as file:
                    file.write(json.dumps(row) + "\n")
        print(part, group, scan.id, f"{known[scan.id]:.3f}", flush=True)
        found.setdefault((part, group), {})[scan.id] = known[scan.id]
    own = {group: values for (part, group), values in found.items() if part == "calibrate"}
    calibrated = FalseAlarms(own, rules, weights)
    print("written to", calibrated.write(told.model))
    print("| scans that took no part | n | something found | called at 0.2 | at 0.4 |\n|---|---|---|---|---|")
    for (part, group), values in found.items():
        if part == "test":
            called = [sum(_called(calibrated, value, rate) for value in values.values()) for rate in RATES]
            print(f"| {group} | {len(values)} | {sum(v > 0 for v in values.values())} | {called[0]} | {called[1]} |")


def _called(calibrated: FalseAlarms, value: float, rate: float) -> bool:
    lesion = Lesion(index=1, volume_ml=1.0, centre_mm=(0.0, 0.0, 0.0), confidence=value)
    return calibrated.classify([lesion], rate).word == "tumour"


if __name__ == "__main__":
    main()
