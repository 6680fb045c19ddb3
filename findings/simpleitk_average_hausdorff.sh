#!/usr/bin/env bash
# Guess, written down first: the average Hausdorff distance of SimpleITK averages over surfaces, so a shift of 2 voxels weighs as much or more in a large ball than in a small one.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" SimpleITK==2.5.7 numpy==2.2.6 scipy==1.15.3
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
import numpy as np
import SimpleITK
from scipy import ndimage


def border(mask):
    return mask & ~ndimage.binary_erosion(mask)


found = {}
for radius in (6, 18):
    z, y, x = np.indices((64, 64, 64)) - 32
    one = x**2 + y**2 + z**2 <= radius**2
    two = np.roll(one, 2, 0)
    measure = SimpleITK.HausdorffDistanceImageFilter()
    measure.Execute(*(SimpleITK.GetImageFromArray(mask.astype(np.uint8)) for mask in (one, two)))
    ways = [ndimage.distance_transform_edt(~border(a))[border(b)] for a, b in ((one, two), (two, one))]
    found[radius] = round(measure.GetAverageHausdorffDistance(), 3), round(float(np.concatenate(ways).mean()), 3)
print("version: SimpleITK", SimpleITK.Version.VersionString())
print("behaviour: the average is over all voxels of the masks, inner ones at distance 0: the same shift costs a large lesion a third of a small one")
print("output: shift of 2 voxels, radius: (SimpleITK's average, mean distance of border voxels)", found)
raise SystemExit(found != {6: (0.306, 0.98), 18: (0.102, 1.001)})
PYTHON
