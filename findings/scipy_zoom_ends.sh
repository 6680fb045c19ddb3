#!/usr/bin/env bash
# Guess, written down first: zoom of scipy by 3 makes three slices of 2 mm out of each of 6 mm: with the voxel size divided by 3 a lesion lies where it lay.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --no-compile --target "$folder" scipy==1.17.1 numpy==2.4.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
from importlib.metadata import version

import numpy as np
from scipy import ndimage

THICK = 6.0  # mm


def moved(first, **options):
    """By how many mm a lesion of two thick slices moves when each slice becomes three."""
    scan = np.zeros((20, 30, 30), np.float32)
    scan[first : first + 2, 10:20, 10:20] = 1
    fine = ndimage.zoom(scan, (3, 1, 1), order=1, **options)
    middle = np.argwhere(fine > 0.5)[:, 0].mean()
    return round(float((middle + 0.5) * THICK / 3 - (first + 1) * THICK), 2)


plain = [moved(first) for first in (1, 9, 17)]
grid = [moved(first, grid_mode=True, mode="nearest") for first in (1, 9, 17)]
print("version: scipy", version("scipy"))
print("behaviour: the middles of the first and last slice stay where they are and everything between is stretched: lesions move apart towards both ends; grid_mode=True keeps them")
print("output: mm moved of a lesion near the first slice, in the middle, near the last:", plain, "; with grid_mode", grid)
raise SystemExit(not (plain[0] < -1 and plain[1] == 0 and plain[2] > 1 and grid == [0, 0, 0]))
PYTHON
