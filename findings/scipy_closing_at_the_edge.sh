#!/usr/bin/env bash
# Guess, written down first: closing never removes a voxel of a mask; it adds to it or leaves it.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" scipy==1.17.1 numpy==2.4.6 SimpleITK==2.5.7 scikit-image==0.26.0
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
from importlib.metadata import version

import numpy as np
import SimpleITK
from scipy import ndimage
from skimage import morphology

lesion = np.zeros((20, 20, 20), np.uint8)
lesion[0:3, 5:15, 5:15] = 1
image = SimpleITK.BinaryMorphologicalClosing(SimpleITK.GetImageFromArray(lesion), (2, 2, 2))
found = {
    "before": int(lesion.sum()),
    "scipy": int(ndimage.binary_closing(lesion, iterations=2).sum()),
    "scikit-image": int(morphology.closing(lesion, morphology.ball(2)).sum()),
    "SimpleITK": int(SimpleITK.GetArrayFromImage(image).sum()),
}
print("version: scipy", version("scipy"), "scikit-image", version("scikit-image"), "SimpleITK", version("SimpleITK"))
print("behaviour: closing takes away the slices of a lesion at the edge of the field of view, because beyond it lies background when it is eroded again")
print("output: voxels of a lesion that touches the first slice:", found)
raise SystemExit(found != {"before": 300, "scipy": 100, "scikit-image": 300, "SimpleITK": 300})
PYTHON
