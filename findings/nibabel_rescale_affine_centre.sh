#!/usr/bin/env bash
# Guess, written down first: rescale_affine keeps the centre of the field of view when both shapes cover the same 10 mm.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" nibabel==5.4.2 numpy==2.4.6
ORT_DISABLE_TELEMETRY=1 PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
from importlib.metadata import version

import nibabel
import numpy as np


def centre(affine, n):
    return float((affine @ np.array([(n - 1) / 2] * 3 + [1]))[0])


coarse = nibabel.affines.rescale_affine(np.eye(4), (10, 10, 10), (2, 2, 2), (5, 5, 5))
fine = nibabel.affines.rescale_affine(np.eye(4), (10, 10, 10), (0.5, 0.5, 0.5), (20, 20, 20))
found = [centre(np.eye(4), 10), centre(coarse, 5), centre(fine, 20)]
print("version: nibabel", version("nibabel"))
print("behaviour: one voxel in the middle keeps its place, not the centre: an even number of voxels moves the field of view by up to half a voxel")
print("output: centre along x in mm of 10 x 1 mm, 5 x 2 mm, 20 x 0.5 mm:", found)
raise SystemExit(found != [4.5, 4.0, 4.25])
PYTHON
