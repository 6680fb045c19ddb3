#!/usr/bin/env bash
# Guess, written down first: what get_fdata() shows is what nibabel.save writes: a mask cleaned in the array that it returned is saved clean.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" nibabel==5.4.2 numpy==2.2.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
import tempfile
from importlib.metadata import version
from pathlib import Path

import nibabel
import numpy as np

mask = np.zeros((10, 10, 10), np.uint8)
mask[2:8, 2:8, 2:8] = 1
mask[0, 0, 0] = 1  # a speck
found = {}
with tempfile.TemporaryDirectory() as folder:
    first, second = Path(folder) / "first.nii.gz", Path(folder) / "second.nii.gz"
    for kind in (np.uint8, np.float64):
        nibabel.save(nibabel.Nifti1Image(mask.astype(kind), np.eye(4)), first)
        for name, image in (
            ("file", nibabel.load(first)),
            ("array", nibabel.Nifti1Image(mask.astype(kind), np.eye(4))),
        ):
            image.get_fdata()[0, 0, 0] = 0
            nibabel.save(image, second)
            found[name, kind.__name__] = (int(image.get_fdata().sum()), int(nibabel.load(second).get_fdata().sum()))
print("version: nibabel", version("nibabel"))
print("behaviour: a change of the array from get_fdata() is in every later get_fdata() of that image and in no file that is saved "
      "from it, except where the image was made of an array of floats")
print("output: voxels by get_fdata() and in the saved file", found)
raise SystemExit(
    found
    != {
        ("file", "uint8"): (216, 217),
        ("array", "uint8"): (216, 217),
        ("file", "float64"): (216, 217),
        ("array", "float64"): (216, 216),
    }
)
PYTHON
