"""One patient as slices of 3 and 5 mm, from every second starting phase and oblique: the default's volumes.

    python benchmarks/raw_slices.py phantom:3 ../shared/data/unlabelled/BraTS-GLI-00027-000

Nothing is scored: the volumes on thick slices are compared with those on the voxels of 1 mm they were averaged from.
"""

from __future__ import annotations

import sys
import time

import numpy as np

import annofree as af
from annofree.formats import open_scan
from annofree.phantom import phantom_subject
from annofree.prepare.regrid import carried_mask, carried_scores
from annofree.scan import Grid, Scan

#: Thickness, where the first slice begins, and the slices' tilt about the left-right axis.
PLANS = ((3, 0, 0), (3, 1, 0), (5, 0, 0), (5, 2, 0), (5, 4, 0), (3, 0, 15), (5, 0, 15), (5, 0, 30))


def sliced(scan: Scan, slice_mm: float, phase_mm: float, tilt_deg: float) -> Scan:
    """A scan averaged to slices; in plane its voxels stay as long as they were."""
    angle = np.deg2rad(tilt_deg)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    spacing, shape = np.asarray(scan.spacing_mm), np.asarray(scan.shape)
    room_mm = 70.0 if tilt_deg else 0.0
    size = (
        int(shape[0]),
        int(shape[1] + room_mm / spacing[1]),
        int(np.ceil((shape[2] * spacing[2] + room_mm) / slice_mm)) + 1,
    )
    affine = np.eye(4)
    affine[:3, :3] = scan.affine[:3, :3] / spacing @ turn * (spacing[0], spacing[1], slice_mm)
    middle = scan.affine[:3, :3] @ ((shape - 1) / 2) + scan.affine[:3, 3]
    affine[:3, 3] = middle - affine[:3, :3] @ ((np.asarray(size) - 1) / 2) + affine[:3, 2] * phase_mm / slice_mm
    grid, still = Grid(size, affine), np.eye(4)
    brain = carried_mask(scan.foreground(), scan.grid, grid, still)
    images = {name: carried_scores(image, scan.grid, grid, still) * brain for name, image in scan.images.items()}
    return Scan(scan.id, images, affine, brain=brain)


def main(sources: list[str]) -> None:
    """Print volumes, and their change in percent."""
    segmenter = af.Segmenter()
    for source in sources:
        kind, _, seed = source.partition(":")
        scan = phantom_subject(int(seed), "glioblastoma", 1.0).scan if kind == "phantom" else open_scan(source)
        whole = segmenter(scan, locate=False).volumes_ml
        print(f"{scan.id}: " + ", ".join(f"{region} {ml:.1f} ml" for region, ml in whole.items()), flush=True)
        for slice_mm, phase_mm, tilt_deg in PLANS:
            start = time.process_time()
            found = segmenter(sliced(scan, slice_mm, phase_mm, tilt_deg), locate=False).volumes_ml
            told = ", ".join(
                f"{region} {100 * (ml / max(whole[region], 1e-3) - 1):+.1f} %" for region, ml in found.items()
            )
            taken = time.process_time() - start
            print(f"  {slice_mm} mm, from {phase_mm} mm, {tilt_deg:2d} degrees: {told} ({taken:.1f} s)", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
