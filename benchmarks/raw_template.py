"""Whether a large tumour with mass effect pulls the registration to MNI, and whether masking it helps, in mm.

    python benchmarks/raw_template.py 12

Every phantom is made thrice: with a tumour of twice the usual volume that pushes the brain aside, without any, and
without any in a second examination. How far apart two affines put the healthy brain's points is the pull; that of the
two examinations without a tumour is what shading, noise and slices alone do.
"""

from __future__ import annotations

import sys
from unittest import mock

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from annofree.anatomy import align, register_to_mni
from annofree.anatomy.coarse import block_box, block_factor, block_mean
from annofree.phantom import phantom_subject
from annofree.scan import Scan

KINDS = ("glioblastoma", "meningioma", "diffuse")
#: The lesion's mask is grown by so much.
AROUND_MM = 5.0


def without(scan: Scan, lesion: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The affine found where everything but the lesion has to agree."""
    factor = block_factor(np.asarray(scan.spacing_mm), align.GRID_MM)
    box = block_box(scan.foreground(), factor, align._REACH_VOX + 1)
    near = ndimage.distance_transform_edt(~lesion, sampling=scan.spacing_mm) <= AROUND_MM
    keep = block_mean(near[box].astype(np.float32), factor) < 0.5
    found = align._maximise_information

    def masked(fixed, moving, reach, starts):  # type: ignore[no-untyped-def]
        return found(fixed, moving, reach & keep, starts)

    with mock.patch.object(align, "_maximise_information", masked):
        return np.asarray(register_to_mni(scan).affine)


def main(count: int) -> None:
    """Print a row a phantom, and means."""
    rows = []
    print("phantom  kind  tumour ml  shift of the midline mm  pull mm: no mask, mask; second examination mm")
    for seed in range(count):
        kind = KINDS[seed % len(KINDS)]
        ill = phantom_subject(seed, kind, 2.0, growth=2.0)
        well = [phantom_subject(seed, "healthy", 2.0, visit=visit).scan for visit in (0, 1)]
        lesion = ill.labels > 0
        healthy = ill.scan.foreground() & well[0].foreground() & ~lesion
        points = np.argwhere(healthy)[::53] @ ill.scan.affine[:3, :3].T + ill.scan.affine[:3, 3]
        true = register_to_mni(well[0]).affine
        found = (register_to_mni(ill.scan).affine, without(ill.scan, lesion), register_to_mni(well[1]).affine)
        moved = [points @ (other - true)[:3, :3].T + (other - true)[:3, 3] for other in found]
        row = [float(np.linalg.norm(away, axis=1).mean()) for away in moved]
        rows.append(row)
        shift = ill.findings["midline_shift"]
        print(
            f"{seed:3d}  {kind:12s}  {ill.findings['volume_ml']:6.1f}  {shift['mm'] if shift else 0:3d}  "
            + "  ".join(f"{value:.2f}" for value in row),
            flush=True,
        )
    print("mean  " + "  ".join(f"{value:.2f}" for value in np.mean(rows, axis=0)))
    print("most  " + "  ".join(f"{value:.2f}" for value in np.max(rows, axis=0)))


if __name__ == "__main__":
    main(int(sys.argv[1]))
