#!/usr/bin/env bash
# Guess, written down first: a mask dilated by 2 mm, int(2 / spacing) times, is left as it is where slices are 5 mm: 0 times.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" scipy==1.17.1 numpy==2.4.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
import numpy as np
import scipy
from scipy import ndimage

mask = np.zeros((20, 20, 20), bool)
mask[8:12, 8:12, 8:12] = True
shapes = {f"{spacing} mm": int(2 / spacing) for spacing in (1, 2, 5)}
ways = {"dilated": ndimage.binary_dilation, "closed": ndimage.binary_closing, "eroded": ndimage.binary_erosion}
found = {name: {at: int(way(mask, iterations=n).sum()) for at, n in shapes.items()} for name, way in ways.items()}
print("version: scipy", scipy.__version__)
print("behaviour: 0 times means until nothing changes: dilated the mask is the whole image, eroded or closed it is empty")
print("output: voxels of 64 by 2 mm, at each spacing", found, "; image", mask.size)
raise SystemExit(
    not (
        (found["dilated"]["5 mm"], found["closed"]["5 mm"], found["eroded"]["5 mm"]) == (mask.size, 0, 0)
        and (found["dilated"]["2 mm"], found["closed"]["2 mm"], found["eroded"]["2 mm"]) == (160, 64, 8)
    )
)
PYTHON
