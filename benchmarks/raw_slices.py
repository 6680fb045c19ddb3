"""One patient as slices of 3 and 5 mm, from every second starting phase and oblique: the default's volumes.

The last row is what reference pipelines store: slices of 5 mm drawn on voxels of 1 mm, which no longer tell how thick
they were.

    python benchmarks/raw_slices.py phantom:3 ../shared/data/unlabelled/BraTS-GLI-00027-000

Nothing is scored: the volumes on thick slices are compared with those on the voxels of 1 mm they were averaged from.
"""

from __future__ import annotations

import sys
import time

import numpy as np

import annofree as af
from annofree.formats import open_scan
from annofree.formats.carried import carried_mask, carried_scores
from annofree.phantom import phantom_subject
from annofree.prepare.resample import resample
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


def drawn_back(slices: Scan, scan: Scan) -> Scan:
    """Thick slices drawn linearly on the voxels that they were averaged from, inside the same brain."""
    brain = scan.foreground()
    images = {name: resample(image, slices.grid, scan.grid, 1) * brain for name, image in slices.images.items()}
    return scan.replace(images=images, brain=brain)


def main(sources: list[str]) -> None:
    """Print volumes, and their change in percent."""
    segmenter = af.Segmenter()
    for source in sources:
        kind, _, seed = source.partition(":")
        scan = phantom_subject(int(seed), "glioblastoma", 1.0).scan if kind == "phantom" else open_scan(source)
        whole = segmenter(scan, locate=False).volumes_ml
        print(f"{scan.id}: " + ", ".join(f"{region} {ml:.1f} ml" for region, ml in whole.items()), flush=True)
        for slice_mm, phase_mm, tilt_deg, back in (*((*plan, False) for plan in PLANS), (5, 0, 0, True)):
            start = time.process_time()
            slices = sliced(scan, slice_mm, phase_mm, tilt_deg)
            found = segmenter(drawn_back(slices, scan) if back else slices, locate=False).volumes_ml
            told = ", ".join(
                f"{region} {100 * (ml / max(whole[region], 1e-3) - 1):+.1f} %" for region, ml in found.items()
            )
            taken = time.process_time() - start
            how = "drawn on the scan's voxels" if back else f"{tilt_deg:2d} degrees"
            print(f"  {slice_mm} mm, from {phase_mm} mm, {how}: {told} ({taken:.1f} s)", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
