#!/usr/bin/env bash
# Guess, written down first: the mean that nilearn makes of a list of equal scans is that scan, whatever the type of its grey levels.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --no-compile --target "$folder" nilearn==0.14.1 nibabel==5.4.2 numpy==2.4.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
from importlib.metadata import version

import nibabel
import numpy as np
from nilearn.image import concat_imgs, mean_img

place = np.diag([1.0, 1, 1, 1])


def scans(level, kind):
    return [nibabel.Nifti1Image(np.full((4, 5, 6), level, kind), place) for _ in range(4)]


def mean(images):
    return float(mean_img(images, copy_header=True).get_fdata().max())


listed = {f"{level} ({kind.__name__})": mean(scans(level, kind)) for level, kind in ((12000, np.int16), (200, np.uint8), (12000, np.float32))}
stacked = mean(concat_imgs(scans(12000, np.int16)))
print("version: nilearn", version("nilearn"))
print("behaviour: mean_img adds a list up in the type of its files: grey levels run over, and bright tissue is darker than air; one 4-D image of the same scans has the right mean")
print("output: the mean of four equal scans, by their grey level:", listed, "; as one 4-D image of 12000 (int16):", stacked)
raise SystemExit(list(listed.values()) != [-4384.0, 8.0, 12000.0] or stacked != 12000.0)
PYTHON
