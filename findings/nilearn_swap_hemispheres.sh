#!/usr/bin/env bash
# Guess, written down first: swap_img_hemispheres of nilearn puts a lesion of 46 mm to the right of the midline 46 mm to the left of it.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --no-compile --target "$folder" nilearn==0.14.1 nibabel==5.4.2 numpy==2.4.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
from importlib.metadata import version

import nibabel
import numpy as np
from nilearn.image import swap_img_hemispheres


def middle(image):
    return nibabel.affines.apply_affine(image.affine, np.argwhere(image.get_fdata() > 0.5).mean(axis=0)).round(1).tolist()


lesion = np.zeros((50, 40, 40), np.float32)
lesion[5:10, 5:10, 5:10] = 1
found = {}
for name, start in (("field of view centred on x = 0", 49.0), ("field of view from 60 to -38 mm", 60.0)):
    image = nibabel.Nifti1Image(lesion, np.array([[-2.0, 0, 0, start], [0, 2, 0, -40], [0, 0, 2, -30], [0, 0, 0, 1]]))
    found[name] = (middle(image)[0], middle(swap_img_hemispheres(image))[0])
print("version: nilearn", version("nilearn"))
print("behaviour: hemispheres are exchanged about the middle of the array, not about x = 0: in a field of view that is not centred the mirror image lies elsewhere, here by 22 mm")
print("output: x of a lesion, before and after:", found)
raise SystemExit(list(found.values()) != [(35.0, -35.0), (46.0, -24.0)])
PYTHON
