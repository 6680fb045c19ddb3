#!/usr/bin/env bash
# Guess, written down first: a mask of 0 and 1 in bytes, smoothed, is cut at one half: about as large as before.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" scipy==1.17.1 numpy==2.4.6 SimpleITK==2.5.7
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
from importlib.metadata import version

import numpy as np
import SimpleITK
from scipy import ndimage

mask = np.zeros((40, 40, 40), np.uint8)
mask[10:30, 10:30, 10:30] = 1
image = SimpleITK.GetImageFromArray(mask)
found = {
    "before": int(mask.sum()),
    "scipy gaussian_filter": int(ndimage.gaussian_filter(mask, 1.0).sum()),
    "scipy shift by half a voxel": int(ndimage.shift(mask, (0.5, 0, 0), order=1).sum()),
    "SimpleITK DiscreteGaussian": int(SimpleITK.GetArrayFromImage(SimpleITK.DiscreteGaussian(image, 1.0)).sum()),
    "SimpleITK SmoothingRecursiveGaussian": round(float(SimpleITK.GetArrayFromImage(SimpleITK.SmoothingRecursiveGaussian(image, 1.0)).sum())),
}
print("version: scipy", version("scipy"), "SimpleITK", version("SimpleITK"))
print("behaviour: two Gaussians answer in bytes and cut fractions off: of one the voxels deep inside stay, of the other nothing, since it gives 0.9999 there; an interpolation of scipy rounds, another Gaussian of SimpleITK answers in floats")
print("output: voxels of a cube of 20 voxels after a sigma of 1:", found)
raise SystemExit(list(found.values()) != [8000, 1728, 8400, 0, 8000])
PYTHON
