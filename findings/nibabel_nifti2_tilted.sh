#!/usr/bin/env bash
# Guess, written down first: nibabel converts any scan that it has read from NIfTI-1 to NIfTI-2, which holds the same numbers with more digits.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" nibabel==5.4.2 numpy==2.2.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
import logging
import tempfile
from importlib.metadata import version

import nibabel
import numpy as np

logging.getLogger("nibabel.global").disabled = True
found = {"NIfTI-1": 0, "NIfTI-2": 0}
tilts = np.arange(-30, 30.5, 0.5)
with tempfile.TemporaryDirectory() as folder:
    for tilt in np.radians(tilts):
        c, s = np.cos(tilt), np.sin(tilt)
        affine = nibabel.affines.from_matvec(np.diag([-1, -1, 1]) @ [[1, 0, 0], [0, c, -s], [0, s, c]])  # LPS, nodding
        image = nibabel.Nifti1Image(np.ones((4, 5, 6), np.int16), affine)
        image.set_sform(None, 0)
        image.set_qform(affine, 1)
        nibabel.save(image, f"{folder}/one.nii")
        one = nibabel.load(f"{folder}/one.nii")
        found["NIfTI-1"] += 1
        try:
            nibabel.Nifti2Image.from_image(one)
            found["NIfTI-2"] += 1
        except ValueError as error:
            assert "w2 should be positive" in str(error), error
print("version: nibabel", version("nibabel"))
print("behaviour: the quaternion of a head in LPS that nods is rounded to 32 bits in NIfTI-1 and judged by the rounding of 64 bits in NIfTI-2: half of the scans cannot be converted")
print(f"output: scans read, and converted, of {len(tilts)} tilts:", found)
raise SystemExit(found["NIfTI-1"] != 121 or not 40 < found["NIfTI-2"] < 80)
PYTHON
