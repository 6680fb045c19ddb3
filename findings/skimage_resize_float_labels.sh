#!/usr/bin/env bash
# Guess, written down first: skimage.transform.resize with order=0, nearest neighbour, gives only labels that were there, whatever their type.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" scikit-image==0.26.0 scipy==1.17.1 numpy==2.2.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
from importlib.metadata import version

import numpy as np
from skimage.transform import resize

labels = np.zeros((40, 40, 40), np.uint8)
labels[10:30, 10:30, 10:30] = 1
labels[15:25, 15:25, 15:25] = 3
found = {}
for kind in (np.uint8, np.float64):  # nibabel's get_fdata hands out the latter
    small = resize(labels.astype(kind), (20, 20, 20), order=0, preserve_range=True)
    held, counts = np.unique(small.astype(np.uint8), return_counts=True)
    found[kind.__name__] = (bool(np.isin(small, (0, 1, 3)).all()), dict(zip(held.tolist(), counts.tolist(), strict=True)))
print("version: scikit-image", version("scikit-image"))
print("behaviour: made smaller with order=0, labels of integers stay labels, and the same labels as floats are smoothed first: "
      "fractions, of which astype makes a label 2 that nobody drew")
print("output: only labels 0, 1, 3 occur; voxels of each label after astype(uint8):", found)
raise SystemExit(not (found["uint8"] == (True, {0: 7000, 1: 875, 3: 125}) and not found["float64"][0] and found["float64"][1].get(2, 0) > 50))
PYTHON
