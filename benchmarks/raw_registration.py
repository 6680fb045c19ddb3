"""Co-registration of the raw glioma patient against what a reference pipeline did, in mm over the brain.

    python benchmarks/raw_registration.py ../shared/data

The pipeline's stripped `bet_X` lie in one space, so raw_X -> bet_X, found between images of one contrast (rigid, by
correlation inside the brain at 1.5 mm), imply where every sequence lies relative to T1.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
from raw_brain import head, mask
from scipy import ndimage

from annofree.anatomy import information
from annofree.prepare import rigid


def same_contrast(bet: Any, raw: Any, brain: np.ndarray) -> np.ndarray:
    """(4, 4) from the world of a stripped image to that of the raw one it was made from."""
    (fixed, fixed_grid), (moving, moving_grid) = bet, raw
    inside = fixed != 0
    stripped = np.where(brain, moving, np.float32(0))
    around = ndimage.binary_dilation(inside, iterations=3)
    first = rigid.register(fixed, fixed_grid, stripped, moving_grid, around)
    with information.one_thread():
        pair = rigid.drawn_coarsely(fixed, fixed_grid, 1.5), rigid.drawn_coarsely(moving, moving_grid, 1.0)
        region = rigid.region_on(ndimage.binary_erosion(inside, iterations=4), fixed_grid, pair[0])
        method = SimpleITK.ImageRegistrationMethod()
        method.SetMetricAsCorrelation()
        method.SetMetricFixedMask(region)
        method.SetInterpolator(SimpleITK.sitkLinear)
        method.SetOptimizerAsRegularStepGradientDescent(1.0, 0.005, 120, relaxationFactor=0.6)
        method.SetOptimizerScalesFromPhysicalShift()
        transform = information.placed(SimpleITK.Euler3DTransform(), first.matrix, rigid.centre_of(region))
        method.SetInitialTransform(transform, True)
        method.Execute(*pair)
        print(f"  correlation with bet_X {-method.GetMetricValue():.3f}", file=sys.stderr)
        return information.matrix_of(transform)


def main(data: Path) -> None:
    folder = data / "raw" / "TCGA-FG-6692"
    raw = {name: head(folder / f"raw_{name}.nii.gz") for name in ("t1", "t1c", "fla", "t2")}
    brains = {name: mask(folder / "hdbet" / f"hdbet_native_{name}.nii.gz")[0] for name in raw}
    to_raw = {n: same_contrast(head(folder / f"bet_{n}.nii.gz"), raw[n], brains[n]) for n in raw}
    t1, grid = raw["t1"]
    points = np.argwhere(brains["t1"])[::97] @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    around = ndimage.distance_transform_edt(~brains["t1"], sampling=grid.spacing_mm) <= 10
    print("sequence  mean mm  largest mm  headers mm  nats before -> after  processor s")
    for name in ("t1c", "fla", "t2"):
        start = time.process_time()
        found = rigid.register(t1, grid, *raw[name], around)
        taken = time.process_time() - start
        implied = to_raw[name] @ np.linalg.inv(to_raw["t1"])
        there = points @ implied[:3, :3].T + implied[:3, 3]
        off = np.linalg.norm(points @ found.matrix[:3, :3].T + found.matrix[:3, 3] - there, axis=1)
        headers = np.linalg.norm(points - there, axis=1).mean()
        told = f"{found.start_information:.2f} -> {found.information:.2f}"
        print(
            f"{name:8s}  {off.mean():7.2f}  {off.max():10.2f}  {headers:10.1f}  {told:>19s}  {taken:11.1f}", flush=True
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
