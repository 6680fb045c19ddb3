#!/usr/bin/env bash
# Guess, written down first: the distance to a mask without a voxel is infinite, or NaN, or an error, so that a missed lesion cannot get a surface distance.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" scipy==1.17.1 numpy==2.4.6 edt==3.1.2
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
from importlib.metadata import version

import edt
import numpy as np
from scipy import ndimage

lesion = np.zeros((60, 60, 40), bool)
lesion[20:30, 20:30, 10:20] = True
missed = np.zeros_like(lesion)
distances = ndimage.distance_transform_edt(~missed, sampling=(1, 1, 3))[lesion]
found = [round(float(value), 2) for value in (distances.min(), distances.max(), np.percentile(distances, 95))]
other = float(edt.edt(~missed, anisotropy=(1, 1, 3))[lesion].max())
print("version: scipy", version("scipy"), "edt", version("edt"))
print("behaviour: where no voxel is set, distances are those to a place one step before the first voxel of the array: finite, plausible, and other in another field of view")
print("output: from a lesion to an empty prediction, least, most and 95th percentile in mm:", found, "; edt", other)
raise SystemExit(found != [41.73, 70.64, 67.39] or other != float("inf"))
PYTHON
