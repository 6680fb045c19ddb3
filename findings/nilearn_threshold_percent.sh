#!/usr/bin/env bash
# Guess, written down first: threshold_img at 80 % keeps the brightest fifth of a skull-stripped brain.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" nilearn==0.14.1 nibabel==5.4.2 numpy==2.2.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
from importlib.metadata import version

import nibabel
import numpy as np
from nilearn.image import threshold_img

found = {}
for name, air in (("little air", 12), ("much air", 20)):
    head = np.zeros((air,) * 3, np.float32)
    head[1:11, 1:11, 1:11] = 1 + np.random.default_rng(0).permutation(1000).reshape(10, 10, 10)  # a brain of 1000 voxels
    image, brain = (nibabel.Nifti1Image(array, np.eye(4)) for array in (head, (head > 0).astype(np.uint8)))
    kept = [threshold_img(image, "80%", copy_header=True, **more).get_fdata() for more in ({}, {"mask_img": brain})]
    found[name] = tuple(int(np.count_nonzero(array)) for array in kept)
print("version: nilearn", version("nilearn"))
print("behaviour: the percentile counts the air around the brain: how much is kept follows from how the image was cropped, "
      "up to the whole brain; with mask_img it is the fifth")
print("output: voxels kept of 1000 without and with a mask", found)
raise SystemExit(not (found["little air"][0] > 300 and found["much air"][0] == 1000 and {n[1] for n in found.values()} == {200}))
PYTHON
