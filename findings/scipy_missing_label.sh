#!/usr/bin/env bash
# Guess, written down first: statistics of scipy.ndimage for a label that no voxel has are NaN for all of them, as the mean is.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" scipy==1.17.1 numpy==2.4.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
import numpy as np
import scipy
from scipy import ndimage

labels = np.zeros((20, 20, 20), np.uint8)
labels[4:8, 4:8, 4:8] = 1
labels[12:15, 12:15, 12:15] = 2  # and no voxel of 3, a patient without enhancing tumour
values = np.random.default_rng(0).normal(np.select([labels == 1, labels == 2], [-1.5, 2.5], -0.5), 0.3)  # z-scores
found = {name: float(getattr(ndimage, name)(values, labels, [1, 2, 3])[2]) for name in ("mean", "median", "maximum", "minimum")}
place = tuple(int(n) for n in ndimage.maximum_position(values, labels, [1, 2, 3])[2])
darkest = float(values[labels == 0].min())
print("version: scipy", scipy.__version__)
print("behaviour: the median of a label that does not occur is the darkest voxel of the background, its maximum and minimum are 0, in the corner of the image")
print("output: label 3 of", found, "; place of its maximum", place, "; darkest voxel of the background", darkest)
raise SystemExit(
    not (
        np.isnan(found["mean"])
        and (found["median"], found["maximum"], found["minimum"]) == (darkest, 0.0, 0.0)
        and place == (0, 0, 0)
    )
)
PYTHON
