#!/usr/bin/env bash
# Guess, written down first: RemoveSmallObjects with a smallest size of 64 voxels takes a single spot of 8 voxels out of a label map.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" monai==1.6.1 torch==2.13.0 scikit-image==0.26.0 numpy==2.4.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
from importlib.metadata import version

import numpy as np
import torch
from monai.transforms import RemoveSmallObjects

mask = np.zeros((1, 30, 30, 30), np.uint8)
mask[0, 5:15, 5:15, 5:15] = 1  # a tumour of 1000 voxels
mask[0, 20:22, 20:22, 20:22] = 1  # and a spot of 8, far away
labels = mask.copy()
labels[0, 5:15, 5:15, 5] = 2  # one side of the tumour is oedema, 100 voxels
spot = np.s_[0, 20:22, 20:22, 20:22]
found = {}
for name, given in {"mask": mask, "label map": labels}.items():
    for apart in (True, False):
        left = np.asarray(RemoveSmallObjects(min_size=64, independent_channels=apart)(torch.tensor(given)))
        found[name, apart] = int((left[spot] > 0).sum()), int((left > 0).sum())
print("version: monai", version("monai"))
print("behaviour: as soon as there are two labels their numbers count as the objects: a spot stays where its label is large elsewhere")
print("output: (voxels of the spot left, voxels left) by (what was given, independent_channels, which is True unless named):", found)
raise SystemExit(
    found != {("mask", True): (0, 1000), ("mask", False): (0, 1000), ("label map", True): (8, 1008), ("label map", False): (0, 1000)}
)
PYTHON
